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
		f := r.match(one)
		switch {
		case f != nil && f.Late:
			r.late = append(r.late, one)
		case f == nil || f.Err == nil || f.Applied:
			a, err := r.apply(one)
			results[i] = connector.Result{RemoteID: a.id, Err: err}
		}
		if f != nil && f.Err != nil {
			results[i] = connector.Result{Err: f.Err}
		} else if f != nil && f.Late {
			results[i] = connector.Result{Err: Err(connector.Unknown)}
		}
	}
	return answer{results: results}
}
