package storetest

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// plan is the plan that the suite installs.
const plan = "plan-1"

// remoteQuiet is the quiet time of the suite's claims.
const remoteQuiet = 10 * time.Minute

// env is one database with the shop in it, and what the test did there.
type env struct {
	*Target
	t      *testing.T
	ctx    context.Context
	shapes []*store.Shape
	seen   map[store.ID]int64 // generations at the last call of raised
}

// ok fails the test on an error.
func (e *env) ok(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// exec runs the application's statements, each in its own transaction.
func (e *env) exec(sql ...string) {
	e.t.Helper()
	for _, s := range sql {
		if err := e.Exec(s); err != nil {
			e.t.Fatalf("%v\nin: %s", err, s)
		}
	}
}

// tx runs the application's statements in one transaction.
func (e *env) tx(sql ...string) {
	e.t.Helper()
	tx := e.Begin(e.t)
	for _, s := range sql {
		if err := tx.Exec(s); err != nil {
			e.ok(tx.Rollback())
			e.t.Fatalf("%v\nin: %s", err, s)
		}
	}
	e.ok(tx.Commit())
}

// install makes the shapes be what is watched.
func (e *env) install(shapes ...*store.Shape) {
	e.t.Helper()
	e.shapes = shapes
	e.ok(e.Store.Install(e.ctx, shapes, plan, ""))
}

// fold folds until the log is empty.
func (e *env) fold() (rows, groups int) {
	e.t.Helper()
	for range 10_000 {
		f, err := e.Store.Fold(e.ctx, e.shapes, plan, 1000)
		e.ok(err)
		rows, groups = rows+f.Rows, groups+f.Groups
		if !f.More {
			return rows, groups
		}
	}
	e.t.Fatal("the fold never comes to an end")
	return 0, 0
}

// groups is the whole registry.
func (e *env) groups() map[store.ID]store.Group {
	e.t.Helper()
	all := map[store.ID]store.Group{}
	syncs := map[string]bool{}
	counts, err := e.Store.Counts(e.ctx)
	e.ok(err)
	for _, c := range counts {
		syncs[c.Sync] = true
	}
	for _, s := range e.shapes {
		syncs[s.Sync] = true
	}
	for sync := range syncs {
		for after := (store.ID{}); ; {
			page, err := e.Store.Groups(e.ctx, sync, "", after, 1000)
			e.ok(err)
			for _, g := range page {
				all[g.ID] = g
				after = g.ID
			}
			if len(page) < 1000 {
				break
			}
		}
	}
	return all
}

// raised folds and returns the groups whose generation is not what it was at
// the last call.
func (e *env) raised() []string {
	e.t.Helper()
	e.fold()
	var up []string
	for id, g := range e.groups() {
		if g.Generation < e.seen[id] {
			e.t.Errorf("%s: generation went back from %d to %d", id, e.seen[id], g.Generation)
		}
		if g.Generation != e.seen[id] {
			up = append(up, id.String())
		}
		e.seen[id] = g.Generation
	}
	sort.Strings(up)
	return up
}

// wantRaised folds and checks that exactly these groups ("sync/key") were
// raised since the last check.
func (e *env) wantRaised(want ...string) {
	e.t.Helper()
	slices.Sort(want)
	if got := e.raised(); !slices.Equal(got, want) {
		e.t.Errorf("raised %v, want %v", got, want)
	}
}

// id parses "sync/key".
func id(s string) store.ID {
	sync, key, _ := strings.Cut(s, "/")
	return store.ID{Sync: sync, Key: key}
}

// group reads one group.
func (e *env) group(s string) store.Group {
	e.t.Helper()
	g, err := e.Store.Group(e.ctx, id(s))
	if err != nil {
		e.t.Fatalf("group %s: %v", s, err)
	}
	return *g
}

// wantState checks a group's state.
func (e *env) wantState(s string, want store.State) {
	e.t.Helper()
	if g := e.group(s); g.State != want {
		e.t.Errorf("%s is %s, want %s (%+v)", s, g.State, want, g)
	}
}

// request asks for work of all syncs of the shop.
func (e *env) request(holder string, limit int) store.ClaimRequest {
	r := store.ClaimRequest{Holder: holder, Lease: time.Minute, Limit: limit}
	for _, s := range e.shapes {
		r.Syncs = append(r.Syncs, store.ClaimSync{Sync: s.Sync, Quiet: remoteQuiet})
	}
	return r
}

// claim claims up to limit groups.
func (e *env) claim(holder string, limit int) []store.Claim {
	e.t.Helper()
	c, err := e.Store.Claim(e.ctx, e.request(holder, limit))
	e.ok(err)
	return c
}

// claimOne claims and expects exactly this group.
func (e *env) claimOne(holder, want string) store.Claim {
	e.t.Helper()
	c := e.claim(holder, 10)
	if len(c) != 1 || c[0].ID.String() != want {
		e.t.Fatalf("claimed %v, want %s alone", claimed(c), want)
	}
	return c[0]
}

// claimed are the names of claims, in their order.
func claimed(cs []store.Claim) []string {
	names := make([]string, len(cs))
	for i, c := range cs {
		names[i] = c.ID.String()
	}
	return names
}

// result begins the result of a claim.
func result(c store.Claim, o store.Outcome) store.Result {
	return store.Result{ID: c.ID, Epoch: c.Epoch, Generation: c.Generation, Outcome: o}
}

// synced is the result of a claim that went well.
func synced(c store.Claim, remoteID string) store.Result {
	r := result(c, store.Synced)
	r.RemoteID, r.ExternalID, r.Digests, r.Calls = remoteID, "ext-"+c.Key, []byte("d"), 1
	return r
}

// record records and expects nothing stale.
func (e *env) record(rs ...store.Result) {
	e.t.Helper()
	stale, err := e.Store.Record(e.ctx, rs, nil)
	e.ok(err)
	if len(stale) != 0 {
		e.t.Errorf("stale: %v", stale)
	}
}

// syncAll claims and records until nothing is due. The remote ids are
// "r-" + key.
func (e *env) syncAll() {
	e.t.Helper()
	e.fold()
	for range 1000 {
		cs := e.claim("all", 500)
		if len(cs) == 0 {
			e.raised()
			return
		}
		var rs []store.Result
		for _, c := range cs {
			rs = append(rs, synced(c, "r-"+c.Key))
		}
		e.record(rs...)
	}
	e.t.Fatal("the claims never come to an end")
}

// equal compares two values by their printed form, types included.
func (e *env) equal(what string, got, want any) {
	e.t.Helper()
	if g, w := fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want); g != w {
		e.t.Errorf("%s is %s, want %s", what, g, w)
	}
}

// fmtAny prints values, for comparisons of several at once.
func fmtAny(vs ...any) string { return strings.TrimSuffix(fmt.Sprintln(vs...), "\n") }
