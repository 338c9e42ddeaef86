package httpapi

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
)

// Read returns the remote's values in want's form.
func (c *readable) Read(ctx context.Context, recordType, id string, want connector.Fields) (connector.Fields, error) {
	r, err := c.of(recordType)
	if err != nil {
		return nil, err
	}
	if r.read == nil {
		return nil, missing("read", recordType)
	}
	rec := connector.Record{Type: recordType}
	s := c.scopeOf(r, reading, rec, id)
	s[fieldNames] = strings.Join(slices.Sorted(maps.Keys(want)), ",")
	a, fail := c.do(ctx, r.read.request, s, identity(reading, connector.Change{Record: rec, RemoteID: id}))
	if fail != nil {
		return nil, fail
	}
	found, _ := r.read.fields.in(a.doc)
	got, ok := found.(map[string]any)
	if !ok {
		return nil, unexpected(a, "it has no fields where fields says")
	}
	out := connector.Fields{}
	for name, w := range want {
		if out[name], err = r.shaped(w, got[name]); err != nil {
			return nil, &connector.Error{Kind: connector.Unknown, Status: a.Status, Message: "field " + name + " can't be read", Err: err}
		}
	}
	return out, nil
}

// shaped brings a value to want's form. Some APIs answer with texts for
// numbers, booleans and nothing.
func (r *recordAPI) shaped(want json.RawMessage, got any) (json.RawMessage, error) {
	w, err := parseJSON(want)
	if err != nil {
		return nil, err
	}
	none := r.clear
	if none == nil && (r.create != nil && r.create.form || r.update != nil && r.update.form) {
		none = new(string)
	}
	raw, err := encodeJSON(loosened(w, got, none))
	if err != nil {
		return nil, err
	}
	return connector.Project(want, raw)
}

// loosened is got in the type of want; none, if not nil, is the text that
// stands for null.
func loosened(want, got any, none *string) any {
	s, isText := got.(string)
	switch w := want.(type) {
	case nil:
		if isText && none != nil && s == *none {
			return nil
		}
	case json.Number:
		if isText && len(s) > 0 && strings.Trim(s, "-0123456789.eE+") == "" && json.Valid([]byte(s)) {
			return json.Number(s)
		}
	case bool:
		if isText && (s == "true" || s == "false") {
			return s == "true"
		}
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			out := map[string]any{}
			for k, x := range g {
				out[k] = loosened(w[k], x, none)
			}
			return out
		}
	case []any:
		if g, ok := got.([]any); ok && len(w) > 0 {
			out := make([]any, len(g))
			for i, x := range g {
				out[i] = loosened(w[min(i, len(w)-1)], x, none)
			}
			return out
		}
	}
	return got
}
