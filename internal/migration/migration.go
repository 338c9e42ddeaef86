// Package migration reads the numbered SQL files that make a registry's tables.
package migration

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"
)

// Read returns the migrations of the *.sql files in dir, by the numbers that their
// names begin with. A file is run whole, up to its "-- +goose Down", in a transaction
// of its own, which begins with the statement opening, if that is not empty.
//
// goose would take each apart into statements, with a buffer of four megabytes for
// each line, and ask the database once for each of them. Both drivers run a text of
// many statements in one go.
func Read(files fs.FS, dir, opening string) ([]*goose.Migration, error) {
	names, err := fs.Glob(files, dir+"/*.sql")
	if err != nil {
		return nil, err
	}
	read := make([]*goose.Migration, 0, len(names))
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		if opening != "" {
			up = opening + ";\n" + up
		}
		read = append(read, goose.NewGoMigration(version, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, up); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		}}, nil))
	}
	return read, nil
}
