package storetest

import (
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func interventionTests() []test {
	return []test{{"listed and kept", testInterventions}}
}

// What was done by hand is listed, the newest first, and goes after a year.
func testInterventions(e *env) {
	did := func(sync, key string, limit int) (got string) {
		e.t.Helper()
		all, err := e.Store.Interventions(e.ctx, sync, key, limit)
		e.ok(err)
		for _, i := range all {
			got += fmt.Sprint(i.By, " ", i.Did, " ", i.Remote, i.Sync, " ", i.Key, " ", i.Detail, "; ")
			if i.At.Location() != time.UTC || i.At.IsZero() {
				e.t.Errorf("it was done at %v", i.At)
			}
		}
		return got
	}
	note := func(i store.Intervention) {
		e.t.Helper()
		e.ok(e.Store.NoteIntervention(e.ctx, i))
	}
	e.equal("at first", did("", "", 10), "")
	note(store.Intervention{By: "ann@desk", Did: "pause", Remote: "netsuite", Detail: "the period closes"})
	e.Advance(store.InterventionsKept - time.Hour)
	note(store.Intervention{By: "bob@desk", Did: "retry", Sync: "order", Key: "7"})
	note(store.Intervention{By: "bob@desk", Did: "retry", Sync: "order"})
	note(store.Intervention{By: "ann@desk", Did: "skip", Sync: "customer", Key: "7"})
	e.equal("all", did("", "", 10), "ann@desk skip customer 7 ; bob@desk retry order  ; bob@desk retry order 7 ; ann@desk pause netsuite  the period closes; ")
	e.equal("the newest", did("", "", 1), "ann@desk skip customer 7 ; ")
	e.equal("of a sync", did("order", "", 10), "bob@desk retry order  ; bob@desk retry order 7 ; ")
	e.equal("of a group", did("order", "7", 10), "bob@desk retry order 7 ; ")
	e.ok(e.Store.PruneInterventions(e.ctx))
	e.equal("the oldest within the year", did("", "", 10)[len(did("", "", 3)):], "ann@desk pause netsuite  the period closes; ")
	e.Advance(2 * time.Hour)
	e.ok(e.Store.PruneInterventions(e.ctx))
	e.equal("after a year", did("", "", 10), "ann@desk skip customer 7 ; bob@desk retry order  ; bob@desk retry order 7 ; ")
}
