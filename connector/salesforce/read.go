package salesforce

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// row is one record of a query's answer.
type row map[string]json.RawMessage

// query asks in SOQL. The answer has to be whole: the queries here are for a
// handful of records.
func (c *Connection) query(ctx context.Context, v verb, soql string) ([]row, *connector.Error) {
	a, err := c.do(ctx, request{verb: v, method: http.MethodGet, path: "/query", query: "q=" + url.QueryEscape(soql)})
	if err != nil {
		if err.Kind == connector.NotFound {
			err.Kind = connector.Rejected // a query names no record: this says something else
		}
		return nil, err
	}
	var got struct {
		Done    bool  `json:"done"`
		Records []row `json:"records"`
	}
	if json.Unmarshal(a.Body, &got) != nil || got.Records == nil || !got.Done {
		return nil, unexpected(a)
	}
	for _, r := range got.Records {
		if r == nil {
			return nil, unexpected(a)
		}
	}
	return got.Records, nil
}

// literal quotes a text for SOQL.
func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + "'"
}

// member looks a name up as Salesforce does, whatever its case.
func member[V any](m map[string]V, name string) (v V) {
	if v, ok := m[name]; ok {
		return v
	}
	for k, x := range m {
		if strings.EqualFold(k, name) {
			return x
		}
	}
	return v
}

// text is a JSON string's value; empty for anything else.
func text(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// Read returns the fields that want names, by a query: it reaches into records
// that this one refers to.
func (c *Connection) Read(ctx context.Context, recordType, remoteID string, want connector.Fields) (connector.Fields, error) {
	if err := named(recordType, remoteID); err != nil {
		return nil, err
	}
	columns := []string{"Id"}
	as := map[string]string{} // of a field, the one to read in its place
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !apiName.MatchString(name) {
			return nil, rejected("%q is not the name of a field", exchange.Cut(name, 80))
		}
		as[name] = name
		if string(bytes.TrimSpace(want[name])) == "null" {
			var err *connector.Error
			if as[name], err = c.idField(ctx, recordType, name); err != nil {
				return nil, err
			}
		}
		more, err := columnsOf(as[name], want[name])
		if err != nil {
			return nil, err
		}
		for _, col := range more {
			if !slices.Contains(columns, col) {
				columns = append(columns, col)
			}
		}
	}
	rows, err := c.query(ctx, read, "SELECT "+strings.Join(columns, ", ")+" FROM "+recordType+" WHERE Id = "+literal(remoteID))
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, &connector.Error{Kind: connector.NotFound, Message: recordType + " " + remoteID + " does not exist, or the integration's user may not see it"}
	}
	if len(rows) > 1 || !sameID(text(member(rows[0], "Id")), remoteID) {
		return nil, &connector.Error{Kind: connector.Unknown, Message: "the answer to the query is about another record"}
	}
	out := make(connector.Fields, len(want))
	for name, raw := range want {
		if out[name], err = shape(raw, member(rows[0], as[name])); err != nil {
			err.Message = "field " + name + ": " + err.Message
			return nil, err
		}
	}
	return out, nil
}

// columnsOf are the columns that a wanted value needs.
func columnsOf(name string, want json.RawMessage) ([]string, *connector.Error) {
	var ref map[string]json.RawMessage
	if json.Unmarshal(want, &ref) != nil || ref == nil {
		return []string{name}, nil
	}
	var target struct{ Type string }
	var columns []string
	if raw, ok := ref["attributes"]; ok {
		if json.Unmarshal(raw, &target) != nil || !apiName.MatchString(target.Type) {
			return nil, rejected("field %s: attributes.type is not a record type", name)
		}
	}
	for _, m := range slices.Sorted(maps.Keys(ref)) {
		switch {
		case m == "attributes":
		case !apiName.MatchString(m):
			return nil, rejected("field %s: %q is not the name of a field", name, exchange.Cut(m, 80))
		case target.Type != "":
			columns = append(columns, "TYPEOF "+name+" WHEN "+target.Type+" THEN "+m+" END")
		default:
			columns = append(columns, name+"."+m)
		}
	}
	if len(columns) == 0 {
		return nil, rejected("field %s: the reference names no field of the other record", name)
	}
	return columns, nil
}
