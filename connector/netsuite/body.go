package netsuite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
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
	return &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf("%q is not an internal id of NetSuite", cut(id, 80))}
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
			`the external id %q has a character (", \ or a control character) with which NetSuite can't be asked for the record; use letters, digits, _ and -`, cut(r.ExternalID, 80))}
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

// decode brings a record to want's form.
func decode(got map[string]json.RawMessage, want connector.Fields) (connector.Fields, error) {
	out := make(connector.Fields, len(want))
	for name, raw := range want {
		w, err := parseJSON(raw)
		if err != nil {
			return nil, fmt.Errorf("wanted value of field %s: %w", name, err)
		}
		var g any
		if answered := member(got, name); answered != nil {
			if g, err = parseJSON(answered); err != nil {
				return nil, fmt.Errorf("field %s: %w", name, err)
			}
			if cut := short(g); cut != "" {
				return nil, fmt.Errorf("field %s: %s", name, cut)
			}
		}
		shaped, err := encodeJSON(shape(w, g))
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
		if out[name], err = connector.Project(raw, shaped); err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
	}
	return out, nil
}

// short tells of a sublist that is not all there. It is not documented that
// an expanded one may be, but its form is that of a page.
func short(v any) string {
	m, _ := v.(map[string]any)
	items, ok := m["items"].([]any)
	if !ok {
		return ""
	}
	total, isNumber := m["totalResults"].(json.Number)
	if n, err := total.Int64(); m["hasMore"] == true || isNumber && err == nil && int64(len(items)) < n {
		return fmt.Sprintf("NetSuite answered with only %d of its lines", len(items))
	}
	return ""
}

// member looks a name up as NetSuite does, whatever its case.
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

// shape brings one value that NetSuite answered to the form of the wanted
// one: sublists to arrays in the remote's order, references and choices to
// what want has of them, dates and numbers to want's text.
func shape(want, got any) any {
	switch w := want.(type) {
	case []any:
		if m, ok := got.(map[string]any); ok {
			got = m["items"]
		}
		items, ok := got.([]any)
		if !ok {
			if got == nil && len(w) == 0 {
				return w
			}
			return got
		}
		out := make([]any, len(items))
		for i, x := range items {
			var line any
			if len(w) > 0 {
				line = w[min(i, len(w)-1)]
			}
			out[i] = shape(line, x)
		}
		return out
	case map[string]any:
		return shapeObject(w, got)
	case string:
		return shapeText(w, scalar(got))
	case json.Number:
		got = scalar(got)
		if s, ok := got.(string); ok && json.Valid([]byte(s)) && strings.Trim(s, "-0123456789.eE+") == "" {
			return json.Number(s)
		}
		return got
	case bool:
		return scalar(got)
	}
	return bareValue(got)
}

func shapeObject(want map[string]any, got any) any {
	g, ok := got.(map[string]any)
	if !ok {
		if _, ref := want["id"]; ref && got != nil {
			g = map[string]any{"id": got} // the plain form of a choice
		} else {
			return got
		}
	}
	out := make(map[string]any, len(want))
	for k, w := range want {
		out[k] = shape(w, member(g, k))
	}
	return out
}

// scalar is the id of a reference or choice, and any other value as it is.
func scalar(v any) any {
	if m, ok := v.(map[string]any); ok {
		if id, ok := m["id"]; ok {
			return id
		}
	}
	return v
}

func shapeText(want string, got any) any {
	switch g := got.(type) {
	case nil:
		if want == "" {
			return "" // NetSuite knows no empty text beside no text
		}
	case json.Number:
		if sameNumber(want, g.String()) {
			return want
		}
		return g.String()
	case string:
		if g == want {
			return g
		}
		if a, err := time.Parse(time.RFC3339, g); err == nil {
			if b, err := time.Parse(time.RFC3339, want); err == nil && a.Equal(b) {
				return want
			}
			if _, err := time.Parse(time.DateOnly, want); err == nil && a.Equal(a.Truncate(24*time.Hour)) {
				return a.UTC().Format(time.DateOnly)
			}
		}
	}
	return got
}

func sameNumber(a, b string) bool {
	if len(a) > 60 || len(b) > 60 || strings.ContainsAny(a+b, "eE/_xXpP") {
		return a == b
	}
	x, okx := new(big.Rat).SetString(a)
	y, oky := new(big.Rat).SetString(b)
	return okx && oky && x.Cmp(y) == 0
}

// bareValue is for a null that is wanted: nothing in any form is null, and
// what is there is shown without links.
func bareValue(v any) any {
	switch v := v.(type) {
	case string:
		if v == "" {
			return nil
		}
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if k != "links" && k != "totalResults" {
				out[k] = bareValue(x)
			}
		}
		items, isItems := out["items"].([]any)
		if len(out) == 0 || isItems && len(items) == 0 {
			return nil
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = bareValue(x)
		}
		return out
	}
	return v
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
