package upkeep

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// promise begins the remote id of a record that is not there yet.
const promise = "(record of "

func promised(remoteID string) bool { return strings.HasPrefix(remoteID, promise) }

// promising answers that every record that is not there yet will be, but for
// those of which nothing is sent before something changes.
type promising struct {
	store.Store
	installed bool
	unchanged map[string]bool   // syncs that no sweep goes over, as they are installed
	comes     map[store.ID]bool // what was found out
	// made says whether a sweep with the new declaration would make a record; first
	// says it of those that have no group yet, in comes.
	made  func(context.Context, store.ID) (bool, error)
	first func(ctx context.Context, sync string, keys []string) error
}

// promised: a group that is parked, or settled without a record, stays as it is;
// one that waits comes when all come that it waits for.
func (p promising) promised(ctx context.Context, id store.ID, depth int) (comes bool, err error) {
	if comes, known := p.comes[id]; known || depth > promisedMost {
		return comes || !known, nil
	}
	defer func() { p.comes[id] = comes }()
	p.comes[id] = true // of a circle
	if !p.unchanged[id.Sync] {
		return p.made(ctx, id)
	}
	g, err := p.Store.Group(ctx, id)
	switch {
	case errors.Is(err, store.ErrNoGroup):
		return true, nil
	case err != nil:
		return false, err
	case g.RemoteID != "":
		return true, nil
	case g.State == store.Waiting:
		for _, other := range g.WaitsFor {
			if comes, err := p.promised(ctx, other, depth+1); err != nil || !comes {
				return false, err
			}
		}
	}
	return g.State != store.Parked && g.State != store.Gone, nil
}

const promisedMost = 50 // references that a record hangs on, one after the other

func (p promising) Records(ctx context.Context, ids []store.ID) (map[store.ID]store.RecordState, error) {
	found := map[store.ID]store.RecordState{}
	if p.installed {
		var err error
		if found, err = p.Store.Records(ctx, ids); err != nil {
			return nil, err
		}
	}
	fresh := map[string][]string{}
	for _, id := range ids {
		_, group := found[id]
		if _, known := p.comes[id]; !group && !known {
			fresh[id.Sync] = append(fresh[id.Sync], id.Key)
		}
	}
	for sync, keys := range fresh {
		if err := p.first(ctx, sync, keys); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		r := found[id]
		if r.RemoteID == "" {
			comes, err := p.promised(ctx, id, 0)
			if err != nil {
				return nil, err
			}
			if !comes {
				continue
			}
			r.RemoteID = promise + id.String() + ")"
		}
		found[id] = store.RecordState{RemoteID: r.RemoteID, ExternalID: r.ExternalID} // up to date by then
	}
	return found, nil
}

// Waits has no registry to ask before one is installed.
func (p promising) Waits(ctx context.Context, ids []store.ID, limit int) (map[store.ID][]store.ID, error) {
	if !p.installed {
		return map[store.ID][]store.ID{}, nil
	}
	return p.Store.Waits(ctx, ids, limit)
}

// Namesakes has no registry to ask before one is installed.
func (p promising) Namesakes(ctx context.Context, sync string, among []string, externalIDs map[string]string) (map[string]store.Namesake, error) {
	if !p.installed {
		return nil, nil
	}
	return p.Store.Namesakes(ctx, sync, among, externalIDs)
}

// made: what a changed declaration lets go may still be refused, left out or wait.
func (f *forecaster) made(ctx context.Context, id store.ID) (bool, error) {
	if !f.changed[id.Sync] || f.deep >= promisedMost {
		return true, nil
	}
	f.deep++
	defer func() { f.deep-- }()
	claim := store.Claim{ID: id}
	g, err := f.promises.Store.Group(ctx, id)
	switch {
	case err == nil && g.RemoteID != "":
		return true, nil
	case err == nil:
		claim = claimOf(*g)
	case !errors.Is(err, store.ErrNoGroup):
		return false, err
	}
	j, err := f.rehearse(ctx, f.byName[id.Sync], claim)
	if err != nil {
		return false, err
	}
	what, _ := j.rehearsed()
	return what == "create", nil
}

// first finds out which of a sync's rows that have no group yet would get a record:
// a row that is not there gets none, and one that is left out, refused or waits
// itself neither.
func (f *forecaster) first(ctx context.Context, sync string, keys []string) error {
	d := f.byName[sync]
	jobs := make([]*job, len(keys))
	for i, key := range keys {
		jobs[i] = &job{def: d, claim: store.Claim{ID: store.ID{Sync: sync, Key: key}}}
		f.promises.comes[jobs[i].claim.ID] = !d.ByHand // of a circle
	}
	if d.ByHand || f.deep >= promisedMost {
		return nil // such a group is for the application to register
	}
	f.deep++
	defer func() { f.deep-- }()
	for again, times := true, 0; again && times < promisedMost; times++ { // those of the piece may refer to one another
		again = false
		rest := jobs[:0:0]
		shape := f.shape(sync)
		err := f.loadAll(ctx, shape, jobs, func(jobs []*job) error {
			if err := f.prepare(ctx, newRunner(f.Engine, d.To), shape, jobs); err != nil {
				return err
			}
			for _, j := range jobs {
				if what, _ := j.rehearsed(); what == "create" {
					rest = append(rest, &job{def: d, claim: j.claim})
					continue
				}
				f.promises.comes[j.claim.ID] = false
				again = again || slices.Contains(d.RefersTo, sync)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if jobs = rest; len(jobs) == 0 {
			break
		}
	}
	return nil
}
