package salesforce

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
)

// Batch says that a collection takes up to 200 records of one action.
func (c *Connection) Batch(string) connector.Batch { return connector.Batch{Most: c.config.Batch} }

// result is what became of one record.
type result struct {
	ID      string    `json:"id"`
	Success bool      `json:"success"`
	Errors  []refusal `json:"errors"`
}

// Apply makes the changes in one call: an upsert by external id, an update or a
// delete by id.
func (c *Connection) Apply(ctx context.Context, recordType string, changes []connector.Change) ([]connector.Result, error) {
	if !apiName.MatchString(recordType) {
		return nil, rejected("%q is not a record type", recordType)
	}
	b := &batch{results: make([]connector.Result, len(changes))}
	for i, ch := range changes {
		if ch.Action != changes[0].Action {
			return nil, rejected("a collection can't hold a %s beside a %s", ch.Action, changes[0].Action)
		}
		row, err := c.row(ctx, recordType, ch)
		switch {
		case err == nil:
			b.at, b.ids, b.rows = append(b.at, i), append(b.ids, ch.RemoteID), append(b.rows, row)
		case err.Kind == connector.Rejected:
			b.results[i].Err = err
		case err.Kind == connector.NotFound && ch.Action == connector.Delete:
		case err.Kind == connector.NotFound:
			b.results[i].Err = err
		default:
			return nil, err
		}
	}
	if len(b.rows) == 0 {
		return b.results, nil
	}
	q := c.collection(recordType, changes[0].Action, b)
	a, fail := c.do(ctx, q)
	if fail != nil {
		if fail.Kind == connector.NotFound || fail.Kind == connector.Exists {
			fail.Kind = connector.Rejected // it is about the request, which names no record
		}
		return nil, fail
	}
	b.take(q.verb, a.Body)
	b.confirm(ctx, c, q.verb, recordType)
	return b.results, nil
}

// batch is the changes that go out, and the results of all.
type batch struct {
	results []connector.Result
	at      []int // where in results the rows belong
	ids     []string
	rows    []json.RawMessage
}

// row encodes one change. An error is that of the change, if it is Rejected or
// NotFound.
func (c *Connection) row(ctx context.Context, recordType string, ch connector.Change) (json.RawMessage, *connector.Error) {
	if ch.Action == connector.Create {
		if err := nameable(recordType, ch.Record.ExternalID); err != nil {
			return nil, err
		}
	} else if err := named(recordType, ch.RemoteID); err != nil {
		return nil, err
	}
	if ch.Action == connector.Delete {
		return nil, nil
	}
	r := ch.Record
	r.Type = recordType
	fields, err := c.encode(ctx, r)
	if err != nil {
		return nil, err
	}
	fields["attributes"] = json.RawMessage(`{"type":"` + recordType + `"}`)
	if ch.Action == connector.Update {
		fields["id"] = json.RawMessage(`"` + ch.RemoteID + `"`)
		return object(fields), nil
	}
	id, fail := encodeJSON(r.ExternalID)
	if fail != nil {
		return nil, rejected("the external id can't be encoded: %v", fail)
	}
	fields[c.config.externalField(recordType)] = id
	return object(fields), nil
}

func (c *Connection) collection(recordType string, action connector.Action, b *batch) request {
	const path = "/composite/sobjects"
	if action == connector.Delete {
		return request{verb: remove, method: http.MethodDelete, path: path, query: "ids=" + strings.Join(b.ids, ",") + "&allOrNone=false"}
	}
	var body strings.Builder
	body.WriteString(`{"allOrNone":false,"records":[`)
	for i, row := range b.rows {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(row)
	}
	body.WriteString(`]}`)
	q := request{verb: update, method: http.MethodPatch, path: path, body: []byte(body.String())}
	if action == connector.Create {
		q.verb, q.path = create, path+"/"+recordType+"/"+url.PathEscape(c.config.externalField(recordType))
	}
	return q
}

// take gives each row its result. Results are in the order of the rows. When
// there are not as many as rows, their order tells nothing: then only those
// count that name the id that was sent, and of new records none does.
func (b *batch) take(v verb, body []byte) {
	var got []result
	unknown := &connector.Error{Kind: connector.Unknown, Status: http.StatusOK, Message: "the answer says nothing of this record"}
	for _, i := range b.at {
		b.results[i] = connector.Result{Err: unknown}
	}
	if json.Unmarshal(body, &got) != nil {
		return
	}
	inOrder := len(got) == len(b.rows)
	owner := map[string]int{} // of an id, the row that is known by it
	for n, id := range b.ids {
		if id != "" {
			owner[id[:15]] = n
		}
	}
	seen := map[string]int{} // of a new record's id, the row that first had it
	for n, r := range got {
		if id := prefix(r.ID); v != create && id != "" {
			row, known := owner[id]
			if !known {
				continue // an answer about some other record
			}
			n = row
		} else if !inOrder {
			continue
		}
		i := b.at[n]
		b.results[i] = r.outcome(v)
		if v != create || !r.Success {
			continue
		}
		if first, twice := seen[prefix(r.ID)]; twice {
			b.results[b.at[first]], b.results[i] = connector.Result{Err: unknown}, connector.Result{Err: unknown}
		}
		seen[prefix(r.ID)] = n
	}
}

func prefix(id string) string {
	if !recordID.MatchString(id) {
		return ""
	}
	return id[:15]
}

// outcome is one record's result.
func (r result) outcome(v verb) connector.Result {
	switch {
	case !r.Success && len(r.Errors) > 0:
		e := rowError(v, r.Errors)
		if v == remove && e.Code == "ENTITY_IS_DELETED" {
			return connector.Result{}
		}
		return connector.Result{Err: e}
	case !r.Success, !recordID.MatchString(r.ID):
		return connector.Result{Err: &connector.Error{Kind: connector.Unknown, Status: http.StatusOK, Message: "the answer for this record makes no sense"}}
	}
	return connector.Result{RemoteID: r.ID}
}
