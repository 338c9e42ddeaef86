package warehouse

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/upkeep-sync/upkeep/connector"
)

// columnTypes are all types of columns.
var columnTypes = map[connector.Type]class{
	connector.AnyType: document, connector.Text: text, connector.Integer: integer, connector.Decimal: decimal, connector.Float: float, connector.Boolean: boolean,
	connector.Date: date, connector.Time: instant, connector.Bytes: binary, connector.JSON: document, connector.Reference: text, connector.List: document,
}

// Every dialect makes columns that it knows again, and that hold their type.
func TestTypesHoldTheirValues(t *testing.T) {
	t.Parallel()
	for name, d := range dialects() {
		for ty, want := range columnTypes {
			got := d.class(d.typeOf(ty))
			if got != want || !got.holds(ty) {
				t.Errorf("%s: %s is made as %s, which is %s", name, ty, d.typeOf(ty), got)
			}
		}
	}
}

// FuzzEncode: whatever JSON is to be kept, it is refused with a reason, or
// comes back byte for byte.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{`"a"`, `null`, `12.50`, `-1e-5`, `true`, `{"a":[1,"\u0000"]}`, `"2026-01-31"`, `"2026-01-31T00:00:00+02:00"`, `"AAE="`, `[1]`, `"\ud800"`, ``, `1e999999999`} {
		for c := other; c <= document; c++ {
			f.Add(int(c), []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, n int, raw []byte) {
		c := class(n)
		if c < other || c > document || !utf8.Valid(raw) {
			return
		}
		v, err := encode(c, raw)
		if err != nil {
			if err.Error() == "" || len(err.Error()) > 500 {
				t.Errorf("%s: %q is refused with %q", c, raw, err)
			}
			return
		}
		if strings.ContainsRune(v.text, 0) || v.null && v.text != "" {
			t.Errorf("%s: %q is encoded as %q", c, raw, v.text)
		}
		back, err := decode(c, v, raw)
		if err != nil {
			t.Fatalf("%s: %q does not come back: %v", c, raw, err)
		}
		if !v.null && string(back) != string(raw) {
			t.Errorf("%s: %q comes back as %q", c, raw, back)
		}
	})
}

// FuzzDecode: whatever a database says, it becomes JSON or an error.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "NaN", "-Infinity", "12.50", "true", `\x00ff`, `\xzz`, "2026-01-31", "infinity", `{"a":1}`, "2026-01-31T00:00:00.000001Z", "\xff"} {
		for c := other; c <= document; c++ {
			f.Add(int(c), s, []byte(`"x"`))
		}
	}
	f.Fuzz(func(t *testing.T, n int, have string, want []byte) {
		c := class(n)
		if c < other || c > document || !json.Valid(want) { // what is wanted is what was sent
			return
		}
		got, err := decode(c, cell{text: have}, want)
		if err == nil && !json.Valid(got) {
			t.Errorf("%s: %q for %q is no JSON: %q", c, have, want, got)
		}
	})
}
