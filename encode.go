package upkeep

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// references lists the groups that the fields refer to.
func references(v any, into map[store.ID]bool) error {
	switch v := v.(type) {
	case Reference:
		if v.Sync == "" {
			return nil
		}
		if msg, bad := strings.CutPrefix(v.Key, badKey); bad {
			return fmt.Errorf("reference to %s: %s", v.Sync, msg)
		}
		into[store.ID{Sync: v.Sync, Key: v.Key}] = true
	case Fields:
		for name, e := range v {
			if err := references(e, into); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	case map[string]any:
		return references(Fields(v), into)
	case []any:
		for _, e := range v {
			if err := references(e, into); err != nil {
				return err
			}
		}
	case []Fields:
		for _, e := range v {
			if err := references(e, into); err != nil {
				return err
			}
		}
	}
	return nil
}

// encode makes the JSON of each top-level field, in one form for equal values
// (sorted keys, exact decimals without trailing zeros), with references as
// ref has them.
func encode(f Fields, ref func(field string, x Reference) (json.RawMessage, error)) (connector.Fields, error) {
	out := make(connector.Fields, len(f))
	for name, v := range f {
		plain, err := plainValue(v, func(x Reference) (json.RawMessage, error) { return ref(name, x) }, 0)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(plain); err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
		out[name] = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	}
	return out, nil
}

const maxDepth = 64 // of lists and maps in a field

// plainValue replaces what encoding/json would not write as wanted.
func plainValue(v any, ref func(Reference) (json.RawMessage, error), depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	switch v := v.(type) {
	case nil, bool, string, int, int64, int32, json.Number, json.RawMessage:
		return v, nil
	case Reference:
		if v.Sync == "" {
			return nil, nil
		}
		return ref(v)
	case decimal.Decimal:
		return json.RawMessage(v.String()), nil
	case *decimal.Decimal:
		if v == nil {
			return nil, nil
		}
		return json.RawMessage(v.String()), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%v has no JSON form", v)
		}
		return v, nil
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), nil
	case Fields:
		return plainMap(v, ref, depth)
	case map[string]any:
		return plainMap(v, ref, depth)
	case Row:
		return plainMap(v, ref, depth)
	}
	rv := reflect.ValueOf(v)
	switch {
	case rv.Kind() == reflect.Slice && rv.Type().Elem().Kind() != reflect.Uint8:
		list := make([]any, rv.Len())
		for i := range list {
			e, err := plainValue(rv.Index(i).Interface(), ref, depth+1)
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			list[i] = e
		}
		return list, nil
	case rv.Kind() == reflect.Pointer && !rv.IsNil() && rv.Type().Elem() != reflect.TypeFor[decimal.Decimal]():
		if _, marshals := v.(json.Marshaler); !marshals {
			return plainValue(rv.Elem().Interface(), ref, depth+1)
		}
	}
	return v, nil
}

func plainMap(m map[string]any, ref func(Reference) (json.RawMessage, error), depth int) (any, error) {
	out := make(map[string]any, len(m))
	for k, e := range m {
		p, err := plainValue(e, ref, depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		out[k] = p
	}
	return out, nil
}
