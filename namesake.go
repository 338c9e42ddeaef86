package upkeep

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Two groups with one external id would take turns with one record, and both
// count as clean.

// recordName is what a record is known by at a remote.
type recordName struct{ record, externalID string }

// namesakes tells each definition among which syncs its external ids could be
// another group's as well: those that make records of its type, if one of them
// makes its ids by a function of the user's, or has a name that another one's ids
// could begin with. None otherwise: there is nothing to ask then.
func namesakes(defs []*definition) {
	for _, d := range defs {
		alike, possible := []string(nil), false
		for _, other := range defs {
			if other.To != d.To || other.Record != d.Record {
				continue
			}
			alike = append(alike, other.Name)
			possible = possible || other.ExternalID != nil ||
				strings.HasPrefix(other.Name, d.Name+"-") || strings.HasPrefix(d.Name, other.Name+"-")
		}
		if possible {
			d.among = alike
		}
	}
}

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

// namesakes asks the registry about the external ids of jobs that could be
// another's, a query for each sync.
func (r *runner) namesakes(ctx context.Context, due []*job) {
	jobs := map[string][]*job{}
	for _, j := range due {
		if j.def.among != nil && !j.done {
			jobs[j.claim.Sync] = append(jobs[j.claim.Sync], j)
		}
	}
	for sync, jobs := range jobs {
		ids := make(map[string]string, len(jobs))
		for _, j := range jobs {
			ids[j.claim.Key] = j.record.ExternalID
		}
		found, err := r.db.Namesakes(ctx, sync, r.byName[sync].among, ids)
		for _, j := range jobs {
			if err != nil {
				j.finish(store.Result{Outcome: store.Retry, Free: true, After: r.backoff(1), Reason: "look for other groups with its external id: " + err.Error()})
			} else if n, there := found[j.claim.Key]; there {
				j.shares(n)
			}
		}
	}
}

// madeName is a digest of the remote and the recordName of a record that a forecast
// would make: there may be a million of them.
type madeName [16]byte

// unlike refuses the jobs of a forecast that would make a record which another one
// would make before them: the registry knows of neither.
func (f *forecaster) unlike(jobs []*job) {
	for _, j := range jobs {
		if what, _ := j.rehearsed(); j.def.among == nil || what != "create" {
			continue
		}
		sum := sha256.Sum256([]byte(strings.Join([]string{j.def.To.Name, j.record.Type, j.record.ExternalID}, "\x00")))
		name := madeName(sum[:16])
		if other, taken := f.makes[name]; !taken {
			f.makes[name] = j.claim.ID
		} else if other != j.claim.ID {
			j.shares(store.Namesake{ID: other})
		}
	}
}

// shares decides what becomes of a job with the external id of another group.
func (j *job) shares(n store.Namesake) {
	switch ends := j.goal != present; {
	case ends && (j.claim.RemoteID == "" || j.claim.RemoteID == n.RemoteID):
		j.finish(store.Result{Outcome: store.Removed}) // the record is the other's
	case ends:
	case j.claim.RemoteID == "" && n.Behind && !n.Parked: // it may be about to be deleted
		j.finish(store.Result{Outcome: store.Retry, Free: true, After: time.Second, Reason: fmt.Sprintf("waits until %s, which has the external id %q too, is up to date", n.ID, j.record.ExternalID)})
	default:
		cure := "make it from the whole primary key"
		if n.Sync != j.claim.Sync {
			cure = "two syncs can't write one record: let their ids differ, or make one sync of the two"
		}
		j.refuse(fmt.Sprintf("its external id is taken: %q is also that of %s: %s, or delete one of the rows, then run: upkeep retry %s", j.record.ExternalID, n.ID, cure, j.claim.Args()))
	}
}

// reserve takes external ids for jobs that are to be sent, until they are
// recorded: the registry does not know of them before. Those whose id another
// job has come again. The registry is asked afterwards: what another job has
// made before it gave its id back is in there by then.
func (r *runner) reserve(due []*job) (rest []*job) {
	for _, j := range due {
		if j.def.among != nil {
			r.mu.Lock()
			name := recordName{j.record.Type, j.record.ExternalID}
			holder, taken := r.reserved[name]
			if !taken {
				r.reserved[name] = j.claim.ID
			}
			r.mu.Unlock()
			if taken && holder != j.claim.ID {
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
	name := recordName{j.record.Type, j.record.ExternalID}
	if r.reserved[name] == j.claim.ID {
		delete(r.reserved, name)
	}
}

// clash looks once more when results are recorded: another process may have
// made the same record at the same time. Both groups are then raised, and
// parked when their turn comes.
func (e *Engine) clash(ctx context.Context, results []store.Result) {
	ids := map[string]map[string]string{}
	for _, res := range results {
		if e.byName[res.Sync].among == nil || res.Outcome != store.Synced && res.Outcome != store.Partial || res.Attempt == nil {
			continue
		}
		if ids[res.Sync] == nil {
			ids[res.Sync] = map[string]string{}
		}
		ids[res.Sync][res.Key] = res.ExternalID
	}
	for sync, ids := range ids {
		found, err := e.db.Namesakes(ctx, sync, e.byName[sync].among, ids)
		var touches []store.Touch
		for key, n := range found {
			if n.RemoteID != "" {
				for _, id := range []store.ID{{Sync: sync, Key: key}, n.ID} {
					touches = append(touches, store.Touch{ID: id, Force: true})
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
