package nemesis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/prove/oracle"
	"github.com/upkeep-sync/upkeep/internal/prove/worker"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// table is how SQL names one of the registry's.
func (w *world) table(name string) string {
	if w.filed() {
		return "upkeep_" + name
	}
	return "upkeep." + name
}

// known are the groups.
func (w *world) known() ([]store.Group, error) {
	if w.store == nil {
		db, err := worker.Open(w.ctx, w.place.Worker, &worker.Points{})
		if err != nil {
			return nil, err
		}
		w.t.Cleanup(func() { _ = db.Close() })
		w.store = db
	}
	return oracle.Groups(w.ctx, w.store)
}

// groups says how many groups are in which state, and how the remote stands, for a
// wait in vain.
func (w *world) groups() string {
	of := map[string]int{}
	list, err := w.known()
	for _, g := range list {
		what := string(g.State)
		if g.Reason != "" {
			what += ": " + g.Reason
		}
		if g.RemoteID != "" {
			what += ", with a record"
		}
		if !g.InDoubtUntil.IsZero() {
			what += ", in doubt"
		}
		of[what]++
	}
	text := fmt.Sprint(of)
	if err == nil {
		var h store.Health
		h, err = w.store.Health(w.ctx, "ledger")
		text += fmt.Sprintf("; the remote is %+v", h)
	}
	if err != nil {
		text = "not known: " + err.Error()
	}
	for _, p := range w.workers {
		log := p.Log()
		text += "\n" + log[max(0, len(log)-2000):]
	}
	return text
}

// nothingKnown: no record is known to be there of which more can be sent, and
// some may have been made.
func (w *world) nothingKnown() bool {
	return w.mayBeMade() && !w.ofBlind(func(g store.Group) bool {
		return g.RemoteID != "" && g.State != store.Parked && g.State != store.Waiting
	})
}

// mayBeMade: some may have been made.
func (w *world) mayBeMade() bool {
	return w.ofBlind(func(g store.Group) bool { return g.State == store.Parked })
}

// ofBlind says whether the remote can't look anything up and this is so of a group.
func (w *world) ofBlind(so func(store.Group) bool) bool {
	if w.place.Worker.Class != connector.Blind {
		return false
	}
	list, err := w.known()
	return err == nil && slices.ContainsFunc(list, so)
}

// plan is the one that is installed.
func (w *world) plan() string {
	if w.filed() {
		return w.one("select coalesce((select value from upkeep_settings where name = 'plan'), '')")
	}
	return w.one("select coalesce(plan, '') from upkeep.settings")
}

// busy says whether something is to be done. What waits for a parked record is not.
func (w *world) busy() bool {
	waits := "waits_for = '{}'"
	if w.filed() {
		waits = "waiting = 0"
	}
	n := w.one(strings.NewReplacer("TOUCH", w.table("touch"), "SYNCS", w.table("syncs"), "GROUPS", w.table("groups"), "PASS", w.pass()).Replace(
		`select (select count(*) from TOUCH) + (select count(*) from SYNCS where PASS <> '')
			+ (select count(*) from GROUPS where generation > synced_generation and not parked and ` + waits + ")"))
	return n != "0"
}

// pass is the column that says of a sync that it is swept.
func (w *world) pass() string {
	if w.filed() {
		return "phase"
	}
	return "pass"
}
