package postgres_test

import (
	"slices"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Tables and columns that are called like what stands beside them in the
// functions of the ordered lane.
func TestCommandsOfNamesInUse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.migrate()
	var shapes []*store.Shape
	names := []string{"failed", "g", "gone", "groups", "h", "hits", "k0", "key", "l0", "new", "o", "old", "p", "q", "root", "s", "t0", "upkeep", "v"}
	for _, n := range names {
		b.exec(`CREATE TABLE "`+n+`" ("`+n+`" int PRIMARY KEY, state text)`,
			`CREATE TABLE "`+n+`_rows" (id int PRIMARY KEY, "`+n+`_no" int, "`+n+`" int)`)
		s := b.shape(n, table(n), n, "state")
		m := b.many(s, "lines", table(n+"_rows"), n+"_no", "id")
		back := b.member(table(n), "state")
		back.Name, back.Relation, back.To = "back", store.BelongsTo, back.Key
		info, err := b.db.Table(b.ctx, table(n+"_rows"))
		b.ok(err)
		back.Via = b.columns(info, n+"_no")
		m.Members = append(m.Members, back)
		m.Where, m.Order = `"`+n+`" > 0`, `"`+n+`" DESC`
		s.Every = true
		shapes = append(shapes, s)
	}
	b.install(shapes...)
	for _, n := range names {
		b.exec(`INSERT INTO "`+n+`" VALUES (1, 'new')`, `INSERT INTO "`+n+`_rows" VALUES (1, 1, 6), (2, 1, 5), (3, 1, 0)`)
		got := b.query(`SELECT coalesce(jsonb_path_query_array(payload->'lines', '$[*].id')::text, 'deleted') || coalesce(' ' || nullif(unordered, ''), '')
			FROM upkeep.commands WHERE sync = '` + n + `' ORDER BY number`)
		if want := []string{"[]", "[1, 2]"}; !slices.Equal(got, want) {
			t.Errorf("commands of %s: %q, want %q", n, got, want)
		}
	}
	b.wantGaps()
}
