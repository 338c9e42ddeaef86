package netsuite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// recordPath is the path of a record, or of its type when id is empty. A
// colon stays as it is: "eid:".
func recordPath(recordType, id string) string {
	p := "/record/v1/" + url.PathEscape(recordType)
	if id != "" {
		p += "/" + id
	}
	return p
}

// replace is the query that makes lists replace those of the record; without
// it NetSuite appends lines that have no key.
func replace(lists []string) string {
	if len(lists) == 0 {
		return ""
	}
	return "replace=" + escape(strings.Join(lists, ","))
}

// internalID tells what an internal id looks like: digits, or a short name
// for a few built-in records ("-5" is one of them, too).
func internalID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, r := range id {
		if r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return true
}

func internal(id string) error {
	if internalID(id) {
		return nil
	}
	return &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf("%q is not an internal id of NetSuite", exchange.Cut(id, 80))}
}

// nameable refuses what no request could name.
func nameable(r connector.Record) error {
	switch {
	case r.Type == "" || r.Type == "." || r.Type == "..":
		return &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf("%q is not a record type", r.Type)}
	case r.ExternalID == "":
		return &connector.Error{Kind: connector.Rejected, Message: "the external id is empty"}
	case !filterable(r.ExternalID):
		return &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf(
			`the external id %q has a character (", \ or a control character) with which NetSuite can't be asked for the record; use letters, digits, _ and -`, exchange.Cut(r.ExternalID, 80))}
	}
	return nil
}

// unexpected is a 2xx answer without what was asked for: an empty body, an
// HTML page, JSON that breaks off. Whether the request was applied is unknown.
func unexpected(a *answer) *connector.Error {
	what := "an empty body"
	if len(a.body) > 0 {
		what = fmt.Sprintf("%d bytes that are no such answer of NetSuite", len(a.body))
	}
	return &connector.Error{Kind: connector.Unknown, Status: a.status, Message: "the answer makes no sense: " + what + " (a gateway, or maintenance?)"}
}

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// self is the id at the end of the link to the record itself.
func self(links []link) string {
	for _, l := range links {
		if l.Rel == "self" {
			return lastSegment(l.Href)
		}
	}
	return ""
}

func lastSegment(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path[strings.LastIndexByte(u.Path, '/')+1:]
}

// located is the id in the address of a record of this type, ".../type/id";
// empty when the address is none.
func located(address, recordType string) string {
	id := lastSegment(address)
	u, err := url.Parse(address)
	if err != nil || !internalID(id) {
		return ""
	}
	if !strings.EqualFold(path.Base(path.Dir(u.Path)), recordType) {
		return ""
	}
	return id
}

// encode makes a request's body and names the fields that are lists, sorted.
// Values go out byte for byte, except that arrays become {"items":[...]}.
func encode(f connector.Fields, externalID string) (body []byte, lists []string, fail *connector.Error) {
	out := maps.Clone(f)
	if out == nil {
		out = connector.Fields{}
	}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		v := f[name]
		if !json.Valid(v) {
			return nil, nil, &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf("the value of field %s is not JSON", name)}
		}
		if !bytes.ContainsRune(v, '[') {
			continue
		}
		parsed, err := parseJSON(v)
		if err != nil {
			return nil, nil, &connector.Error{Kind: connector.Rejected, Message: "field " + name, Err: err}
		}
		if isList(parsed) {
			lists = append(lists, name)
		}
		if out[name], err = encodeJSON(wrap(parsed)); err != nil {
			return nil, nil, &connector.Error{Kind: connector.Rejected, Message: "field " + name, Err: err}
		}
	}
	if externalID != "" {
		maps.DeleteFunc(out, func(name string, _ json.RawMessage) bool { return strings.EqualFold(name, "externalId") })
		out["externalId"], _ = encodeJSON(externalID) // a string always encodes
	}
	body, err := encodeJSON(out)
	if err != nil {
		return nil, nil, &connector.Error{Kind: connector.Rejected, Message: "the fields can't be encoded", Err: err}
	}
	return body, lists, nil
}

func isList(v any) bool {
	if m, ok := v.(map[string]any); ok {
		v = m["items"]
	}
	_, ok := v.([]any)
	return ok
}

// wrap makes {"items":[...]} of every array that is not in one already.
func wrap(v any) any {
	switch v := v.(type) {
	case []any:
		return map[string]any{"items": wrapEach(v)}
	case map[string]any:
		for k, x := range v {
			if items, ok := x.([]any); ok && k == "items" {
				v[k] = wrapEach(items)
			} else {
				v[k] = wrap(x)
			}
		}
	}
	return v
}

func wrapEach(items []any) []any {
	for i, x := range items {
		items[i] = wrap(x)
	}
	return items
}

func parseJSON(raw []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// encodeJSON encodes without touching <, > and &.
func encodeJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
