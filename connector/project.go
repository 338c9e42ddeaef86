package connector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

// maxExponent bounds the exponents of the numbers that [Project] compares by
// value, so that "1e999999999" costs nothing. Larger ones compare as text.
const maxExponent = 400

// Project helps a [Reader] bring what the remote answered to want's shape: of
// objects it keeps the members that want's objects have, of lists every
// element (shaped like want's element at that place, or want's last one), and
// a number that equals want's takes want's digits ("12.50" stays "12.50").
// When all of it equals want, the answer is want byte for byte. A member that
// got lacks is null, and so is a nil got: a field that the remote does not have.
func Project(want, got json.RawMessage) (json.RawMessage, error) {
	if got == nil {
		got = json.RawMessage("null")
	}
	w, err := decode(want)
	if err != nil {
		return nil, fmt.Errorf("wanted value: %w", err)
	}
	g, err := decode(got)
	if err != nil {
		return nil, fmt.Errorf("remote's value: %w", err)
	}
	p, equal := project(w, g)
	if equal {
		return want, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

func decode(raw json.RawMessage) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// project returns got in want's shape and whether the two are equal in it.
func project(want, got any) (any, bool) {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return got, false
		}
		out, equal := make(map[string]any, len(w)), true
		for k, wv := range w {
			v, same := project(wv, g[k])
			out[k], equal = v, equal && same
		}
		return out, equal
	case []any:
		g, ok := got.([]any)
		if !ok {
			return got, false
		}
		out, equal := make([]any, len(g)), len(w) == len(g)
		for i, gv := range g {
			if len(w) == 0 {
				out[i] = gv
				continue
			}
			v, same := project(w[min(i, len(w)-1)], gv)
			out[i], equal = v, equal && same
		}
		return out, equal
	case json.Number:
		if g, ok := got.(json.Number); ok && sameNumber(w, g) {
			return w, true
		}
		return got, false
	}
	switch got.(type) {
	case map[string]any, []any: // not comparable with ==
		return got, false
	}
	return got, want == got
}

func sameNumber(a, b json.Number) bool {
	if a == b {
		return true
	}
	x, okx := rational(a)
	y, oky := rational(b)
	return okx && oky && x.Cmp(y) == 0
}

// rational reads a JSON number exactly. Not ok when its exponent or length is
// out of all proportion.
func rational(n json.Number) (*big.Rat, bool) {
	s := string(n)
	if len(s) > 2*maxExponent {
		return nil, false
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, ok := new(big.Int).SetString(strings.TrimPrefix(s[i+1:], "+"), 10)
		if !ok || e.CmpAbs(big.NewInt(maxExponent)) > 0 {
			return nil, false
		}
	}
	return new(big.Rat).SetString(s)
}
