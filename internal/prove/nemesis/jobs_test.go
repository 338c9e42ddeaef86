package nemesis

import (
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/prove/ledger"
)

// withJobs lets backfills go in small jobs, so that there are some at once: of
// customers that nobody changes meanwhile, as what changes goes by itself.
func (w *world) withJobs() {
	w.config.Jobs = connector.Bulk{From: 2, Most: 8, Poll: 100 * time.Millisecond}
	w.place.Worker.Jobs = w.config.Jobs
	w.place.Remote.Pace(20 * time.Millisecond)
	w.customers(2001, 2040)
}

// killInJobs kills a worker while jobs run at the remote.
func killInJobs(w *world) {
	w.sendInJobs("a job to run", func() bool { running, _ := w.place.Remote.Jobs(); return running > 0 })
	kill(w)
	w.jobsEnd()
}

// ofJobs is a fault that befalls one job while others run.
func ofJobs(name string, f ledger.Fault) fault {
	f.Times = 1
	return fault{name: "jobs: " + name, class: upsert, times: 1, jobs: true, inject: func(w *world) {
		was := w.place.Remote.Struck(f.Kind)
		w.place.Remote.Fail(f)
		w.sendInJobs("the fault to strike", func() bool { return w.place.Remote.Struck(f.Kind) > was })
		w.jobsEnd()
	}}
}

// sendInJobs sends all records again until it has come so far. The requests of
// changes may be faster than the jobs, and leave them nothing: then once more.
func (w *world) sendInJobs(what string, so func() bool) {
	w.t.Helper()
	var sent time.Time
	w.until(what, func() bool {
		if so() {
			return true
		}
		if time.Since(sent) > 10*time.Second {
			sent = time.Now()
			if err := w.place.SendAll(w.ctx); err != nil && w.ctx.Err() == nil {
				w.t.Fatal(err)
			}
		}
		return false
	})
}

// jobsEnd waits for the remote's side of them.
func (w *world) jobsEnd() {
	w.until("the jobs to end", func() bool { running, _ := w.place.Remote.Jobs(); return running == 0 })
	w.progress(10)
}
