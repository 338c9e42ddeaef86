package salesforce

import (
	"bytes"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// datetimeForm is how Salesforce writes times: RFC 3339 but for the zone.
const datetimeForm = "2006-01-02T15:04:05.999999999-0700"

// shape brings what Salesforce answered to the wanted value's form.
func shape(want, got json.RawMessage) (json.RawMessage, *connector.Error) {
	w, err := parse(want)
	if err != nil {
		return nil, rejected("the wanted value is not JSON")
	}
	var g any
	if got != nil {
		if g, err = parse(got); err != nil {
			return nil, &connector.Error{Kind: connector.Unknown, Message: "the answer can't be read"}
		}
	}
	shaped, err := encodeJSON(shapeAny(w, g))
	if err != nil {
		return nil, &connector.Error{Kind: connector.Unknown, Err: err}
	}
	out, err := connector.Project(want, shaped)
	if err != nil {
		return nil, &connector.Error{Kind: connector.Unknown, Err: err}
	}
	return out, nil
}

func parse(raw json.RawMessage) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

func shapeAny(want, got any) any {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return got
		}
		out := make(map[string]any, len(w))
		for k, x := range w {
			out[k] = shapeAny(x, member(g, k))
		}
		return out
	case []any:
		return shapeList(w, got)
	case string:
		return shapeText(w, got)
	}
	return got
}

// shapeList splits the value of a multi-select picklist, which is a set: as it
// is wanted when it is the wanted one.
func shapeList(want []any, got any) any {
	if got == nil {
		return []any{}
	}
	s, ok := got.(string)
	if !ok {
		return got
	}
	parts := strings.Split(s, ";")
	isPart := func(w any) bool { text, ok := w.(string); return ok && slices.Contains(parts, text) }
	isWanted := func(part string) bool { return slices.Contains(want, any(part)) }
	if every(want, isPart) && every(parts, isWanted) {
		return want
	}
	out := make([]any, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out
}

func every[T any](list []T, is func(T) bool) bool {
	return !slices.ContainsFunc(list, func(x T) bool { return !is(x) })
}

// shapeText lets alone what differs in form only: Salesforce trims texts, knows
// no empty one beside null, has two forms of an id, and its own form of a time.
func shapeText(want string, got any) any {
	switch g := got.(type) {
	case nil:
		if strings.TrimSpace(want) == "" {
			return want
		}
	case json.Number:
		if sameNumber(want, g.String()) {
			return want
		}
		return g.String()
	case string:
		if sameID(want, g) || newlines(strings.TrimSpace(want)) == newlines(g) {
			return want
		}
		if a, err := time.Parse(datetimeForm, g); err == nil {
			if b, err := time.Parse(time.RFC3339, want); err == nil && a.Equal(b) {
				return want
			}
			return a.UTC().Format(time.RFC3339)
		}
	}
	return got
}

func newlines(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

func sameNumber(a, b string) bool {
	if len(a) > 60 || len(b) > 60 || strings.ContainsAny(a+b, "eE/_xXpP") {
		return a == b
	}
	x, okx := new(big.Rat).SetString(a)
	y, oky := new(big.Rat).SetString(b)
	return okx && oky && x.Cmp(y) == 0
}
