package postgres_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// incompressible is a text that PostgreSQL can't make shorter.
func incompressible(begin string, n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	r := rand.New(rand.NewPCG(1, 2))
	b := []byte(begin)
	for len(b) < n {
		b = append(b, letters[r.IntN(len(letters))])
	}
	return string(b)
}

// Rows whose keys the table's own index takes and the registry's don't, beside the
// sync's name, hold no other row of their sync in a pass or a fold, and are told
// for as long as they are there.
func TestRowsThatCanHaveNoGroup(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.migrate()
	b.exec(`CREATE TABLE v (id text PRIMARY KEY, name text); CREATE TABLE l (id int PRIMARY KEY, v text, n int)`)
	s := b.shape(strings.Repeat("s", 61), table("v"), "id", "name")
	b.many(s, "lines", table("l"), "v", "id", "n")
	b.install(s)
	long := strings.Repeat("dd", 4000) // an index makes it shorter
	none := []string{
		incompressible("b1", 2684), incompressible("b2", 2684),
		incompressible("b3", 2625), // the groups' index would take it, and that of the attempts would not
		incompressible("b4", 2640),
	}
	fill := func(name string) {
		b.exec(`INSERT INTO v VALUES ('a', '`+name+`'), ('`+long+`', '`+name+`'), ('e', '`+name+`')`,
			`INSERT INTO v VALUES ('`+strings.Join(none, `', 'x'), ('`)+`', 'x')`)
	}
	state := func() store.SyncState {
		t.Helper()
		state, err := b.db.Sync(b.ctx, s.Sync)
		b.ok(err)
		return state
	}
	check := func(when string, met bool, generation int64, want ...string) {
		t.Helper()
		groups, err := b.db.Groups(b.ctx, s.Sync, "", store.ID{}, 100)
		b.ok(err)
		var keys []string
		for _, g := range groups {
			keys = append(keys, g.Key)
			if g.Generation != generation {
				t.Errorf("%s: %.20s is at generation %d, want %d", when, g.Key, g.Generation, generation)
			}
		}
		if !slices.Equal(keys, want) {
			t.Errorf("%s: there are %d groups, want %d", when, len(keys), len(want))
		}
		if got := state(); got.Overlong.IsZero() == met {
			t.Errorf("%s: rows that can have no group: %v, want %t", when, got.Overlong, met)
		}
		counts, err := b.db.Counts(b.ctx)
		b.ok(err)
		if len(counts) != 1 || counts[0].Overlong.IsZero() == met {
			t.Errorf("%s: counts are %+v", when, counts)
		}
		var failure string
		b.ok(b.app.QueryRow(b.ctx, "SELECT failure FROM upkeep.syncs").Scan(&failure))
		if failure != "" {
			t.Errorf("%s: the sync is held: %s", when, failure)
		}
	}

	fill("old") // seen by no trigger's fold
	b.exec(`TRUNCATE upkeep.touch`)
	b.ok(b.db.StartBackfill(b.ctx, s.Sync, "v", false, false))
	b.pass(s, 2)
	check("backfill", true, 1, "a", long, "e")
	if done := state().Backfill.Done; done != 7 {
		t.Errorf("rows passed: %d, want all 7", done)
	}
	for i, force := range []bool{false, true} {
		b.ok(b.db.StartBackfill(b.ctx, s.Sync, "v", true, force))
		b.pass(s, 2)
		check("sweep", true, int64(2+i+i), "a", long, "e") // one that forces raises them in both of its passes
	}
	b.exec(`DELETE FROM v`, `TRUNCATE upkeep.touch`, `DELETE FROM upkeep.groups`)
	b.ok(b.db.StartBackfill(b.ctx, s.Sync, "v", false, false))
	b.pass(s, 2)
	check("when they are gone", false, 0)

	fold := func(when string, met bool, generation int64, want ...string) store.Folded {
		t.Helper()
		f, err := b.db.Fold(b.ctx, []*store.Shape{s}, plan, 1000)
		b.ok(err)
		if met != slices.Equal(f.Overlong, []string{s.Sync}) {
			t.Errorf("%s: the fold tells of %q", when, f.Overlong)
		}
		check(when, true, generation, want...)
		return f
	}
	fill("new")
	fold("fold", true, 1, "a", long, "e")
	b.exec(`INSERT INTO l SELECT row_number() OVER (), id, 1 FROM v`)
	fold("fold of lines", true, 2, "a", long, "e")
	b.exec(`DELETE FROM v WHERE name = 'x'`)
	fold("fold of their deletion", false, 2, "a", long, "e")
	b.ok(b.db.Append(b.ctx, nil, []store.Touch{{ID: store.ID{Sync: s.Sync, Key: none[0]}, Register: true}, {ID: store.ID{Sync: s.Sync, Key: "a"}},
		{ID: store.ID{Sync: s.Sync, Key: long}}, {ID: store.ID{Sync: s.Sync, Key: "e"}}}))
	if f := fold("fold of touches by hand", false, 3, "a", long, "e"); len(f.Unfit) != 1 || f.Unfit[0].Key != none[0] {
		t.Errorf("dropped: %d", len(f.Unfit))
	}
}

// BenchmarkBackfill measures a pass that makes all groups.
func BenchmarkBackfill(b *testing.B) {
	bench := newBench(b)
	bench.migrate()
	bench.exec(`CREATE TABLE t (id int PRIMARY KEY, v int)`, `INSERT INTO t SELECT n, n FROM generate_series(1, 100000) n`)
	s := bench.shape("s", table("t"), "id", "v")
	bench.install(s)
	for b.Loop() {
		b.StopTimer()
		bench.exec(`TRUNCATE upkeep.groups`)
		bench.ok(bench.db.StartBackfill(bench.ctx, "s", "v", false, false))
		b.StartTimer()
		bench.pass(s, 1000)
	}
	b.ReportMetric(float64(b.N)*100000/b.Elapsed().Seconds(), "rows/s")
}
