package upkeep

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// references lists the groups that the fields, which are frozen, refer to.
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
	case Row:
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
	case []Row:
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
		if _, err := plainText(name); err != nil {
			return nil, fmt.Errorf("the name of a field: %w", err)
		}
		if name == "" {
			return nil, errors.New("a field without a name")
		}
		plain, err := plainValue(v, func(x Reference) (any, error) { return ref(name, x) }, 0)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
		if out[name], err = marshal(plain); err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
	}
	return out, nil
}

// marshal is json.Marshal that leaves <, > and & as they are.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

const maxDepth = 64 // of lists and maps in a field

// frozen is f in plain values: maps and lists of any type are those that the
// engine knows, and values whose types bring methods of their own for JSON are
// JSON: these are the user's code too, and run while it is watched.
func frozen(f Fields) (Fields, error) {
	if !foreign(f, 0) {
		return f, nil
	}
	return refit(f, func(x Reference) Reference { return x })
}

// refit is f in plain values, with other references.
func refit(f Fields, ref func(Reference) Reference) (Fields, error) {
	out := make(Fields, len(f))
	for name, v := range f {
		plain, err := plainValue(v, func(x Reference) (any, error) { return ref(x), nil }, 0)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
		out[name] = plain
	}
	return out, nil
}

// foreign says whether there is a value of a type that is not known to have no
// code of the user's, or one that is nested too deep.
func foreign(v any, depth int) bool {
	if depth > maxDepth {
		return true
	}
	switch v := v.(type) {
	case nil, bool, string, int, int64, int32, float64, json.Number, json.RawMessage, Reference, decimal.Decimal, *decimal.Decimal,
		time.Time, Date, *bool, *string, *int, *int64, *time.Time:
		return false
	case Fields:
		return foreignIn(v, depth)
	case map[string]any:
		return foreignIn(v, depth)
	case Row:
		return foreignIn(v, depth)
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return foreign(e, depth+1) })
	case []Fields:
		return slices.ContainsFunc(v, func(f Fields) bool { return foreignIn(f, depth+1) })
	case []Row:
		return slices.ContainsFunc(v, func(r Row) bool { return foreignIn(r, depth+1) })
	}
	return true
}

func foreignIn(m map[string]any, depth int) bool {
	for _, v := range m {
		if foreign(v, depth+1) {
			return true
		}
	}
	return false
}

// plainValue replaces what encoding/json would not write as wanted, and writes
// what it alone knows how to.
func plainValue(v any, ref func(Reference) (any, error), depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	switch v := v.(type) {
	case string:
		return plainText(v)
	case nil, bool, int, int64, int32, json.Number, json.RawMessage:
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
	case *Reference:
		if v == nil {
			return nil, nil
		}
		return plainValue(*v, ref, depth)
	case time.Time:
		return plainTime(v)
	case Date:
		return plainDate(v)
	case *Date:
		if v == nil {
			return nil, nil
		}
		return plainValue(*v, ref, depth)
	case *time.Time:
		if v == nil {
			return nil, nil
		}
		return plainValue(*v, ref, depth)
	case Fields:
		return plainMap(v, ref, depth)
	case map[string]any:
		return plainMap(v, ref, depth)
	case Row:
		return plainMap(v, ref, depth)
	}
	if within, null := nullable(v); null {
		return plainValue(within, ref, depth+1)
	}
	if _, own := v.(json.Marshaler); own {
		return marshal(v)
	}
	if _, own := v.(encoding.TextMarshaler); own {
		return marshal(v)
	}
	return plainKind(v, ref, depth)
}

// nullable is what a value of database/sql that may be null holds, nil for
// none; false if it is no such value. encoding/json would write it as a struct,
// with a member Valid, and a decimal that may be null as a text.
func nullable(v any) (within any, is bool) {
	switch v := v.(type) {
	case decimal.NullDecimal:
		if v.Valid {
			within = v.Decimal
		}
		return within, true
	case *decimal.NullDecimal:
		if v != nil && v.Valid {
			within = v.Decimal
		}
		return within, true
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Struct || rv.Type().PkgPath() != "database/sql" || rv.NumField() != 2 {
		return nil, false
	}
	valid := rv.FieldByName("Valid") // of NullString, Null and the like, the second of two
	if valid.Kind() != reflect.Bool {
		return nil, false
	}
	if valid.Bool() {
		within = rv.Field(0).Interface()
	}
	return within, true
}

// plainText is a text that JSON can have: encoding/json would put U+FFFD in the
// place of what is no UTF-8, such as a text that was cut inside a character.
func plainText(s string) (any, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("the text is not valid UTF-8: %q; cut texts by characters ([]rune), not by bytes", cut(strings.ToValidUTF8(s, "\uFFFD"), 60))
	}
	return s, nil
}

// plainTime is a moment as JSON has it; RFC 3339 knows four digits of a year. The
// zero time.Time is what a program has that set none.
func plainTime(t time.Time) (any, error) {
	if t.IsZero() {
		return nil, errors.New("the zero time.Time is no moment; send nil for none, or a text if the year 1 is meant")
	}
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("the year %d of a time can't be sent; years 0 to 9999 can", y)
	}
	return t.Format(time.RFC3339Nano), nil
}

// plainDate is a day as JSON has it.
func plainDate(d Date) (any, error) {
	if d == (Date{}) {
		return nil, errors.New("the zero upkeep.Date is no date; send nil for none")
	}
	if store.CivilOf(d.Time()) != d {
		return nil, fmt.Errorf("month %d, day %d of the year %d is no date", d.Month, d.Day, d.Year)
	}
	if y := d.Time().Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("the year %d of a date can't be sent; years 0 to 9999 can", y)
	}
	return d.String(), nil
}

// plainKind is plainValue of a type that is not known by its name.
func plainKind(v any, ref func(Reference) (any, error), depth int) (any, error) {
	rv := reflect.ValueOf(v)
	switch rv.Kind() {
	case reflect.String:
		return plainText(rv.String())
	case reflect.Slice, reflect.Array:
		if rv.Kind() == reflect.Slice && rv.Type().Elem().Kind() == reflect.Uint8 { // base64
			break
		}
		list := make([]any, rv.Len())
		for i := range list {
			e, err := plainValue(element(rv.Index(i)), ref, depth+1)
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			list[i] = e
		}
		return list, nil
	case reflect.Map:
		if rv.IsNil() || rv.Type().Key().Kind() != reflect.String {
			break
		}
		m := make(map[string]any, rv.Len())
		for _, k := range rv.MapKeys() {
			m[k.String()] = rv.MapIndex(k).Interface()
		}
		return plainMap(m, ref, depth)
	case reflect.Pointer:
		if !rv.IsNil() {
			return plainValue(rv.Elem().Interface(), ref, depth+1)
		}
	}
	b, err := marshal(v)
	// So encoding/json writes what is no UTF-8; a U+FFFD of the text is not escaped.
	if err == nil && bytes.Contains(bytes.ReplaceAll(b, []byte(`\\`), nil), []byte(`\ufffd`)) {
		return nil, fmt.Errorf("a text in %T is not valid UTF-8; cut texts by characters ([]rune), not by bytes", v)
	}
	if err == nil {
		err = unset(rv, b, 0)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// element is an element of a list, or a pointer to it where only that has the
// method that encoding/json would call.
func element(v reflect.Value) any {
	if v.CanAddr() && v.Kind() != reflect.Interface {
		own, at := v.Type(), reflect.PointerTo(v.Type())
		for _, method := range []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()} {
			if at.Implements(method) && !own.Implements(method) {
				return v.Addr().Interface()
			}
		}
	}
	return v.Interface()
}

func plainMap(m map[string]any, ref func(Reference) (any, error), depth int) (any, error) {
	out := make(map[string]any, len(m))
	for k, e := range m {
		if !utf8.ValidString(k) {
			return nil, fmt.Errorf("the name %q is not valid UTF-8", k)
		}
		p, err := plainValue(e, ref, depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		out[k] = p
	}
	return out, nil
}
