package upkeep

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// Types of each kind with one method each, which says that it was called.

type (
	scanString string
	scanInt    int64
	scanUint   uint16
	scanFloat  float64
	scanBool   bool
	scanBytes  []byte
	scanList   []string
	scanMap    map[string]any
	scanArray  [2]byte
	scanStruct struct{ X int }
	textString string
	textInt    int64
	textUint   uint16
	textFloat  float64
	textBool   bool
	textBytes  []byte
	textList   []string
	textMap    map[string]any
	textArray  [2]byte
	textStruct struct{ X int }
	jsonString string
	jsonInt    int64
	jsonUint   uint16
	jsonFloat  float64
	jsonBool   bool
	jsonBytes  []byte
	jsonList   []string
	jsonMap    map[string]any
	jsonArray  [2]byte
	jsonStruct struct{ X int }
)

func called(method string, v any) error { return fmt.Errorf("%s was called with %T %s", method, v, v) }

func (*scanString) Scan(v any) error { return called("Scan", v) }
func (*scanInt) Scan(v any) error    { return called("Scan", v) }
func (*scanUint) Scan(v any) error   { return called("Scan", v) }
func (*scanFloat) Scan(v any) error  { return called("Scan", v) }
func (*scanBool) Scan(v any) error   { return called("Scan", v) }
func (*scanBytes) Scan(v any) error  { return called("Scan", v) }
func (*scanList) Scan(v any) error   { return called("Scan", v) }
func (*scanMap) Scan(v any) error    { return called("Scan", v) }
func (*scanArray) Scan(v any) error  { return called("Scan", v) }
func (*scanStruct) Scan(v any) error { return called("Scan", v) }

func (*textString) UnmarshalText(b []byte) error { return called("UnmarshalText", b) }
func (*textInt) UnmarshalText(b []byte) error    { return called("UnmarshalText", b) }
func (*textUint) UnmarshalText(b []byte) error   { return called("UnmarshalText", b) }
func (*textFloat) UnmarshalText(b []byte) error  { return called("UnmarshalText", b) }
func (*textBool) UnmarshalText(b []byte) error   { return called("UnmarshalText", b) }
func (*textBytes) UnmarshalText(b []byte) error  { return called("UnmarshalText", b) }
func (*textList) UnmarshalText(b []byte) error   { return called("UnmarshalText", b) }
func (*textMap) UnmarshalText(b []byte) error    { return called("UnmarshalText", b) }
func (*textArray) UnmarshalText(b []byte) error  { return called("UnmarshalText", b) }
func (*textStruct) UnmarshalText(b []byte) error { return called("UnmarshalText", b) }

func (*jsonString) UnmarshalJSON(b []byte) error { return called("UnmarshalJSON", b) }
func (*jsonInt) UnmarshalJSON(b []byte) error    { return called("UnmarshalJSON", b) }
func (*jsonUint) UnmarshalJSON(b []byte) error   { return called("UnmarshalJSON", b) }
func (*jsonFloat) UnmarshalJSON(b []byte) error  { return called("UnmarshalJSON", b) }
func (*jsonBool) UnmarshalJSON(b []byte) error   { return called("UnmarshalJSON", b) }
func (*jsonBytes) UnmarshalJSON(b []byte) error  { return called("UnmarshalJSON", b) }
func (*jsonList) UnmarshalJSON(b []byte) error   { return called("UnmarshalJSON", b) }
func (*jsonMap) UnmarshalJSON(b []byte) error    { return called("UnmarshalJSON", b) }
func (*jsonArray) UnmarshalJSON(b []byte) error  { return called("UnmarshalJSON", b) }
func (*jsonStruct) UnmarshalJSON(b []byte) error { return called("UnmarshalJSON", b) }

// A method of the type wins over its kind, whatever the column holds.
func TestMethodsWinOverKinds(t *testing.T) {
	types := map[string][]reflect.Type{
		"Scan":          {reflect.TypeFor[scanString](), reflect.TypeFor[scanInt](), reflect.TypeFor[scanUint](), reflect.TypeFor[scanFloat](), reflect.TypeFor[scanBool](), reflect.TypeFor[scanBytes](), reflect.TypeFor[scanList](), reflect.TypeFor[scanMap](), reflect.TypeFor[scanArray](), reflect.TypeFor[scanStruct]()},
		"UnmarshalText": {reflect.TypeFor[textString](), reflect.TypeFor[textInt](), reflect.TypeFor[textUint](), reflect.TypeFor[textFloat](), reflect.TypeFor[textBool](), reflect.TypeFor[textBytes](), reflect.TypeFor[textList](), reflect.TypeFor[textMap](), reflect.TypeFor[textArray](), reflect.TypeFor[textStruct]()},
		"UnmarshalJSON": {reflect.TypeFor[jsonString](), reflect.TypeFor[jsonInt](), reflect.TypeFor[jsonUint](), reflect.TypeFor[jsonFloat](), reflect.TypeFor[jsonBool](), reflect.TypeFor[jsonBytes](), reflect.TypeFor[jsonList](), reflect.TypeFor[jsonMap](), reflect.TypeFor[jsonArray](), reflect.TypeFor[jsonStruct]()},
	}
	object := map[string]any{"a": json.Number("1")}
	for _, c := range []struct {
		v                  any
		scan, text, inJSON string // what the methods get; "" when they are not for it
	}{
		{"low", "string low", "low", `"low"`},
		{int64(7), "int64 %!s(int64=7)", "7", "7"},
		{decimal.New(1990, -2), "string 19.90", "19.9", `"19.9"`},
		{1.5, "float64 %!s(float64=1.5)", "1.5", "1.5"},
		{true, "bool %!s(bool=true)", "true", "true"},
		{Date{Year: 2026, Month: 1, Day: 2}, "time.Time 2026-01-02 00:00:00 +0000 UTC", "2026-01-02", `"2026-01-02"`},
		{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "time.Time 2026-01-02 03:04:05 +0000 UTC", "2026-01-02T03:04:05Z", `"2026-01-02T03:04:05Z"`},
		{[]byte("xy"), "[]uint8 xy", "xy", ""},
		{object, `[]uint8 {"a":1}`, "", `{"a":1}`},
		{[]any{"a"}, `[]uint8 ["a"]`, "", `["a"]`},
		{json.Number("1.50"), "[]uint8 1.50", "1.50", "1.50"},
	} {
		for method, types := range types {
			want := "Scan was called with " + c.scan
			switch method {
			case "UnmarshalText":
				want = "UnmarshalText was called with []uint8 " + c.text
				if c.text == "" {
					want = "a JSON "
				}
			case "UnmarshalJSON":
				want = "UnmarshalJSON was called with []uint8 " + c.inJSON
			}
			for _, typ := range types {
				list := typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map || typ.Kind() == reflect.Array
				if _, isText := c.v.(string); method == "UnmarshalJSON" && (c.inJSON == "" || isText && list) {
					continue // as json.RawMessage, which is no part of a text
				}
				for _, typ := range []reflect.Type{typ, reflect.PointerTo(typ)} {
					if err := assign(reflect.New(typ).Elem(), c.v); err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("a %T into %s: %v, want %s", c.v, typ, err, want)
					}
				}
				if element := reflect.New(reflect.SliceOf(typ)).Elem(); c.v == "low" {
					if err := assign(element, "{low}"); err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("an array into %s: %v, want %s", element.Type(), err, want)
					}
				}
			}
		}
	}
}
