package upkeep

import (
	"database/sql"
	"encoding"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// readsItself says whether a type has a method that decides what it takes.
// Those of the libraries that are known here take what their names say.
func readsItself(t reflect.Type) bool {
	if name := typeName(t); strings.HasPrefix(name, "pgtype.") || strings.HasPrefix(name, "decimal.") || t == reflect.TypeFor[time.Time]() || t == reflect.TypeFor[Date]() {
		return false
	}
	switch reflect.New(t).Interface().(type) {
	case sql.Scanner, encoding.TextUnmarshaler, json.Unmarshaler:
		return true
	}
	return false
}

// assignByMethod lets a type read the value itself; false if it has no method
// for that. The method says more than the kind: a string with a Scan is not
// what the column holds. Of several methods the one that is made for the value
// is called: UnmarshalJSON of what only JSON has, then Scan, which is for
// databases, then UnmarshalText.
func assignByMethod(field reflect.Value, v any) (done bool, err error) {
	_, isText := v.(string)
	switch field.Interface().(type) {
	case decimal.Decimal, time.Time, Date: // read as what they are
		if !isText {
			return false, nil
		}
	}
	to := field.Addr().Interface()
	fromJSON, hasJSON := to.(json.Unmarshaler)
	switch v.(type) {
	case map[string]any, []any, json.Number:
		if hasJSON {
			return true, unmarshalJSON(fromJSON, v)
		}
	}
	if s, ok := to.(sql.Scanner); ok {
		from, err := store.Driven(v)
		if err == nil {
			err = ofMethod("Scan", to, s.Scan(from))
		}
		return true, err
	}
	if u, ok := to.(encoding.TextUnmarshaler); ok {
		text, ok := textOf(v)
		if !ok {
			return true, unreadable(v, field.Type())
		}
		return true, ofMethod("UnmarshalText", to, u.UnmarshalText([]byte(ofAddress(to, text))))
	}
	_, isBytes := v.([]byte)
	list := field.Kind() == reflect.Slice || field.Kind() == reflect.Map || field.Kind() == reflect.Array
	if !hasJSON || isBytes || isText && list { // json.RawMessage: the text may be JSON, or may not
		return false, nil
	}
	return true, unmarshalJSON(fromJSON, v)
}

// ofAddress is the text of a column without the mask that PostgreSQL writes behind
// an inet of one address (10.0.0.1/32), for the types that take no mask.
func ofAddress(to any, text string) string {
	switch to.(type) {
	case *netip.Addr, *net.IP:
		if p, err := netip.ParsePrefix(text); err == nil && p.IsSingleIP() {
			return p.Addr().String()
		}
	}
	return text
}

func unmarshalJSON(to json.Unmarshaler, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return ofMethod("UnmarshalJSON", to, to.UnmarshalJSON(b))
}

// ofMethod says whose error it is, and how to do without the method.
func ofMethod(method string, to any, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s of %s: %w; a field of a type without that method takes what the column holds", method, typeName(reflect.TypeOf(to).Elem()), err)
}

// textOf is the text of a value; false if it has none, as an object of JSON.
func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case []byte:
		return string(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	case decimal.Decimal:
		return v.String(), true
	case Date:
		return v.String(), true
	case time.Time:
		return v.Format(time.RFC3339Nano), true
	}
	return "", false
}
