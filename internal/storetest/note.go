package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func noteTests() []test {
	return []test{{"plans", testPlanNotes}, {"failures", testFailureNotes}}
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

func testFailureNotes(e *env) {
	failures := func() (got string) {
		e.t.Helper()
		all, err := e.Store.Failures(e.ctx, time.Minute)
		e.ok(err)
		for _, f := range all {
			got += fmt.Sprint(f.Stage, " ", f.Holder, " ", f.Reason, ", since ", f.At.Sub(f.Since).Round(10*time.Second), "; ")
		}
		return got
	}
	fail := func(stage, holder, why string) {
		e.t.Helper()
		e.ok(e.Store.NoteFailure(e.ctx, stage, holder, errors.New(why)))
	}
	e.equal("failures at first", failures(), "")
	fail("fold", "first", "no right")
	fail("care", "second", "no table")
	e.Advance(40 * time.Second)
	fail("fold", "first", "no right at all")
	e.equal("failures", failures(), "care second no table, since 0s; fold first no right at all, since 40s; ")
	e.Advance(40 * time.Second)
	e.equal("failures but those of one who died", failures(), "fold first no right at all, since 40s; ")
	e.ok(e.Store.NoteWell(e.ctx, "fold", "second"))
	e.equal("failures when another one works", failures(), "fold first no right at all, since 40s; ")
	e.ok(e.Store.NoteWell(e.ctx, "fold", "first"))
	e.equal("failures when it works", failures(), "")
}
