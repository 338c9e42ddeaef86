package storetest

import (
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func noteTests() []test {
	return []test{{"plans", testPlanNotes}}
}

func testPlanNotes(e *env) {
	none, err := e.Store.Plans(e.ctx)
	e.ok(err)
	e.equal("notes of plans at first", len(none), 0)
	note := func(plan, holder string) {
		e.t.Helper()
		e.ok(e.Store.NotePlan(e.ctx, store.PlanNote{Plan: plan, Holder: holder, Syncs: map[string]string{"sales_order": plan}}))
		e.Advance(time.Second)
	}
	note("a", "first")
	note("b", "second")
	note("b", "a third, with the same")
	note("a", "first")
	all, err := e.Store.Plans(e.ctx)
	e.ok(err)
	got := ""
	for i, n := range all {
		got += fmt.Sprint(n.Plan, " ", n.Holder, " ", n.Syncs, "; ")
		if n.At.Location() != time.UTC || i > 0 && !n.At.Before(all[i-1].At) {
			e.t.Errorf("note %d is of %v, the one before of %v", i, n.At, all[max(0, i-1)].At)
		}
	}
	e.equal("notes, the newest first", got, "a first map[sales_order:a]; b second map[sales_order:b]; a first map[sales_order:a]; ")
	for i := range 2 * store.PlansKept {
		note(fmt.Sprint(i), "many")
	}
	all, err = e.Store.Plans(e.ctx)
	e.ok(err)
	e.equal("notes that are kept", len(all), store.PlansKept)
	e.equal("the newest of them", all[0].Plan, fmt.Sprint(2*store.PlansKept-1))
}
