package upkeep

import (
	"context"
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

const (
	// obeys is how long a connector has to end a call whose context has ended.
	obeys = time.Second
	// hungTold is how many groups of calls that do not end are named.
	hungTold = 5
)

// calling notes of which groups calls are under way.
func (r *runner) calling(batch []*job, now bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, j := range batch {
		if now {
			r.under[j.claim.ID] = true
		} else {
			delete(r.under, j.claim.ID)
		}
	}
}

// ended waits until calls and then all has ended, or nothing but calls is left that
// do not end with their contexts, as drain is over: these are the error. What they
// answer is written down if it comes before their groups' leases are over. A
// database that does not answer is no such call: what is written has its own time.
func (r *runner) ended(drain context.Context, calls, all <-chan struct{}) error {
	select {
	case <-all:
		return nil
	case <-drain.Done():
	}
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for began := time.Now(); ; {
		select {
		case <-calls:
			<-all
			return nil
		case now := <-look.C:
			waited := now.Sub(began)
			r.mu.Lock()
			unwritten := r.pending - len(r.under)
			r.mu.Unlock()
			if waited > obeys+recordTimeout || waited > obeys && unwritten <= 0 {
				return r.hung()
			}
		}
	}
}

// hung is the error of calls that do not end.
func (r *runner) hung() error {
	r.mu.Lock()
	var ids []store.ID
	for id := range r.under {
		if len(ids) < hungTold {
			ids = append(ids, id)
		}
	}
	n := len(r.under)
	r.mu.Unlock()
	what := "calls for a bulk job"
	switch {
	case n > len(ids):
		what = fmt.Sprintf("calls for %d groups, %s among them", n, joinIDs(ids))
	case n > 0:
		what = "calls for " + joinIDs(ids)
	}
	return fmt.Errorf("the connector of %s does not end when its context does (Config.Drain is %s): %s are still under way and were left; what becomes of them is not known: once the lease is over they are in doubt, and are settled by themselves", r.remote.Name, r.cfg.Drain, what)
}
