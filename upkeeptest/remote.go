package upkeeptest

import (
	"context"
	"encoding/json"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// connection is all that a connection in memory can do.
type connection interface {
	connector.Connection
	connector.Initializer
	connector.Reader
	connector.Checker
}

// named writes references so that a test can say what it expects.
type named struct {
	connection
	remote *memory.Remote
	// refuses are the connections that the syncs were declared with, by record type,
	// as far as they tell without a call what they refuse.
	refuses map[string][]connector.Foreseer
}

func connect(r *memory.Remote, refuses map[string][]connector.Foreseer) connector.Connection {
	return named{r.Connect().(connection), r, refuses}
}

// foresee is what the own connection of a record type says of a record; nothing
// where there are several.
func (n named) foresee(r connector.Record) error {
	if of := n.refuses[r.Type]; len(of) == 1 {
		return of[0].Foresee(connector.Change{Record: r}) // ids here are not that remote's
	}
	return nil
}

// Create is refused as the own connection would refuse it.
func (n named) Create(ctx context.Context, r connector.Record) (string, error) {
	if err := n.foresee(r); err != nil {
		return "", err
	}
	return n.connection.Create(ctx, r)
}

// Update is refused as the own connection would refuse it.
func (n named) Update(ctx context.Context, remoteID string, r connector.Record) error {
	if err := n.foresee(r); err != nil {
		return err
	}
	return n.connection.Update(ctx, remoteID, r)
}

// Initialize is refused as the own connection would refuse it.
func (n named) Initialize(ctx context.Context, origin connector.Origin, r connector.Record) (string, error) {
	if err := n.foresee(r); err != nil {
		return "", err
	}
	return n.connection.Initialize(ctx, origin, r)
}

// Reference is the external id of the record that is referred to.
func (n named) Reference(ref connector.Ref) (json.RawMessage, error) {
	id := externalID(n.remote, ref.RemoteID)
	if id == ref.RemoteID && ref.ExternalID != "" { // its deletion is not recorded yet
		id = ref.ExternalID
	}
	return json.Marshal(id)
}

// externalID finds a record by id; it is the id itself when there is none.
func externalID(r *memory.Remote, id string) string {
	for _, rec := range r.Records("") {
		if rec.ID == id {
			return rec.ExternalID
		}
	}
	return id
}
