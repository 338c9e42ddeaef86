package upkeeptest

import (
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
}

func connect(r *memory.Remote) connector.Connection {
	return named{r.Connect().(connection), r}
}

// Reference is the external id of the record that is referred to.
func (n named) Reference(ref connector.Ref) (json.RawMessage, error) {
	return json.Marshal(externalID(n.remote, ref.RemoteID))
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
