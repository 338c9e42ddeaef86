package sqlite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// valueOf turns what SQLite holds into a value of the column's kind. Any
// column can hold anything there; what does not fit is an error that says
// what was found, without the value itself.
func valueOf(k store.Kind, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	if s, ok := v.(string); ok && !utf8.ValidString(s) {
		return nil, errors.New("the text is not valid UTF-8")
	}
	var out any
	var err error
	switch k {
	case store.Int:
		out = asInt(v)
	case store.Decimal:
		out = asDecimal(v)
	case store.Float:
		out = asFloat(v)
	case store.Bool:
		out = asBool(v)
	case store.Date, store.Time:
		out, err = asTime(k, v)
	case store.Bytes:
		switch v := v.(type) {
		case []byte:
			out = bytes.Clone(v)
		case string:
			out = []byte(v)
		}
	case store.JSON:
		out, err = asJSON(v)
		return out, err // JSON's null is nil
	default:
		out = asText(v)
	}
	if err == nil && out == nil {
		err = wrong(k, v)
	}
	return out, err
}

// wrong says that a value is not of its column's kind.
func wrong(k store.Kind, v any) error {
	if f, ok := v.(float64); ok && math.IsInf(f, 0) {
		return fmt.Errorf("%f is not a number that can be sent", f)
	}
	found := map[string]string{"string": "text", "int64": "an integer", "float64": "a real number", "[]uint8": "bytes"}[fmt.Sprintf("%T", v)]
	return fmt.Errorf("the value is not of kind %s: %s was found", k, found)
}

func asInt(v any) any {
	if n, ok := v.(int64); ok {
		return n
	}
	return nil
}

// asDecimal is exact: a REAL is taken as the shortest number that reads back
// as it, which is what was written.
func asDecimal(v any) any {
	switch v := v.(type) {
	case int64:
		return decimal.NewFromInt(v)
	case float64:
		if !math.IsInf(v, 0) && !math.IsNaN(v) {
			return decimal.NewFromFloat(v)
		}
	case string:
		// A decimal's exponent decides how long its text is.
		if d, err := decimal.NewFromString(strings.TrimSpace(v)); err == nil && d.Exponent() < 1000 && d.Exponent() > -1000 {
			return d
		}
	}
	return nil
}

func asFloat(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return nil
}

func asBool(v any) any {
	switch v := v.(type) {
	case int64:
		if v == 0 || v == 1 {
			return v == 1
		}
	case string:
		switch strings.ToLower(v) {
		case "t", "true":
			return true
		case "f", "false":
			return false
		}
	}
	return nil
}

func asText(v any) any {
	switch v := v.(type) {
	case string:
		return v
	case int64: // the affinity of UUID, for one, is numeric
		return strconv.FormatInt(v, 10)
	case float64:
		return realText(v)
	}
	return nil
}

// timeForms are what SQLite's own functions write and read, and RFC 3339. A
// fraction of a second is read though no form names it.
var timeForms = [...]string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02",
	"2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z07:00", "2006-01-02 15:04Z07:00", "2006-01-02T15:04Z07:00",
	"2006-01-02 15:04:05-07", "2006-01-02 15:04:05 -0700 MST"}

// asTime reads a date or a time; without a zone it is UTC. An integer is Unix
// time in seconds.
func asTime(k store.Kind, v any) (any, error) {
	var t time.Time
	switch v := v.(type) {
	case int64:
		if t = time.Unix(v, 0).UTC(); t.Year() > 9999 || t.Year() < 0 {
			return nil, errors.New("the integer is not a Unix time in seconds (milliseconds?)")
		}
	case string:
		ok := false
		for _, form := range timeForms {
			if p, err := time.Parse(form, v); err == nil {
				t, ok = p.UTC(), true
				break
			}
		}
		if !ok {
			want := "YYYY-MM-DD HH:MM:SS"
			if k == store.Date {
				want = "YYYY-MM-DD"
			}
			return nil, fmt.Errorf("the text is not a %s (want %s)", k, want)
		}
	default:
		return nil, wrong(k, v)
	}
	if k == store.Time {
		return t, nil
	}
	if !t.Equal(t.Truncate(24 * time.Hour)) {
		return nil, errors.New("the value is a time, not a date")
	}
	return store.CivilOf(t), nil
}

// asJSON decodes JSON text. A number may have become one in SQLite, too.
func asJSON(v any) (any, error) {
	switch v := v.(type) {
	case int64:
		return json.Number(strconv.FormatInt(v, 10)), nil
	case float64:
		return json.Number(strconv.FormatFloat(v, 'g', -1, 64)), nil
	case string:
		dec := json.NewDecoder(strings.NewReader(v))
		dec.UseNumber()
		var out any
		if err := dec.Decode(&out); err != nil {
			return nil, errors.New("the text is not valid JSON")
		}
		if _, err := dec.Token(); err != io.EOF {
			return nil, errors.New("the text is more than one JSON value")
		}
		return out, nil
	case []byte:
		return nil, fmt.Errorf("%w; JSON is read as text: write it so (in Go a string, not a []byte), and what is there becomes one with CAST(column AS TEXT), or with json(column) where it is SQLite's jsonb", wrong(store.JSON, v))
	}
	return nil, wrong(store.JSON, v)
}
