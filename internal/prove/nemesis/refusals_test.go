package nemesis

import (
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/upkeep-sync/upkeep/internal/prove/ledger"
)

// failOften answers a third of the requests of all workers with a 5xx, half of
// them once they were applied.
func failOften(w *world) {
	was := w.place.Remote.Struck(ledger.Status)
	w.place.Remote.Fail(
		ledger.Fault{Kind: ledger.Status, Status: http.StatusInternalServerError, Chance: 0.15},
		ledger.Fault{Kind: ledger.Status, Status: http.StatusServiceUnavailable, Applied: true, Chance: 0.18},
	)
	for n := range 20 {
		w.struck(ledger.Status, was+n)
	}
	w.place.Remote.Heal()
}

// throttle takes ten requests a second while the application writes more than that
// can carry. What is over the limit before anybody is told can't be bounded: all
// come back at once when the peace is over that the remote asked for. In the peace,
// once all have heard of it, at most one request of fifty comes.
func throttle(w *world) {
	w.place.Remote.Limit(10)
	w.until("the remote to have asked for peace", func() bool { return w.place.Remote.Throttled().Asked >= 3 })
	got := w.place.Remote.Throttled()
	spent := w.one("select count(*) from " + w.table("groups") + " where attempts > 0")
	w.place.Remote.Limit(0)
	w.t.Logf("%+v", got)
	if got.Heedless*50 > got.Calls {
		w.t.Errorf("of %d requests %d came while the remote had asked for peace", got.Calls, got.Heedless)
	}
	if spent != "0" {
		w.t.Errorf("%s groups have attempts to show for the remote's limit", spent)
	}
	w.progress(10)
}

// poison makes a hundred customers, of whom the remote refuses one: it is parked,
// and delays none of the others.
func poison(w *world) {
	const others = 99
	first := w.fresh()
	w.last += others
	refused := fmt.Sprintf("customer/customer-%d", first)
	w.place.Remote.Refuse(refused)
	if w.place.Refused == nil {
		w.place.Refused = map[string]bool{}
	}
	w.place.Refused[refused] = true
	w.customers(first, first+others)
	w.until("it to be parked, and the others to be there", func() bool {
		return w.one(fmt.Sprintf("select count(*) from %s where sync = 'customer' and cast(key as integer) between %d and %d and (cast(key as integer) = %[2]d) = parked and parked = (coalesce(remote_id, '') = '')",
			w.table("groups"), first, first+others)) == fmt.Sprint(others+1)
	})
}

// customers makes those that are not there yet.
func (w *world) customers(first, last int) {
	w.exec(fmt.Sprintf("with recursive n(i) as (select %d union all select i + 1 from n where i < %d) insert into customers(id, name) select i, 'one of many' from n", first, last))
}

// creates is how many of them lose their answers at a time.
const creates = 50

// loseCreates lets half of all creates be applied without an answer, one request
// for each, until so many were.
func loseCreates(w *world) {
	if w.config.Batch != 1 {
		w.config.Batch = 1
		for _, p := range w.workers {
			p.Signal(syscall.SIGTERM)
			<-p.Done()
		}
		for range processes {
			w.start()
		}
		w.ready()
	}
	was := w.place.Remote.Struck(ledger.Reset)
	w.place.Remote.Fail(ledger.Fault{Kind: ledger.Reset, Verb: "create", Applied: true, Chance: 0.5, Times: creates})
	next := time.Now()
	w.until("creates to lose their answers", func() bool {
		if time.Now().After(next) {
			next = time.Now().Add(500 * time.Millisecond)
			first := w.fresh()
			w.last += 9
			w.customers(first, first+9)
		}
		return w.place.Remote.Struck(ledger.Reset) >= was+creates
	})
	w.place.Remote.Heal()
}
