package sqlite

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// plans is a database with the tables that the query plans are about.
func plans(t *testing.T) *DB {
	t.Helper()
	file := filepath.Join(t.TempDir(), "p.db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Open(file, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{`CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT)`,
		`CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INTEGER)`, `CREATE INDEX b_a ON b (a_id)`,
		`CREATE TABLE c (id INTEGER PRIMARY KEY, b_id INTEGER)`, `CREATE INDEX c_b ON c (b_id)`} {
		if err := d.exec(t.Context(), "make tables", q); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// explainPlan is SQLite's plan of a query.
func (d *DB) explainPlan(t *testing.T, query string, args ...any) string {
	t.Helper()
	var lines []string
	err := d.view(t.Context(), "explain", func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a, b, c int
			var line string
			if err := rows.Scan(&a, &b, &c, &line); err != nil {
				return err
			}
			lines = append(lines, line)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// No table may be read whole: neither the application's nor the registry.
func TestPlans(t *testing.T) {
	t.Parallel()
	d := plans(t)
	id := []store.Column{{Name: "id", Kind: store.Int}}
	ref := func(name string) []store.Column { return []store.Column{{Name: name, Kind: store.Int}} }
	table := func(name string) store.Table { return store.Table{Schema: "main", Name: name} }
	root := &store.Member{Table: table("a"), Key: id}
	b := &store.Member{Name: "b", Relation: store.HasMany, Table: table("b"), Key: id, Via: ref("a_id"), To: id}
	c := &store.Member{Name: "c", Relation: store.HasMany, Table: table("c"), Key: id, Via: ref("b_id"), To: id}
	down := &store.Shape{Sync: "down", Root: root}
	rootC := &store.Member{Table: table("c"), Key: id}
	upB := &store.Member{Name: "b", Relation: store.BelongsTo, Table: table("b"), Key: id, Via: ref("b_id"), To: id}
	upA := &store.Member{Name: "a", Relation: store.BelongsTo, Table: table("a"), Key: id, Via: ref("a_id"), To: id}
	up := &store.Shape{Sync: "up", Root: rootC}

	request := `SELECT * FROM (SELECT sync, key, due_at FROM upkeep_groups WHERE sync = ?1 AND backfill = 0 AND due_at <= ?2 ORDER BY due_at LIMIT 9)`
	for name, c := range map[string]struct {
		query string
		args  []any
	}{
		"fold down":     {upward(down, []*store.Member{root, b, c}), []any{"[]", "", 1}},
		"fold up":       {upward(up, []*store.Member{rootC, upB, upA}), []any{"[]", "", 1}},
		"load":          {`SELECT 1 ` + from(b), []any{"[]"}},
		"load root":     {`SELECT 1 ` + from(root), []any{"[]"}},
		"claim":         {request, []any{"s", 1}},
		"raise":         {raiseSQL, []any{"[]", 1, 0}},
		"lease":         {leaseSQL, []any{"[]", 1, "w", 1, ""}},
		"record":        {recordSQL, []any{"[]"}},
		"waits dropped": {`DELETE FROM upkeep_edges WHERE kind = 'wait' AND (sync, key) IN (SELECT value->>0, value->>1 FROM json_each(?1))`, []any{"[]"}},
	} {
		plan := d.explainPlan(t, c.query, c.args...)
		for _, line := range strings.Split(plan, "\n") {
			if strings.HasPrefix(line, "SCAN") && !strings.Contains(line, "VIRTUAL TABLE") && !strings.HasPrefix(line, "SCAN (") &&
				!strings.HasPrefix(line, "SCAN upkeep_list") && line != "SCAN j" {
				t.Errorf("%s reads a whole table: %s\nplan:\n%s", name, line, plan)
			}
		}
		if strings.Contains(plan, "AUTOMATIC") {
			t.Errorf("%s builds an index:\n%s", name, plan)
		}
		if name == "claim" && strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("claim sorts:\n%s", plan)
		}
	}
}
