package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// one is a configuration of one sync over orders.
func one(keys string) string {
	return "source: sqlite:x.db\nremotes: {ns: {connector: netsuite}}\nsyncs:\n  order:\n    from: {table: orders, has_many: {lines: {table: line_items}}}\n    to: ns\n    record: salesOrder\n" + keys
}

func parse(t *testing.T, source string) *File {
	t.Helper()
	f, err := Parse("upkeep.yaml", []byte(source), env)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestVariablesInExpressions(t *testing.T) {
	t.Parallel()
	f := parse(t, one(`    fields:
      a: ${SECRET}
      b: '"x-${SECRET}-$$5-${NONE:-d}"'
      c: int(${NUMBER}) + 1
      d: '${EMPTY:-it} + state'
      e: "\"q\" + ${NUMBER}"
`))
	m := mappings(t, f, nil)["order"]
	got, err := m.Translate(upkeep.Row{"state": "sent"})
	if err != nil {
		t.Fatal(err)
	}
	want := upkeep.Fields{"a": "hunter2-secret", "b": "x-hunter2-secret-$5-d", "c": int64(8), "d": "itsent", "e": "q7"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Editors of Windows begin a file with a byte order mark, and end lines as they do.
func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(one("    fields: {a: state}\n"), "\n", "\r\n")
	if f := parse(t, "\ufeff"+text); len(mappings(t, f, nil)) != 1 {
		t.Error("no sync is read")
	}
}

// The environment is never read as code: a quote in it stays a quote.
func TestVariablesAreNotCode(t *testing.T) {
	t.Parallel()
	hostile := func(string) (string, bool) { return `" + state + "`, true }
	f, err := Parse("upkeep.yaml", []byte(one("    fields: {a: '\"${X}\"', b: '${X}'}\n")), hostile)
	if err != nil {
		t.Fatal(err)
	}
	m := mappings(t, f, nil)["order"]
	got, err := m.Translate(upkeep.Row{"state": "sent"})
	if want := (upkeep.Fields{"a": `" + state + "`, "b": `" + state + "`}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v %v", got, err)
	}
	if len(m.From.Columns) != 0 {
		t.Errorf("reads %v", m.From.Columns)
	}
}

func TestLiterals(t *testing.T) {
	t.Parallel()
	f := parse(t, one("    fields: {a: 1, b: 0.10000000000000000000001, c: true, d: null, e: [1, state, {x: id}], f: 123456789012345678901234567890, g: 0x1F, h: {}, i: [], j: -2}\n"))
	got, err := mappings(t, f, nil)["order"].Translate(upkeep.Row{"state": "s", "id": int64(3)})
	want := upkeep.Fields{"a": int64(1), "b": dec("0.10000000000000000000001"), "c": true, "d": nil, "e": []any{int64(1), "s", map[string]any{"x": int64(3)}},
		"f": dec("123456789012345678901234567890"), "g": int64(31), "h": map[string]any{}, "i": []any{}, "j": int64(-2)}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%v %v, want\n%v", got, err, want)
	}
}

func TestFileVariable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "account"), []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Parse(filepath.Join(dir, "upkeep.yaml"), []byte(strings.Replace(one("    fields: {a: 1}\n"), "connector: netsuite", "connector: netsuite, account: '${file:account}'", 1)), env)
	if err != nil {
		t.Fatal(err)
	}
	var made []*closed
	if _, err := f.Open(connectors(&made)); err != nil || made[0].settings.Account != "from-a-file" {
		t.Errorf("%v %+v", err, made)
	}
}

func TestOpenClosesOnFailure(t *testing.T) {
	t.Parallel()
	f := parse(t, strings.Replace(one("    fields: {a: 1}\n"), "{ns: {connector: netsuite}}", "{ns: {connector: netsuite}, other: {connector: netsuite, port: x}}", 1))
	var made []*closed
	if _, err := f.Open(connectors(&made)); err == nil || len(made) != 1 || made[0].times != 1 {
		t.Errorf("error %v, made %v", err, made)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	version := func(keys string) string { return mappings(t, parse(t, one(keys)), nil)["order"].Version }
	first := version("    fields: {a: id, b: state}\n")
	if got := version("    # a comment\n    fields:\n      b:   state\n      a: 'id'\n"); got != first {
		t.Errorf("layout changes the version: %s, %s", first, got)
	}
	for _, keys := range []string{"    fields: {a: id, b: ref_no}\n", "    fields: {a: id}\n", "    fields: {a: id, b: state}\n    version: 2\n",
		"    fields: {a: id, b: state}\n    when: id > 1\n", "    fields: {a: id, b: 'state '}\n    create_fields: {c: 1}\n"} {
		if version(keys) == first {
			t.Errorf("the version does not change with %q", keys)
		}
	}
}

func TestWhenWrittenOut(t *testing.T) {
	t.Parallel()
	if m := mappings(t, parse(t, one("    when: true\n    fields: {a: 1}\n")), nil)["order"]; m.When != nil {
		t.Error("when: true is not always")
	}
	m := mappings(t, parse(t, one("    when: false\n    fields: {a: 1}\n")), nil)["order"]
	if in, err := m.When(nil); in || err != nil {
		t.Error("when: false is not never")
	}
}

// A row's first moment of the year 1 is what is sent, and not a time that nobody set.
func TestYearOne(t *testing.T) {
	t.Parallel()
	m := mappings(t, parse(t, one("    fields: {a: placed_at, b: '{x: [placed_at]}', c: placed_at == nil}\n")), nil)["order"]
	got, err := m.Translate(upkeep.Row{"placed_at": time.Time{}})
	if want := "map[a:0001-01-01T00:00:00Z b:map[x:[0001-01-01T00:00:00Z]] c:false]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("got %v (%v), want %s", got, err, want)
	}
}

func TestErrorOfAFieldNamesIt(t *testing.T) {
	t.Parallel()
	m := mappings(t, parse(t, one("    fields: {a: {b: 1 / id}}\n")), nil)["order"]
	if _, err := m.Translate(upkeep.Row{"id": int64(0)}); err == nil || err.Error() != "field a: b: division by zero" {
		t.Errorf("got %v", err)
	}
}

func TestUnusedRelationIsNotLoaded(t *testing.T) {
	t.Parallel()
	if m := mappings(t, parse(t, one("    fields: {a: id}\n")), nil)["order"]; m.From.HasMany != nil {
		t.Errorf("loads %+v", m.From.HasMany)
	}
}

// One File serves several catalogues: what was compiled for one stays.
func TestMappingsTwice(t *testing.T) {
	t.Parallel()
	f := parse(t, one("    fields: {a: len(lines)}\n"))
	first := mappings(t, f, nil)["order"]
	_ = mappings(t, f, nil)
	if got, err := first.Translate(upkeep.Row{"count(lines)": int64(3)}); err != nil || got["a"] != int64(3) {
		t.Errorf("got %v %v", got, err)
	}
}

// The columns of via in another order than the foreign key is declared in would
// lead to another row.
func TestViaInAnotherOrder(t *testing.T) {
	t.Parallel()
	c := catalogue{}
	c.define("pairs", "a:int", "b:int", "name:text")
	c.define("work", "id:int", "pa:int", "pb:int")
	c["pairs"].Key, c["work"].Key = []string{"a", "b"}, []string{"id"}
	c["work"].ForeignKeys = []store.ForeignKey{{Columns: []string{"pa", "pb"}, Table: c["pairs"].Table, To: []string{"a", "b"}}}
	for via, wrong := range map[string]bool{"pb, pa": true, "pa, pb": false, "pb, pa], to: [b, a": false} {
		f := parse(t, "source: sqlite:x.db\nremotes: {ns: {connector: netsuite}}\nsyncs:\n  order:\n    from: {table: work, belongs_to: {pair: {table: pairs, via: ["+via+
			"]}}}\n    to: ns\n    record: r\n    fields: {a: pair.name}\n")
		_, errs := f.Mappings(t.Context(), c, nil)
		if said := len(errs) == 1 && strings.Contains(errs[0].Error(), "pb, pa of work would point at a, b of pairs") && strings.Contains(errs[0].Error(), "write via: [pa, pb]"); said != wrong || len(errs) > 0 != wrong {
			t.Errorf("via %s: %v", via, errs)
		}
	}
}

// What a virtual column held before is not known to a trigger: no relation can go
// by it. One that is only read is a column like others.
func TestViaAVirtualColumn(t *testing.T) {
	t.Parallel()
	c := catalogue{}
	c.define("pairs", "id:int", "name:text", "code:int")
	c.define("work", "id:int", "pair:int")
	for _, virtual := range []store.Column{{Name: "pair", Kind: store.Int}, {Name: "code", Kind: store.Int}, {Name: "name", Kind: store.Text}} {
		for _, info := range c {
			for i := range info.Columns {
				info.Columns[i].Virtual = info.Columns[i].Name == virtual.Name
			}
		}
		f := parse(t, "source: sqlite:x.db\nremotes: {ns: {connector: netsuite}}\nsyncs:\n  order:\n    from: {table: work, belongs_to: {other: {table: pairs, via: pair, to: code}}}\n"+
			"    to: ns\n    record: r\n    fields: {a: other.name}\n")
		_, errs := f.Mappings(t.Context(), c, nil)
		if virtual.Name == "name" {
			if len(errs) > 0 {
				t.Errorf("%v", errs)
			}
			continue
		}
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), ":5:65: "+virtual.Name+" of public.") || !strings.Contains(errs[0].Error(), "STORED") {
			t.Errorf("%s: %v", virtual.Name, errs)
		}
	}
}
