package store

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// FuzzSplitKey: the parts of a key lead to the key, and it to them; of what nobody
// wrote as a key the parts are read, or there is an error.
func FuzzSplitKey(f *testing.F) {
	for _, s := range []string{"", ",", `\`, `\\`, `\,`, `a\,b`, "Rome, RM", "42", `a\\,`} {
		f.Add(s, s, s)
		f.Add("42", s, "eu")
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		key, err := Key(a, b, c)
		if err != nil {
			return // no database has such a value in a key
		}
		if parts, err := SplitKey(key, 3); err != nil || parts[0] != a || parts[1] != b || parts[2] != c {
			t.Errorf("%q, %q, %q: %q is read as %q, %v", a, b, c, key, parts, err)
		}
		parts, err := SplitKey(a, 2)
		if err != nil {
			return
		}
		key, err = Key(parts[0], parts[1])
		if again, err2 := SplitKey(key, 2); err != nil || err2 != nil || again[0] != parts[0] || again[1] != parts[1] {
			t.Errorf("%q is read as %q, written as %q and read as %q: %v, %v", a, parts, key, again, err, err2)
		}
	})
}

// FuzzDecodePayload: whatever a payload says is read or an error, and what was read
// is written as what is read alike.
func FuzzDecodePayload(f *testing.F) {
	lines := &Member{Name: "lines", Relation: HasMany, Columns: []Column{{Name: "q", Kind: Decimal}}, Aggregates: []Aggregate{{Name: "n", Func: "count"}}}
	of := &Member{Name: "of", Relation: BelongsTo, Columns: []Column{{Name: "name", Kind: Text}}}
	shape := &Shape{Root: &Member{Members: []*Member{lines, of}}}
	for name, kind := range map[string]Kind{"i": Int, "t": Text, "f": Float, "b": Bool, "d": Date, "at": Time, "x": Bytes, "j": JSON, "o": Other} {
		shape.Root.Columns = append(shape.Root.Columns, Column{Name: name, Kind: kind})
	}
	for _, s := range []string{
		`{"i":1,"t":"a","f":"1.5","b":true,"d":"2024-02-29","at":"2024-02-29T01:02:03.5","x":"00ff","j":{"a":[1e400]},"o":"1 day","n":2,"lines":[{"q":"1.50"},{"q":null}],"of":[{"name":"x"}]}`,
		`{"i":null,"t":null,"f":"NaN","b":null,"d":"infinity","at":"infinity","x":null,"j":null,"o":null,"n":0,"lines":[],"of":[]}`,
		`{"lines":{},"of":[{},{}]}`, `[]`, `null`, `{`, `{"at":"10000-01-01 00:00:00"}`, `{"f":"1e400"}`, `{"x":"0"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		c := DecodePayload(shape, payload)
		if c.Err != nil || c.Row == nil {
			return
		}
		for _, line := range c.Row["lines"].([]Row) {
			if q, is := line["q"].(decimal.Decimal); is && (q.Exponent() > 1000 || q.Exponent() < -1000) {
				return // no database has it, and it is written with all its digits
			}
		}
		if at, is := c.Row["at"].(time.Time); is && at.Nanosecond()%1000 != 0 {
			return // databases know microseconds
		}
		once, err := EncodePayload(shape, c.Row)
		if err != nil {
			t.Fatalf("%s: %v", payload, err)
		}
		again := DecodePayload(shape, once)
		twice, err := EncodePayload(shape, again.Row)
		if again.Err != nil || err != nil || !bytes.Equal(once, twice) || fmt.Sprint(again.Row) != fmt.Sprint(c.Row) {
			t.Errorf("%s is written as %s, and read as %s: %v, %v", payload, once, twice, again.Err, err)
		}
	})
}

// FuzzArray: the text of an array is read as its elements, and of any other text
// something is read or there is an error.
func FuzzArray(f *testing.F) {
	for _, s := range []string{"", "{}", "{a,NULL}", `{"a b",null}`, `[0:1]={1,2}`, `{"`, `{\`, "{{1},{2}}", `{"a"b}`, "{,}", `"\`} {
		f.Add(s, s, true)
	}
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	f.Fuzz(func(t *testing.T, text, other string, null bool) {
		_, _ = Array(text)
		written := `{"` + quote.Replace(text) + `","` + quote.Replace(other) + `"}`
		if null {
			written = `[2:4]={"` + quote.Replace(text) + `",NULL,"` + quote.Replace(other) + `"}`
		}
		got, err := Array(written)
		want := []*string{&text, &other}
		if null {
			want = []*string{&text, nil, &other}
		}
		same := func(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }
		if err != nil || !slices.EqualFunc(got, want, same) {
			t.Errorf("%s is read as %v, %v", written, got, err)
		}
	})
}
