package upkeep

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// HeldDeletes is a sync whose limit of deletes was reached.
//
//	Sync  string
//	Held  int64     // groups that are parked for it
//	Later int64     // how many of these have later versions, which wait behind the deletion
//	Since time.Time // when the first was held
type HeldDeletes = store.HeldDeletes

// HeldDeletes lists the syncs whose limit of deletes was reached
// ([Mapping].DeleteLimit), by name. What was held stays so when the limit is
// raised, or taken away: [Engine.AllowDeletes] lets it go, since the configuration
// does not say that somebody has looked at it.
func (e *Engine) HeldDeletes(ctx context.Context) ([]HeldDeletes, error) {
	all, err := e.db.HeldDeletes(ctx)
	return e.stillHeld(all), err
}

// stillHeld leaves out syncs that have no limit any more and hold nothing: what is
// deleted from now on goes.
func (e *Engine) stillHeld(all []HeldDeletes) []HeldDeletes {
	return slices.DeleteFunc(all, func(h HeldDeletes) bool { return h.Held == 0 && e.unlimited(h.Sync) })
}

// unlimited says whether a sync's deletes have no limit.
func (e *Engine) unlimited(sync string) bool {
	d := e.byName[sync]
	return d != nil && d.DeleteLimit < 0
}

// AllowDeletes lets n deletes of a sync go, beside its limit, and returns how
// many of the groups that were held these are. If more are held, no more than n
// go and the others stay held; else the limit counts anew from then on. With n 0
// it ends a hold that holds none, such as one after a restore.
func (e *Engine) AllowDeletes(ctx context.Context, sync string, n int) (int64, error) {
	all, err := e.db.HeldDeletes(ctx)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(all, func(h HeldDeletes) bool { return h.Sync == sync })
	if _, err := e.definition(sync); err != nil && i < 0 { // of one that left the configuration a hold may be left
		return 0, err
	}
	if n < 1 && (n < 0 || i < 0 || all[i].Held > 0) {
		return 0, fmt.Errorf("%d deletes of %s can't be allowed; say how many of those that are held", n, sync)
	}
	if err := e.intervene(ctx, Intervention{Did: "allow deletes", Sync: sync, Detail: fmt.Sprint(n)}); err != nil {
		return 0, err
	}
	return e.db.AllowDeletes(ctx, sync, n)
}

// limitDeletes parks the deletes that are over the limit of their sync, and
// returns the other jobs.
func (r *runner) limitDeletes(ctx context.Context, due []*job) []*job {
	deletes := map[*definition]int{}
	for _, j := range due {
		if r.spends(j) {
			deletes[j.def]++
		}
	}
	if len(deletes) == 0 {
		return due
	}
	granted := map[*definition]*store.Grant{}
	for d, n := range deletes {
		got, err := r.db.SpendDeletes(ctx, d.Name, n, d.DeleteLimit)
		if err != nil { // then none goes, and all come again
			r.log.Error("the limit of deletes can't be asked for", "sync", d.Name, "error", err)
			continue
		}
		granted[d] = &got
		r.sayHeld(d.Name, n-got.Deletes)
	}
	var rest []*job
	left := map[*definition]int{}
	for d, g := range granted {
		left[d] = g.Deletes
	}
	for _, j := range due {
		switch {
		case !r.spends(j):
			rest = append(rest, j)
			continue
		case left[j.def] > 0:
			left[j.def]--
			j.spent = granted[j.def]
			rest = append(rest, j)
			continue
		case granted[j.def] == nil:
			j.finish(store.Result{Outcome: store.Retry, Free: true, After: r.backoff(1), Reason: "the limit of deletes can't be asked for"})
		default:
			j.refuse(store.DeleteHeld)
		}
		r.record(j)
	}
	return rest
}

// sayHeld logs that deletes are held: when it begins, and each time that it is
// twice as many, as far as this process has seen. None held: it is over.
func (r *runner) sayHeld(sync string, n int) {
	r.mu.Lock()
	h := r.deletesHeld[sync]
	h.seen += n
	if n == 0 {
		h = deletesHeld{}
	}
	say := n > 0 && h.seen >= 2*h.told
	if say {
		h.told = h.seen
	}
	r.deletesHeld[sync] = h
	r.mu.Unlock()
	if say {
		r.log.Warn("more records are to be deleted than the limit allows; they wait until a person allows them", "sync", sync, "held", h.seen, "see", "upkeep deletes "+sync)
	}
}

// deletesHeld is how many deletes of a sync were held since one was granted
// last, and how many were told.
type deletesHeld struct{ seen, told int }

// freeDeletes lets go what was parked as held though a person has allowed
// deletes meanwhile. What fails here is done by the next look.
func (e *Engine) freeDeletes(ctx context.Context, batch []*job) {
	var syncs []string
	for _, j := range batch {
		if j.result.Outcome == store.Refused && j.result.Reason == store.DeleteHeld && !slices.Contains(syncs, j.def.Name) {
			syncs = append(syncs, j.def.Name)
		}
	}
	if len(syncs) == 0 {
		return
	}
	if _, err := e.db.FreeDeletes(ctx, syncs); err != nil {
		e.log.Error("can't look whether deletes were allowed meanwhile; looking again later", "syncs", syncs, "error", err)
	}
}

// returnDeletes gives back what was granted to deletes that did not go, and
// that are counted when they are tried again: there was no slot, or the remote
// would take nothing. Of a process that dies before it comes here the count
// stays, and rather too few go than too many.
func (e *Engine) returnDeletes(ctx context.Context, batch []*job) {
	back := map[grantOf]int{}
	for _, j := range batch {
		if j.unspent(j.result) {
			back[grantOf{j.def.Name, j.spent.Restored}]++
		}
	}
	for of, n := range back {
		if err := e.db.ReturnDeletes(ctx, of.sync, n, store.Grant{Restored: of.restored}); err != nil {
			e.log.Error("deletes that did not go stay counted; a person may have to allow them", "sync", of.sync, "deletes", n, "error", err)
		}
	}
}

// unspent: a delete that was granted did not go.
func (j *job) unspent(res store.Result) bool {
	return j.spent != nil && (res.Outcome == store.Released || res.Outcome == store.Retry && res.Free)
}

// grantOf is what deletes that are given back were granted to, and when.
type grantOf struct {
	sync     string
	restored time.Time
}

// spends: a delete counts once, and not each time that it is tried. One of a
// process that died counts again: whether it was granted is not known. In a
// registry that was restored it counts each time: that every record is forced
// then must let no delete past a person. What is not known to be there is looked
// for first, and counts when it was found.
func (r *runner) spends(j *job) bool {
	return j.limited() && j.claim.RemoteID != "" && (!j.claim.Granted || r.provenance.restored.Load())
}

// limited says whether a job is a delete of a sync that has a limit of them.
func (j *job) limited() bool { return j.goal == absent && j.def.DeleteLimit >= 0 }
