package upkeep_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// No fields at all are a row that was to be left out, and no record; an empty
// record is one whose Fields are empty. A reference that can't be sent parks
// its group as well.
func TestTranslateReturnsNothing(t *testing.T) {
	s := newShop(t, memory.Config{})
	s.fill()
	s.exec(`insert into users(id, name) values (3, 'Cy')`)
	type person struct {
		ID int64 `db:"id"`
	}
	e := s.engine(upkeep.Sync[person]{Name: "customer", Table: "users", To: s.to, Record: "customer", RefersTo: []string{"customer"},
		Translate: func(p person) (upkeep.Fields, error) {
			switch p.ID {
			case 1:
				return nil, nil
			case 2:
				return upkeep.Fields{"parent": struct{ Ref upkeep.Reference }{upkeep.Ref("customer", 3)}}, nil
			}
			return upkeep.Fields{}, nil
		}})
	s.run(e)
	s.quiet(e)
	if x := s.state(e, "customer", "1", upkeep.Parked); !strings.Contains(x.Group.Reason, "it returned no fields; use When to leave rows out") {
		t.Error(x.Group.Reason)
	}
	if x := s.state(e, "customer", "2", upkeep.Parked); !strings.Contains(x.Group.Reason, "field parent: ") || !strings.Contains(x.Group.Reason, "a reference inside a struct can't be sent; use upkeep.Fields") {
		t.Error(x.Group.Reason)
	}
	s.state(e, "customer", "3", upkeep.Clean)
	if records := s.remote.Records("customer"); len(records) != 1 {
		t.Errorf("records: %+v", records)
	}
}

// A text that Translate cut inside a character has no JSON: the group is parked,
// and never sent with another character in its place.
func TestTextThatIsNoUTF8(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	type text string
	cases := map[string]func(cut string) any{
		"text":          func(cut string) any { return cut },
		"own type":      func(cut string) any { return text(cut) },
		"pointer":       func(cut string) any { return &cut },
		"list":          func(cut string) any { return []any{"ok", cut} },
		"own list":      func(cut string) any { return []text{text(cut)} },
		"map":           func(cut string) any { return upkeep.Fields{"a": cut} },
		"name in a map": func(cut string) any { return map[string]any{cut: 1} },
		"struct":        func(cut string) any { return struct{ A string }{`\` + cut} },
	}
	n, names := 0, map[int64]string{}
	for name := range cases {
		n++
		names[int64(n)] = name
		s.exec(`insert into users(id, name) values (%d, 'abäöü')`, n)
	}
	s.exec(`insert into users(id, name) values (100, 'abäöü')`)
	type person struct {
		ID   int64  `db:"id"`
		Name string `db:"name"`
	}
	e := s.engine(upkeep.Sync[person]{Name: "customer", Table: "users", To: s.to, Record: "customer",
		Translate: func(p person) (upkeep.Fields, error) {
			if p.ID == 100 { // the character itself, and what looks like its escape, are texts like others
				return upkeep.Fields{"a": "\ufffd", "b": struct{ A, B string }{"\ufffd", `\ufffd`}}, nil
			}
			return upkeep.Fields{"short": cases[names[p.ID]](p.Name[:3])}, nil
		}})
	s.run(e)
	s.quiet(e)
	for id, name := range names {
		x, err := e.Explain(s.ctx, "customer", strconv.FormatInt(id, 10))
		if err != nil || x.Group.State != upkeep.Parked || !strings.Contains(x.Group.Reason, "is not valid UTF-8") {
			t.Errorf("%s: %+v, %v", name, x.Group, err)
		}
	}
	s.state(e, "customer", "100", upkeep.Clean)
	if records := s.remote.Records("customer"); len(records) != 1 {
		t.Errorf("records: %+v", records)
	}
}
