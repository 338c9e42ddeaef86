package sandbox

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	_ "modernc.org/sqlite"             // driver "sqlite"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/faulttest"
	"github.com/upkeep-sync/upkeep/internal/prove/ledger"
)

// OpenWarehouse looks at the tables in a database, to which the workers have a way
// of their own: the URL of a PostgreSQL, or "sqlite:" and a file's path.
func OpenWarehouse(url string) (*Server, error) {
	s := &Server{URL: url, kind: Warehouse, faults: faulttest.New(1)}
	driver, source := "pgx", url
	if path, is := strings.CutPrefix(url, "sqlite:"); is {
		driver, source = "sqlite", "file:"+path+"?_pragma=busy_timeout(20000)&_pragma=journal_mode(wal)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		return nil, err
	}
	s.close = func() { _ = db.Close() }
	s.records = func(sync, table string) ([]ledger.Record, error) { return rows(db, sync, table) }
	return s, nil
}

// rows are a table's, as records: the key is the remote's id too.
func rows(db *sql.DB, sync, table string) ([]ledger.Record, error) {
	columns, fields := `external_id`, tables.Columns[sync]
	for _, c := range fields {
		columns += fmt.Sprintf(", cast(%q as text)", c.Name)
	}
	found, err := db.Query(fmt.Sprintf("select %s from %q", columns, table))
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var all []ledger.Record
	for found.Next() {
		r := ledger.Record{Type: sync, Fields: connector.Fields{}}
		values := make([]sql.NullString, len(fields))
		into := []any{&r.ExternalID}
		for i := range values {
			into = append(into, &values[i])
		}
		if err := found.Scan(into...); err != nil {
			return nil, err
		}
		r.ID = sync + ":" + r.ExternalID
		for i, c := range fields {
			if !values[i].Valid {
				continue
			}
			v := any(values[i].String)
			switch c.Type {
			case connector.Integer, connector.List:
				v = json.RawMessage(values[i].String)
			case connector.Reference:
				v = map[string]string{"ref": "customer:" + values[i].String}
			}
			if r.Fields[c.Name], err = json.Marshal(v); err != nil {
				return nil, err
			}
		}
		all = append(all, r)
	}
	return all, found.Err()
}
