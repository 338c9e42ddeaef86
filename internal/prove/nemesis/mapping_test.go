package nemesis

import (
	"fmt"
	"syscall"
	"time"

	"github.com/upkeep-sync/upkeep/internal/prove/shop"
	"github.com/upkeep-sync/upkeep/internal/prove/worker"
)

// deployAnother starts a worker with another mapping beside the old ones. These
// end, and their supervisors start them again with the old one, which takes over in
// turn, until they are stopped one by one. Every other time the application does
// not write meanwhile: then only the deployment can bring the records up to date.
func deployAnother(w *world) {
	w.place.Another()
	w.config.Edition = w.place.Worker.Edition
	old := w.workers[len(w.workers)-processes:]
	if w.config.Edition%2 == 0 {
		w.start()
		w.progress(10)
		w.replace(old, func() { w.written(20) })
		w.progress(10)
		return
	}
	w.between.Lock()
	defer w.between.Unlock()
	was := w.plan()
	w.start()
	w.ready()
	w.replace(old, func() {})
	w.until("the new plan", func() bool { return w.plan() != was }) // the old ones may have taken over last
	w.rest()
	want, err := shop.Expect(w.ctx, w.place.App, w.config.Edition)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range w.place.Remote.Records() {
		got := string(r.Fields["edition"])
		if got != fmt.Sprint(w.config.Edition) && w.place.Worker.Class != blind && !want.Kept(r.Type+"/"+r.ExternalID) {
			w.t.Errorf("%s/%s is of mapping %s, and counts as clean under %d", r.Type, r.ExternalID, got, w.config.Edition)
		}
	}
}

// replace stops the old workers, and has as many of the new as there were.
func (w *world) replace(old []*worker.Process, between func()) {
	for i, p := range old {
		p.Signal(syscall.SIGTERM)
		<-p.Done()
		if i > 0 {
			w.start()
			between()
		}
	}
}

// rest waits until nothing was to do for a while, in which a worker would have been
// started again. What waits for a parked record is not to be done.
func (w *world) rest() {
	busy := time.Now()
	w.until("rest", func() bool {
		if w.busy() {
			busy = time.Now()
		}
		return time.Since(busy) > time.Second
	})
}
