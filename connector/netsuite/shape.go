package netsuite

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// decode brings a record to want's form. name, if not nil, is told each
// reference that is wanted by external id and was answered without one.
func decode(got map[string]json.RawMessage, want connector.Fields, name func(reference map[string]any) error) (connector.Fields, error) {
	out := make(connector.Fields, len(want))
	for field, raw := range want {
		w, err := parseJSON(raw)
		if err != nil {
			return nil, fmt.Errorf("wanted value of field %s: %w", field, err)
		}
		var g any
		if answered := member(got, field); answered != nil {
			if g, err = parseJSON(answered); err != nil {
				return nil, fmt.Errorf("field %s: %w", field, err)
			}
			if cut := short(g); cut != "" {
				return nil, fmt.Errorf("field %s: %s", field, cut)
			}
			if err := nameReferences(w, g, name); err != nil {
				return nil, fmt.Errorf("field %s: %w", field, err)
			}
		}
		shaped, err := encodeJSON(shape(w, g))
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", field, err)
		}
		if out[field], err = connector.Project(raw, shaped); err != nil {
			return nil, fmt.Errorf("field %s: %w", field, err)
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
