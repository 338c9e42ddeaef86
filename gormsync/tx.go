package gormsync

import (
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"
)

// Tx is the transaction of database/sql that a transaction of GORM is, for
// Engine.Touch, Register and Command, whether or not GORM prepares statements
// (PrepareStmt). It is an error when tx is in no transaction, or in one that a
// plug-in has made of something else.
func Tx(tx *gorm.DB) (*sql.Tx, error) {
	if tx == nil || tx.Statement == nil {
		return nil, errors.New("gormsync.Tx: there is no *gorm.DB; give it the one of the function in Transaction, or of Begin")
	}
	pool := tx.Statement.ConnPool
	for {
		switch p := pool.(type) {
		case *sql.Tx:
			if p != nil {
				return p, nil
			}
		case *gorm.PreparedStmtTX:
			if p != nil {
				pool = p.Tx
				continue
			}
		}
		return nil, fmt.Errorf("gormsync.Tx: this *gorm.DB is in no transaction of database/sql (it has a %T); give it the one of the function in Transaction, or of Begin", pool)
	}
}
