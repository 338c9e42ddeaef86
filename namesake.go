package upkeep

import (
	"context"
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Two groups with one external id would take turns with one record, and both
// count as clean. Only ids that a function of the user's makes can be the same.

// recordName is an external id of a sync.
type recordName struct{ sync, externalID string }

// distinct settles the jobs whose external id another group's record has, and
// records them; it returns the others.
func (r *runner) distinct(ctx context.Context, due []*job) (rest []*job) {
	r.namesakes(ctx, due)
	for _, j := range due {
		if j.done {
			r.record(j)
		} else {
			rest = append(rest, j)
		}
	}
	return rest
}

// namesakes asks the registry about the external ids of jobs, a query for each
// sync that makes its own.
func (r *runner) namesakes(ctx context.Context, due []*job) {
	jobs := map[string][]*job{}
	for _, j := range due {
		if j.def.ExternalID != nil && !j.done {
			jobs[j.claim.Sync] = append(jobs[j.claim.Sync], j)
		}
	}
	for sync, jobs := range jobs {
		ids := make(map[string]string, len(jobs))
		for _, j := range jobs {
			ids[j.claim.Key] = j.record.ExternalID
		}
		found, err := r.db.Namesakes(ctx, sync, ids)
		for _, j := range jobs {
			if err != nil {
				j.finish(store.Result{Outcome: store.Retry, Free: true, After: r.backoff(1), Reason: "look for other groups with its external id: " + err.Error()})
			} else if n, there := found[j.claim.Key]; there {
				j.shares(n)
			}
		}
	}
}

// shares decides what becomes of a job with the external id of another group.
func (j *job) shares(n store.Namesake) {
	other := store.ID{Sync: j.claim.Sync, Key: n.Key}
	switch ends := j.goal != present; {
	case ends && (j.claim.RemoteID == "" || j.claim.RemoteID == n.RemoteID):
		j.finish(store.Result{Outcome: store.Removed}) // the record is the other's
	case ends:
	case j.claim.RemoteID == "" && n.Behind && !n.Parked: // it may be about to be deleted
		j.finish(store.Result{Outcome: store.Retry, Free: true, After: time.Second, Reason: fmt.Sprintf("waits until %s, which has the external id %q too, is up to date", other, j.record.ExternalID)})
	default:
		j.refuse(fmt.Sprintf("its external id %q is also that of %s: make it from the whole primary key, or delete one of the rows, then run: upkeep retry %s", j.record.ExternalID, other, j.claim.Args()))
	}
}

// reserve takes external ids for jobs that are to be sent, until they are
// recorded: the registry does not know of them before. Those whose id another
// job has come again. The registry is asked afterwards: what another job has
// made before it gave its id back is in there by then.
func (r *runner) reserve(due []*job) (rest []*job) {
	for _, j := range due {
		if j.def.ExternalID != nil {
			r.mu.Lock()
			id := recordName{j.claim.Sync, j.record.ExternalID}
			key, taken := r.reserved[id]
			if !taken {
				r.reserved[id] = j.claim.Key
			}
			r.mu.Unlock()
			if taken && key != j.claim.Key {
				j.finish(store.Result{Outcome: store.Released, After: originPause})
				r.record(j)
				continue
			}
		}
		rest = append(rest, j)
	}
	return rest
}

// release gives back what is reserved for a job. The runner is locked.
func (r *runner) release(j *job) {
	id := recordName{j.claim.Sync, j.record.ExternalID}
	if r.reserved[id] == j.claim.Key {
		delete(r.reserved, id)
	}
}

// clash looks once more when results are recorded: another process may have
// made the same record at the same time. Both groups are then raised, and
// parked when their turn comes.
func (e *Engine) clash(ctx context.Context, results []store.Result) {
	ids := map[string]map[string]string{}
	for _, res := range results {
		if e.byName[res.Sync].ExternalID == nil || res.Outcome != store.Synced && res.Outcome != store.Partial || res.Attempt == nil {
			continue
		}
		if ids[res.Sync] == nil {
			ids[res.Sync] = map[string]string{}
		}
		ids[res.Sync][res.Key] = res.ExternalID
	}
	for sync, ids := range ids {
		found, err := e.db.Namesakes(ctx, sync, ids)
		var touches []store.Touch
		for key, n := range found {
			if n.RemoteID != "" {
				for _, k := range []string{key, n.Key} {
					touches = append(touches, store.Touch{ID: store.ID{Sync: sync, Key: k}, Force: true})
				}
			}
		}
		if err == nil && len(touches) > 0 {
			err = e.db.Append(ctx, nil, touches)
		}
		if err != nil {
			e.log.Error("can't look whether records are shared; their next change will", "sync", sync, "error", err)
		}
	}
}
