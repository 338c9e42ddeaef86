package salesforce

import (
	"io"
	"net/http"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// Take reads an answer to a batch of two.
func Take(action connector.Action, ids []string, body []byte) []connector.Result {
	b := &batch{results: make([]connector.Result, len(ids))}
	for i, id := range ids {
		if action == connector.Create {
			id = ""
		}
		b.at, b.ids, b.rows = append(b.at, i), append(b.ids, id), append(b.rows, nil)
	}
	b.take(map[connector.Action]verb{connector.Create: create, connector.Update: update, connector.Delete: remove}[action], body)
	return b.results
}

// ReadResults reads a list of a job.
func ReadResults(list string, action connector.Action, body io.Reader, each func(connector.JobResult) error) error {
	return readResults(body, list, map[connector.Action]verb{connector.Create: create, connector.Update: update, connector.Delete: remove}[action], defaultExternalField, each)
}

// Classify is what is made of an answer to a create that is no success.
func Classify(status int, body []byte) *connector.Error {
	return classify(create, &exchange.Answer{Status: status, Body: body, Header: http.Header{}})
}

// LimitUpload makes jobs small.
func LimitUpload(c *Connection, bytes int64) { c.mostUpload = bytes }
