package postgres_test

import (
	"slices"
	"testing"
)

// The log names the columns that have another value, and no other, whether there
// was or is none, and whether the key changes with them.
func TestChangedColumns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, i int, v text, n numeric, p numeric(8,2), f float8)`)
	b.migrate()
	s := b.shape("s", table("t"), "i", "v", "n", "p", "f")
	b.install(s)
	b.exec(`INSERT INTO t (id) VALUES (1)`)
	for _, c := range []struct{ set, want string }{
		{"i = 1", "{i}"}, {"v = 'a'", "{v}"}, {"n = 1.0, p = 1", "{n,p}"}, {"f = 0", "{f}"},
		{"i = 1, v = 'a', n = 1.00, p = 1.00, f = '-0'", "{f,n}"},
		{"i = 2, v = 'b', p = 2", "{i,p,v}"}, {"i = NULL, v = NULL, n = NULL, p = NULL, f = NULL", "{f,i,n,p,v}"},
		{"id = 2", "{id}"}, {"id = 3, v = 'a'", "{id,v}"}, {"id = 3, v = 'b'", "{v}"}, {"id = 4, v = NULL, p = NULL, i = 0", "{i,id,v}"},
	} {
		b.exec(`TRUNCATE upkeep.touch`, `UPDATE t SET `+c.set)
		if got := b.query(`SELECT columns::text FROM upkeep.touch`); !slices.Equal(got, []string{c.want}) {
			t.Errorf("SET %s: %v, want %s", c.set, got, c.want)
		}
	}
}
