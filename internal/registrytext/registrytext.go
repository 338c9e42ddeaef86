// Package registrytext reads a registry as text, for tests that look for what must not
// be in it.
package registrytext

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// fewest is how many tables a registry has at least: with fewer it was not found.
const fewest = 5

// Read returns all of Upkeep's own tables by their names in SQL, each as the text of its
// rows, one to a line. It is an error if there is no registry.
func Read(ctx context.Context, db *sql.DB, postgres bool) (map[string]string, error) {
	list, all := `SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'upkeep%'`, `SELECT * FROM %s`
	if postgres {
		list, all = `SELECT 'upkeep.' || quote_ident(relname) FROM pg_class WHERE relnamespace = 'upkeep'::regnamespace AND relkind = 'r'`, `SELECT t::text FROM %s t`
	}
	names, err := lines(ctx, db, list)
	if err != nil {
		return nil, err
	}
	if len(names) < fewest {
		return nil, fmt.Errorf("only %d tables of a registry were found: %q", len(names), names)
	}
	tables := map[string]string{}
	for _, name := range names {
		rows, err := lines(ctx, db, fmt.Sprintf(all, name))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		tables[name] = strings.Join(rows, "\n")
	}
	return tables, nil
}

// lines are the rows of a query, their columns joined by spaces.
func lines(ctx context.Context, db *sql.DB, query string) (lines []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		var cells []string
		for _, v := range values {
			cells = append(cells, string(v))
		}
		lines = append(lines, strings.Join(cells, " "))
	}
	return lines, rows.Err()
}
