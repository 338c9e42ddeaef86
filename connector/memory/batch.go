package memory

import (
	"context"

	"github.com/upkeep-sync/upkeep/connector"
)

func (c *connection) Batch(string) connector.Batch {
	return connector.Batch{Most: c.remote.config.Batch, Mixed: true}
}

func (c *connection) Apply(ctx context.Context, recordType string, changes []connector.Change) ([]connector.Result, error) {
	a, err := c.call(ctx, Request{Verb: Apply, Type: recordType, Changes: changes})
	return a.results, err
}

var verbs = map[connector.Action]Verb{connector.Create: Create, connector.Update: Update, connector.Delete: Delete}

// applyAll makes the changes of a batch, each on its own. The caller holds the
// lock.
func (r *Remote) applyAll(q Request) answer {
	results := make([]connector.Result, len(q.Changes))
	for i, c := range q.Changes {
		one := Request{N: q.N, Verb: verbs[c.Action], Type: q.Type, ExternalID: c.Record.ExternalID, RemoteID: c.RemoteID, Fields: cloneFields(c.Record.Fields)}
		results[i], _ = r.applyOne(one)
	}
	return answer{results: results}
}

// applyOne makes one of many changes, or meets a fault for it. It is not told
// of a change that comes late. The caller holds the lock.
func (r *Remote) applyOne(q Request) (res connector.Result, told bool) {
	f := r.match(q)
	switch {
	case f != nil && f.Late:
		r.late = append(r.late, q)
	case f == nil || f.Err == nil || f.Applied:
		a, err := r.apply(q)
		res = connector.Result{RemoteID: a.id, Err: err}
	}
	if f != nil && f.Err != nil {
		return connector.Result{Err: f.Err}, true
	}
	if f != nil && f.Late {
		return connector.Result{Err: Err(connector.Unknown)}, false
	}
	return res, true
}
