package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

const plan = "plan"

// migrate makes the schema.
func (b *bench) migrate() {
	b.t.Helper()
	b.ok(b.db.Migrate(b.ctx))
}

func (b *bench) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) install(shapes ...*store.Shape) {
	b.t.Helper()
	b.ok(b.db.Install(b.ctx, shapes, plan, ""))
}

// shape is a sync over one table.
func (b *bench) shape(sync string, table store.Table, columns ...string) *store.Shape {
	b.t.Helper()
	return &store.Shape{Sync: sync, Root: b.member(table, columns...), MemberLimit: 1000}
}

func (b *bench) member(table store.Table, columns ...string) *store.Member {
	b.t.Helper()
	info, err := b.db.Table(b.ctx, table)
	b.ok(err)
	return &store.Member{Table: info.Table, Key: b.columns(info, info.Key...), Columns: b.columns(info, columns...)}
}

func (b *bench) columns(info *store.TableInfo, names ...string) []store.Column {
	b.t.Helper()
	var all []store.Column
	for _, n := range names {
		c, ok := info.Column(n)
		if !ok {
			b.t.Fatalf("%s has no column %q: %v", info.Table, n, info.Columns)
		}
		all = append(all, c)
	}
	return all
}

// many hangs a has_many member on the root of s.
func (b *bench) many(s *store.Shape, name string, table store.Table, via string, columns ...string) *store.Member {
	b.t.Helper()
	m := b.member(table, columns...)
	info, err := b.db.Table(b.ctx, table)
	b.ok(err)
	m.Name, m.Relation, m.Via, m.To = name, store.HasMany, b.columns(info, via), s.Root.Key
	s.Root.Members = append(s.Root.Members, m)
	return m
}

// fold folds all there is and returns how many groups were raised.
func (b *bench) fold(shapes ...*store.Shape) int {
	b.t.Helper()
	groups := 0
	for range 10_000 {
		f, err := b.db.Fold(b.ctx, shapes, plan, 1000)
		b.ok(err)
		groups += f.Groups
		if !f.More {
			return groups
		}
	}
	b.t.Fatal("the fold never ends")
	return 0
}

// folds folds and checks how many groups were raised.
func (b *bench) folds(want int, what string, shapes ...*store.Shape) {
	b.t.Helper()
	if got := b.fold(shapes...); got != want {
		b.t.Errorf("%s: %d groups raised, want %d", what, got, want)
	}
}

// pass runs the sync's backfill to its end and returns how many pieces it took.
func (b *bench) pass(s *store.Shape, limit int) int {
	b.t.Helper()
	for n := 1; ; n++ {
		more, err := b.db.Backfill(b.ctx, s, limit)
		b.ok(err)
		if !more {
			return n
		}
	}
}

// syncAll claims and records until nothing is due.
func (b *bench) syncAll(shapes ...*store.Shape) (n int) {
	b.t.Helper()
	r := store.ClaimRequest{Holder: "test", Lease: time.Minute, Limit: 100}
	for _, s := range shapes {
		r.Syncs = append(r.Syncs, store.ClaimSync{Sync: s.Sync, Quiet: time.Minute})
	}
	for {
		claims, err := b.db.Claim(b.ctx, r)
		b.ok(err)
		if len(claims) == 0 {
			return n
		}
		var results []store.Result
		for _, c := range claims {
			results = append(results, store.Result{ID: c.ID, Epoch: c.Epoch, Generation: c.Generation,
				Outcome: store.Synced, RemoteID: "r" + c.Key, Digests: []byte{1}, Calls: 1})
		}
		stale, err := b.db.Record(b.ctx, results, nil)
		b.ok(err)
		if len(stale) > 0 {
			b.t.Fatalf("stale: %v", stale)
		}
		n += len(claims)
	}
}

func (b *bench) group(sync, key string) *store.Group {
	b.t.Helper()
	g, err := b.db.Group(b.ctx, store.ID{Sync: sync, Key: key})
	b.ok(err)
	return g
}

func table(name string) store.Table { return store.Table{Name: name} }

// sorted compares lists without regard to order.
func sorted(s []string) []string { s = slices.Clone(s); slices.Sort(s); return s }

// mustFail is for a statement that has to fail with this SQLSTATE text in it.
func mustFail(t testing.TB, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("error is %v, want one with %q", err, part)
	}
}
