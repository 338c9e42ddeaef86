package netsuite

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/upkeep-sync/upkeep/connector"
)

// Initialize makes a record from another one by !transform. NetSuite's
// defaults stand where r has no field; r's lines go over the order's open lines
// by "orderLine", and those that r's list leaves out are not in the record. The
// external id makes a repetition fail.
func (c *Connection) Initialize(ctx context.Context, origin connector.Origin, r connector.Record) (string, error) {
	if err := nameable(r); err != nil {
		return "", err
	}
	if err := internal(origin.RemoteID); err != nil {
		return "", err
	}
	body, lists, err := encode(r.Fields, r.ExternalID)
	if err != nil {
		return "", err
	}
	path := recordPath(origin.Type, origin.RemoteID) + "/!transform/" + url.PathEscape(r.Type)
	// Without replace, all that is open goes along with the lines of the list.
	a, err := c.do(ctx, request{verb: initialize, method: http.MethodPost, path: path, query: replace(lists), body: body})
	if err != nil {
		return "", err
	}
	return c.created(ctx, a, r)
}

// repeatable refuses lists that can't be sent to a record that is there already:
// a line that names "orderLine" alone is one of the order's. In the record the
// lines have numbers of their own, so that these lines would be new ones, and
// with replace the old ones would go. With "line" a line is one of the record's,
// and with "orderDoc" it names the order, too.
func repeatable(f connector.Fields) *connector.Error {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !bytes.ContainsRune(f[name], '[') {
			continue
		}
		parsed, err := parseJSON(f[name])
		if err != nil {
			return &connector.Error{Kind: connector.Rejected, Message: "field " + name, Err: err}
		}
		if m, ok := parsed.(map[string]any); ok {
			parsed = m["items"]
		}
		lines, _ := parsed.([]any)
		for _, x := range lines {
			line, _ := x.(map[string]any)
			if ofOrder(func(key string) bool { return member(line, key) != nil }) {
				return &connector.Error{Kind: connector.Rejected, Message: name + onlyOnce}
			}
		}
	}
	return nil
}

// ofOrder tells a line that only a transform can match, by the names it has.
func ofOrder(has func(name string) bool) bool {
	return has("orderLine") && !has("line") && !has("orderDoc")
}

// onlyOnce says of a field why it is refused, and what to do.
const onlyOnce = " has lines with the order's numbers (orderLine), which say nothing of a record that is there, so it can't be sent again: put it into create_fields (CreateFields in Go), which are sent once"
