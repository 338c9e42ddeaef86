package connectortest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
)

func (s *suite) traits() {
	a, b := s.Connection.Traits(), s.Connection.Traits()
	if a != b {
		s.Errorf("traits change: %+v, %+v", a, b)
	}
	if a.Class < connector.Upsert || a.Class > connector.Blind || a.Quiet < 0 || a.Concurrency < 0 || a.Timeout < 0 {
		s.Errorf("traits make no sense: %+v", a)
	}
}

func (s *suite) createFindRead() {
	ext := s.id()
	f := connector.Fields{s.Text: quote("first"), s.Other: quote("second"), s.List: s.lines(1, 2)}
	id := s.create(s.record(ext, f))
	s.find(ext, id)
	s.count(ext, 1)
	s.has(id, f)
	other := s.create(s.record(s.id(), f))
	if other == id {
		s.Errorf("two records have one id %q", id)
	}
}

func (s *suite) createTwice() {
	ext := s.id()
	id := s.create(s.record(ext, connector.Fields{s.Text: quote("one"), s.Other: quote("kept")}))
	again, err := s.Connection.Create(s.ctx, s.record(ext, connector.Fields{s.Text: quote("two")}))
	s.look(err)
	if s.Connection.Traits().Class != connector.Upsert {
		if err != nil {
			s.fails(err, "second create", connector.Exists)
			s.count(ext, 1)
		} else if again == id || again == "" {
			s.Errorf("a second create without upsert gave the id %q again", again)
		}
		return
	}
	if err != nil || again != id {
		s.Fatalf("second create: %q, %v; want the first record's id %q", again, err, id)
	}
	s.count(ext, 1)
	s.has(id, connector.Fields{s.Text: quote("two"), s.Other: quote("kept")})
}

func (s *suite) updateTouchesOnlyItsFields() {
	ext := s.id()
	id := s.create(s.record(ext, connector.Fields{s.Text: quote("a"), s.Other: quote("b"), s.Number: json.RawMessage(s.Numbers[0]), s.List: s.lines(3, 4)}))
	bystander := s.create(s.record(s.id(), connector.Fields{s.Text: quote("bystander")}))
	s.update(id, s.changes(ext, connector.Fields{s.Text: quote("c")}))
	s.has(id, connector.Fields{s.Text: quote("c"), s.Other: quote("b"), s.Number: json.RawMessage(s.Numbers[0]), s.List: s.lines(3, 4)})
	s.has(bystander, connector.Fields{s.Text: quote("bystander")})
	s.find(ext, id)
}

func (s *suite) nullClears() {
	ext := s.id()
	null := json.RawMessage("null")
	id := s.create(s.record(ext, connector.Fields{s.Text: quote("a"), s.Other: quote("b")}))
	s.update(id, s.changes(ext, connector.Fields{s.Text: null}))
	if got := s.stored(s.Type, id, connector.Fields{s.Text: null})[s.Text]; string(got) != "null" && string(got) != `""` {
		s.Errorf("null did not clear %s: %s", s.Text, got)
	}
	s.has(id, connector.Fields{s.Other: quote("b")})
	fresh := s.create(s.record(s.id(), connector.Fields{s.Text: null, s.Other: quote("b")}))
	if got := s.stored(s.Type, fresh, connector.Fields{s.Text: null})[s.Text]; string(got) != "null" && string(got) != `""` {
		s.Errorf("created with null, %s is %s", s.Text, got)
	}
}

func (s *suite) listsReplaceWhole() {
	ext := s.id()
	id := s.create(s.record(ext, connector.Fields{s.List: s.lines(1, 2, 3)}))
	for _, q := range [][]int{{5}, {4, 1}, {1, 1, 1, 1, 2}, {2, 9}} {
		s.update(id, s.changes(ext, connector.Fields{s.List: s.lines(q...)}))
		s.has(id, connector.Fields{s.List: s.lines(q...)})
	}
	if s.Connection.Traits().Class == connector.Upsert {
		// A repeated create must not append to the lines of the first.
		s.create(s.record(ext, connector.Fields{s.List: s.lines(3, 3)}))
		s.has(id, connector.Fields{s.List: s.lines(3, 3)})
	}
}

// lines makes a list with one line for each quantity.
func (s *suite) lines(quantities ...int) json.RawMessage {
	var parts [][]byte
	for i, q := range quantities {
		parts = append(parts, s.Line(i, q))
	}
	return slices.Concat([]byte("["), bytes.Join(parts, []byte(",")), []byte("]"))
}

func (s *suite) texts() {
	ext := s.id()
	id := s.create(s.record(ext, nil))
	for _, text := range []string{
		"Zażółć gęślą jaźń", "日本語 and 🚚 and e\u0301", `quotes " ' \ / and <b>&amp;</b>`,
		"two\nlines\tand a tab", "12.50", "null", "true", "?q=1&x=%20+", "'; DROP TABLE x; --", "${x} {{y}}",
		strings.Repeat("x", s.LongText), strings.Repeat("ü", s.LongText),
	} {
		s.update(id, s.changes(ext, connector.Fields{s.Text: quote(text)}))
		s.has(id, connector.Fields{s.Text: quote(text)})
		// JSON may also escape every character.
		var escaped strings.Builder
		for _, r := range "aé" {
			fmt.Fprintf(&escaped, `\u%04x`, r)
		}
		s.update(id, s.changes(ext, connector.Fields{s.Other: json.RawMessage(`"` + escaped.String() + `"`)}))
		s.has(id, connector.Fields{s.Other: quote("aé")})
	}
}

// oddTexts: what the remote or its wire format has no words for is refused, and
// never stored as something else, which nobody would notice.
func (s *suite) oddTexts() {
	ext := s.id()
	id := s.create(s.record(ext, nil))
	for _, text := range []string{"\x00", "a\x01b\x1f", "\ufffe", "two\r\nlines", " in blanks "} {
		want := connector.Fields{s.Text: quote(text)}
		if err := s.Connection.Update(s.ctx, id, s.changes(ext, want)); err != nil {
			s.fails(err, fmt.Sprintf("update with %q", text), connector.Rejected)
			continue
		}
		s.has(id, want)
	}
}

func (s *suite) numbers() {
	ext := s.id()
	id := s.create(s.record(ext, nil))
	for _, n := range s.Numbers {
		want := connector.Fields{s.Number: json.RawMessage(n)}
		s.update(id, s.changes(ext, want))
		s.has(id, want)
	}
}

func (s *suite) datesAndTimes() {
	ext := s.id()
	id := s.create(s.record(ext, nil))
	for _, d := range []string{"2026-01-31", "2024-02-29", "1999-12-31"} {
		want := connector.Fields{s.Date: quote(d)}
		s.update(id, s.changes(ext, want))
		s.has(id, want)
	}
	for _, d := range []string{"2026-07-01T00:00:00Z", "2026-10-25T01:30:00Z", "2024-02-29T23:59:59Z"} {
		want := connector.Fields{s.Time: quote(d)}
		s.update(id, s.changes(ext, want))
		s.has(id, want)
	}
}

func (s *suite) references() {
	ref := s.Ref(s.T)
	ref.Field = s.RefField
	if ref.Type == "" || ref.RemoteID == "" || ref.ExternalID == "" {
		s.Fatalf("Target.Ref names a record by %+v: the engine always knows type, remote id and external id", ref)
	}
	raw := quote(ref.RemoteID)
	if r, ok := s.Connection.(connector.Referencer); ok {
		var err error
		if raw, err = r.Reference(ref); err != nil || !json.Valid(raw) {
			s.Fatalf("reference to %+v: %s, %v", ref, raw, err)
		}
		another := ref
		another.RemoteID, another.ExternalID = ref.RemoteID+"0", ref.ExternalID+"0"
		if other, err := r.Reference(another); err == nil && bytes.Equal(raw, other) {
			s.Errorf("references to %+v and %+v are both %s", ref, another, raw)
		}
	}
	ext := s.id()
	want := connector.Fields{s.RefField: raw}
	id := s.create(s.record(ext, want))
	s.has(id, want)
	s.update(id, s.changes(ext, want))
	s.has(id, want)
}

func (s *suite) externalIDs() {
	for _, odd := range []string{"plain", "Upper_and-under", "0", "a.b", "two words", "a/b", "a|b", "50%", "ü-🚚", `it's "so"`, "a,b:c;d", "-", strings.Repeat("k", 64)} {
		ext := odd
		if len(odd) < 40 {
			ext = odd + s.id()
		}
		foreseen := error(nil)
		if f, can := s.Connection.(connector.Foreseer); can {
			foreseen = f.Foresee(connector.Change{Record: s.record(ext, nil)})
		}
		id, err := s.Connection.Create(s.ctx, s.record(ext, nil))
		if err != nil {
			// A remote may not take every key, but has to say so.
			s.fails(err, fmt.Sprintf("create %q", ext), connector.Rejected)
			s.count(ext, 0)
		}
		if foreseen != nil {
			s.fails(foreseen, fmt.Sprintf("foresee the create of %q", ext), connector.Rejected)
			if err == nil {
				s.Errorf("create %q: done, though it was foreseen as refused: %v", ext, foreseen)
			}
		}
		if err != nil {
			continue
		}
		s.count(ext, 1)
		s.find(ext, id)
		if s.Connection.Traits().Class == connector.Upsert {
			if again := s.create(s.record(ext, nil)); again != id {
				s.Errorf("second create of %q: id %q, want %q", ext, again, id)
			}
			s.count(ext, 1)
		}
	}
}

func (s *suite) deleteTwice() {
	ext := s.id()
	id := s.create(s.record(ext, nil))
	other := s.id()
	kept := s.create(s.record(other, nil))
	for range 2 {
		err := s.Connection.Delete(s.ctx, s.Type, id)
		s.look(err)
		if err != nil {
			s.Fatalf("delete: %v", err)
		}
		s.count(ext, 0)
	}
	s.find(ext, "")
	s.find(other, kept)
	err := s.Connection.Update(s.ctx, id, s.changes(ext, connector.Fields{s.Text: quote("x")}))
	s.fails(err, "update of a deleted record", connector.NotFound)
	s.create(s.record(ext, nil))
	s.count(ext, 1)
}

func (s *suite) unknownIDs() {
	const unknown = "99999999"
	ext := s.id()
	s.find(ext, "")
	err := s.Connection.Update(s.ctx, unknown, s.changes(ext, connector.Fields{s.Text: quote("x")}))
	s.fails(err, "update", connector.NotFound)
	s.count(ext, 0)
	err = s.Connection.Delete(s.ctx, s.Type, unknown)
	s.look(err)
	if err != nil {
		s.Errorf("delete of a record that was never there: %v", err)
	}
	if r, ok := s.Connection.(connector.Reader); ok {
		_, err = r.Read(s.ctx, s.Type, unknown, connector.Fields{s.Text: quote("x")})
		s.fails(err, "read", connector.NotFound)
	}
}

func (s *suite) callersFieldsStay() {
	ext := s.id()
	r := s.record(ext, connector.Fields{s.Text: json.RawMessage(` "a" `), s.List: s.lines(1, 2)})
	before := make(connector.Fields, len(r.Fields))
	for k, v := range r.Fields {
		before[k] = slices.Clone(v)
	}
	id := s.create(r)
	s.update(id, r)
	if !maps.EqualFunc(before, r.Fields, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		s.Errorf("the connector changed the caller's fields: %s, were %s", r.Fields, before)
	}
}
