package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/sqlite"
)

// bench is a database with one parent and one child table.
type bench struct {
	t    *testing.T
	app  *sql.DB
	d    *sqlite.DB
	s    *store.Shape
	seen map[string]int64
}

// newBench makes tables, a shape "parent" with has_many children, and the
// triggers.
func newBench(t *testing.T, parent, child string, params ...string) *bench {
	t.Helper()
	file := filepath.Join(t.TempDir(), "b.db")
	b := &bench{t: t, app: application(t, file, params...), seen: map[string]int64{}}
	b.exec(parent, child)
	b.d = open(t, file, newClock())
	b.ok(b.d.Migrate(t.Context()))
	p, c := b.table("parent"), b.table("child")
	b.s = &store.Shape{Sync: "p", MemberLimit: 100, Root: &store.Member{Table: p.Table, Key: columns(p, p.Key...), Columns: p.Columns}}
	b.s.Root.Members = []*store.Member{{Name: "children", Relation: store.HasMany, Table: c.Table, Key: columns(c, c.Key...),
		Via: columns(c, "parent_id"), To: columns(p, "id"), Columns: columns(c, "v")}}
	b.ok(b.d.Install(t.Context(), []*store.Shape{b.s}, "plan", ""))
	return b
}

func columns(info *store.TableInfo, names ...string) []store.Column {
	var cs []store.Column
	for _, n := range names {
		c, _ := info.Column(n)
		cs = append(cs, c)
	}
	return cs
}

func (b *bench) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) exec(statements ...string) {
	b.t.Helper()
	for _, q := range statements {
		if _, err := b.app.Exec(q); err != nil {
			b.t.Fatalf("%v\nin: %s", err, q)
		}
	}
}

func (b *bench) table(name string) *store.TableInfo {
	b.t.Helper()
	info, err := b.d.Table(context.Background(), store.Table{Name: name})
	b.ok(err)
	return info
}

// want folds and checks which groups were raised.
func (b *bench) want(keys ...string) {
	b.t.Helper()
	for {
		f, err := b.d.Fold(b.t.Context(), []*store.Shape{b.s}, "plan", 1000)
		b.ok(err)
		if !f.More {
			break
		}
	}
	groups, err := b.d.Groups(b.t.Context(), "p", "", store.ID{}, 1000)
	b.ok(err)
	var up []string
	for _, g := range groups {
		if b.seen[g.Key] != g.Generation {
			b.seen[g.Key] = g.Generation
			up = append(up, g.Key)
		}
	}
	slices.Sort(keys)
	if slices.Sort(up); !slices.Equal(up, keys) {
		b.t.Errorf("raised %q, want %q", up, keys)
	}
}

func (b *bench) deleteSeen(key string, want bool) {
	b.t.Helper()
	g, err := b.d.Group(b.t.Context(), store.ID{Sync: "p", Key: key})
	b.ok(err)
	if g.DeleteSeen != want {
		b.t.Errorf("DeleteSeen of %s is %v, want %v", key, g.DeleteSeen, want)
	}
}

const (
	plainParent = `CREATE TABLE parent (id INTEGER PRIMARY KEY, code TEXT UNIQUE, v TEXT)`
	plainChild  = `CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER, slot TEXT UNIQUE, v TEXT)`
)

func TestReplace(t *testing.T) {
	t.Parallel()
	for _, params := range [][]string{nil, {"_pragma=recursive_triggers(1)"}} {
		t.Run(strings.Join(params, " "), func(t *testing.T) {
			b := newBench(t, plainParent, plainChild, params...)
			b.exec(`INSERT INTO parent VALUES (1, 'a', ''), (2, 'b', ''), (3, 'c', '')`, `INSERT INTO child VALUES (10, 1, 's', 'x')`)
			b.want("1", "2", "3")
			// By key: the old parent loses the row.
			b.exec(`INSERT OR REPLACE INTO child VALUES (10, 2, 's', 'x')`)
			b.want("1", "2")
			// By another unique index.
			b.exec(`REPLACE INTO child VALUES (11, 3, 's', 'x')`)
			b.want("2", "3")
			// By UPDATE.
			b.exec(`INSERT INTO child VALUES (12, 1, 't', 'x')`)
			b.want("1")
			b.exec(`UPDATE OR REPLACE child SET slot = 's' WHERE id = 12`)
			b.want("3")
			// A root row is replaced by one with another key: it is gone.
			b.exec(`REPLACE INTO parent VALUES (4, 'a', '')`)
			b.want("1", "4")
			b.deleteSeen("1", true)
			b.deleteSeen("4", false)
			// By one with its own key: it is not.
			b.exec(`REPLACE INTO parent VALUES (2, 'b', 'new')`)
			b.want("2")
			if len(params) == 0 { // with recursive triggers SQLite itself reports a delete
				b.deleteSeen("2", false)
			}
		})
	}
}

func TestNothingReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t, plainParent, plainChild)
	b.exec(`INSERT INTO parent VALUES (1, 'a', ''), (2, 'b', '')`, `INSERT INTO child VALUES (10, 1, 's', 'x')`)
	b.want("1", "2")
	b.exec(`INSERT OR IGNORE INTO parent VALUES (1, 'a', 'z')`, `INSERT INTO parent VALUES (7, 'b', '') ON CONFLICT DO NOTHING`,
		`INSERT INTO parent VALUES (1, 'a', '') ON CONFLICT (id) DO UPDATE SET v = excluded.v`,
		`INSERT OR IGNORE INTO child VALUES (11, 2, 's', 'x')`)
	b.want()
	b.deleteSeen("1", false)
	b.deleteSeen("2", false)
	// What was nearly replaced must not count for the next insert.
	b.exec(`INSERT OR IGNORE INTO child VALUES (11, 2, 's', 'x')`, `INSERT INTO child VALUES (20, 2, 'other', 'x')`)
	b.want("2")
	b.exec(`INSERT INTO parent VALUES (7, 'b', '') ON CONFLICT DO NOTHING`, `INSERT INTO parent VALUES (8, 'h', '')`)
	b.want("8")
	b.deleteSeen("2", false)
}

func TestChangedValues(t *testing.T) {
	t.Parallel()
	b := newBench(t, `CREATE TABLE parent (id INTEGER PRIMARY KEY, v, n TEXT COLLATE NOCASE)`, plainChild)
	b.exec(`INSERT INTO parent VALUES (1, 1, 'a')`)
	b.want("1")
	for _, v := range []string{`1.0`, `'1'`, `x'31'`, `NULL`, `0`, `''`} {
		b.exec(`UPDATE parent SET v = ` + v)
		b.want("1")
		b.exec(`UPDATE parent SET v = ` + v)
		b.want()
	}
	b.exec(`UPDATE parent SET n = 'A'`)
	b.want("1")
}

// Whatever is in a key, the application's write succeeds and the touch comes
// through.
func TestOddReferences(t *testing.T) {
	t.Parallel()
	b := newBench(t, `CREATE TABLE parent (id BLOB PRIMARY KEY, v)`, `CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id, v)`)
	for i, key := range []string{`x'00ff'`, `'plain'`, `'a' || char(0) || 'b'`, `3`, `2.5`, `1e300`, `9e999`, `''`, `x''`} {
		b.exec(fmt.Sprintf(`INSERT INTO parent VALUES (%s, 0)`, key), fmt.Sprintf(`INSERT INTO child VALUES (%d, %s, 0)`, i, key))
		b.exec(fmt.Sprintf(`UPDATE child SET v = 1 WHERE id = %d`, i), fmt.Sprintf(`UPDATE child SET parent_id = NULL WHERE id = %d`, i))
	}
	b.exec(`INSERT INTO parent VALUES (NULL, 0)`, `DELETE FROM child`, `INSERT INTO child VALUES (1, 'plain', 0), (2, 'a' || char(0) || 'b', 0), (3, 3, 0)`)
	// A key that is not UTF-8 has no text form: that group is never found.
	b.want("\x00\ufffd", "plain", "a\x00b", "3", "2.5", "1.0e+300", "Inf", "")
	b.exec(`UPDATE child SET v = 5 WHERE id = 1`)
	b.want("plain")
	b.exec(`UPDATE child SET v = 5 WHERE id = 2`)
	b.want("a\x00b")
	b.exec(`UPDATE child SET v = 5 WHERE id = 3`)
	b.want("3")
}

func TestWithoutRowid(t *testing.T) {
	t.Parallel()
	b := newBench(t, `CREATE TABLE parent (id TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID`, `CREATE TABLE child (parent_id TEXT, v TEXT)`)
	b.exec(`INSERT INTO parent VALUES ('a', 'x'), ('b', 'y')`)
	b.want("a", "b")
	b.exec(`INSERT INTO child VALUES ('a', 'x')`) // a member needs no key of its own
	b.want("a")
	b.exec(`REPLACE INTO parent VALUES ('b', 'z')`)
	b.want("b")
	got, _, err := b.d.Load(t.Context(), b.s, []string{"a", "b"})
	b.ok(err)
	if len(got) != 2 || got["b"].Row["v"] != "z" {
		t.Errorf("loaded %v", got)
	}
}

func TestSchemaChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t, plainParent, plainChild)
	b.exec(`INSERT INTO parent VALUES (1, 'a', ''), (2, 'b', '')`, `INSERT INTO child VALUES (10, 1, 's', 'x')`)
	b.want("1", "2")
	b.exec(`ALTER TABLE child ADD COLUMN extra TEXT`, `UPDATE child SET extra = 'x'`)
	b.want()
	b.exec(`ALTER TABLE child RENAME COLUMN v TO w`, `UPDATE child SET w = 'y'`)
	b.want("1")
	b.exec(`ALTER TABLE child RENAME COLUMN parent_id TO owner_id`, `UPDATE child SET owner_id = 2`)
	b.want("1", "2")
	found, err := b.d.Inspect(t.Context(), []*store.Shape{b.s})
	b.ok(err)
	if len(found) == 0 {
		t.Error("a renamed column is no finding")
	}
	if _, err := b.app.Exec(`ALTER TABLE child DROP COLUMN w`); err == nil {
		t.Error("SQLite is documented to refuse to drop a column that a trigger names")
	}
	b.exec(`ALTER TABLE child DROP COLUMN extra`, `UPDATE child SET w = 'z'`)
	b.want("2")
	b.exec(`ALTER TABLE child RENAME TO kids`, `UPDATE kids SET w = 'zz'`) // the write succeeds
}

func TestDeleteWithoutWhere(t *testing.T) {
	t.Parallel()
	b := newBench(t, plainParent, plainChild)
	b.exec(`INSERT INTO parent VALUES (1, 'a', ''), (2, 'b', '')`, `INSERT INTO child VALUES (10, 1, 's', 'x')`)
	b.want("1", "2")
	b.exec(`DELETE FROM child`)
	b.want("1")
	b.exec(`DELETE FROM parent`)
	b.want("1", "2")
	b.deleteSeen("2", true)
}

// What was logged under a configuration that did not need a column can't say
// which groups it belongs to now: all of them are raised.
func TestLogOfOtherShapes(t *testing.T) {
	t.Parallel()
	b := newBench(t, plainParent, plainChild)
	b.exec(`INSERT INTO parent VALUES (1, 'a', ''), (2, 'b', ''), (3, 'c', '')`, `INSERT INTO child VALUES (10, 1, 's', 'x')`)
	b.want("1", "2", "3")
	child := b.table("child")
	alone := &store.Shape{Sync: "c", Root: &store.Member{Table: child.Table, Key: columns(child, "id"), Columns: columns(child, "v")}}
	b.ok(b.d.Install(t.Context(), []*store.Shape{alone}, "plan", ""))
	b.exec(`UPDATE child SET v = 'y'`, `INSERT INTO parent VALUES (4, 'd', '')`)
	b.ok(b.d.Install(t.Context(), []*store.Shape{b.s}, "plan", ""))
	b.want("1", "2", "3", "4")
	b.exec(`UPDATE child SET v = 'z'`)
	b.want("1")
}

// The application sees no difference in what SQLite tells it of its own
// writes.
func TestHost(t *testing.T) {
	t.Parallel()
	b := newBench(t, plainParent, plainChild)
	b.exec(`INSERT INTO parent VALUES (1, 'a', '')`)
	for i, c := range []struct {
		query    string
		id, rows int64
	}{
		{`INSERT INTO child (parent_id, slot) VALUES (1, 'a'), (1, 'b')`, 2, 2},
		{`UPDATE child SET v = 'x'`, -1, 2},
		{`REPLACE INTO child (id, parent_id, slot) VALUES (40, 1, 'a')`, 40, 1},
		{`INSERT INTO child (parent_id, slot) VALUES (1, 'a') ON CONFLICT DO NOTHING`, -1, 0},
		{`DELETE FROM child`, -1, 2},
	} {
		r, err := b.app.Exec(c.query)
		b.ok(err)
		id, err := r.LastInsertId()
		b.ok(err)
		rows, err := r.RowsAffected()
		b.ok(err)
		if c.id >= 0 && id != c.id || rows != c.rows {
			t.Errorf("statement %d: id %d and %d rows, want %d and %d", i, id, rows, c.id, c.rows)
		}
	}
	var name string
	err := b.app.QueryRow(`INSERT INTO parent (id, code) VALUES (9, 'z') RETURNING code`).Scan(&name)
	if err != nil || name != "z" {
		t.Errorf("RETURNING: %q, %v", name, err)
	}
	b.want("1", "9")
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	b := newBench(t, plainParent, plainChild)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.d.Fold(ctx, []*store.Shape{b.s}, "plan", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("fold: %v, want context.Canceled", err)
	}
	if err := b.d.Mend(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("mend: %v, want context.Canceled", err)
	}
}
