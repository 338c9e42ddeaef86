package connectortest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
)

// readFollowsWant: only what want names comes back, and a difference shows.
func (s *suite) readFollowsWant() {
	r := s.Connection.(connector.Reader)
	id := s.create(s.record(s.id(), connector.Fields{s.Text: quote("a"), s.Other: quote("b"), s.List: s.lines(1, 2)}))
	want := connector.Fields{s.Text: quote("z"), s.List: s.lines(1, 3)}
	got, err := r.Read(s.ctx, s.Type, id, want)
	s.look(err)
	if err != nil {
		s.Fatalf("read: %v", err)
	}
	if len(got) != len(want) {
		s.Errorf("read answers %d fields, want exactly %d: %s", len(got), len(want), got)
	}
	if !sameJSON(got[s.Text], quote("a")) || !sameJSON(got[s.List], s.lines(1, 2)) {
		s.Errorf("read %s, want what is there and not what was wanted", got)
	}
}

// initialize: a record from another one, once for each external id.
func (s *suite) initialize() {
	c := s.Connection.(connector.Initializer)
	origin := s.Origin(s.T)
	r := connector.Record{Type: s.InitType, ExternalID: s.id(), Fields: connector.Fields{s.InitText: quote("from origin")}}
	id, err := c.Initialize(s.ctx, origin, r)
	s.look(err)
	if err != nil || id == "" {
		s.Fatalf("initialize: %q, %v", id, err)
	}
	got := s.stored(s.InitType, id, r.Fields)
	if !sameJSON(got[s.InitText], r.Fields[s.InitText]) {
		s.Errorf("field %s: %s, want %s", s.InitText, got[s.InitText], r.Fields[s.InitText])
	}
	_, err = c.Initialize(s.ctx, origin, r)
	s.fails(err, "second initialize", connector.Exists)
	s.oneInitialized(r, id)
	r.ExternalID = s.id()
	_, err = c.Initialize(s.ctx, connector.Origin{Type: origin.Type, RemoteID: "99999999"}, r)
	s.fails(err, "initialize from nothing", connector.NotFound, connector.Rejected)
	if n := s.Count(s.InitType, r.ExternalID); n != 0 {
		s.Errorf("initialize from nothing made %d records", n)
	}
}

// initializePart: a list is all that the new record has of it.
func (s *suite) initializePart() {
	c := s.Connection.(connector.Initializer)
	r := connector.Record{Type: s.InitType, ExternalID: s.id(), Fields: s.InitPart}
	id, err := c.Initialize(s.ctx, s.Origin(s.T), r)
	s.look(err)
	if err != nil {
		s.Fatalf("initialize: %v", err)
	}
	got := s.stored(s.InitType, id, r.Fields)
	for name, want := range r.Fields {
		if !sameJSON(got[name], want) {
			s.Errorf("field %s: %s, want %s", name, got[name], want)
		}
	}
}

func (s *suite) initializeLostReply() {
	for _, f := range []Fault{{Kind: Reset, Applied: true}, {Kind: Answer, Status: 502, Applied: true}, {Kind: HTML, Applied: true}} {
		f.Message = words
		s.T.Run(f.String(), func(t *testing.T) {
			s := s.part(t)
			c := s.Connection.(connector.Initializer)
			origin := s.Origin(t)
			r := connector.Record{Type: s.InitType, ExternalID: s.id(), Fields: connector.Fields{s.InitText: quote("x")}}
			s.Fail(f)
			_, err := c.Initialize(s.ctx, origin, r)
			s.Heal()
			s.fails(err, "initialize", connector.Unknown)
			_, err = c.Initialize(s.ctx, origin, r)
			s.fails(err, "repeated initialize", connector.Exists)
			s.oneInitialized(r, "")
		})
	}
}

// oneInitialized checks that exactly one record was made, and is found by
// those that can look up. Empty want: any id.
func (s *suite) oneInitialized(r connector.Record, want string) {
	s.Helper()
	if n := s.Count(r.Type, r.ExternalID); n != 1 {
		s.Errorf("%d records with the external id %q, want 1", n, r.ExternalID)
	}
	if s.Connection.Traits().Class == connector.Blind {
		return
	}
	id, err := s.Connection.Find(s.ctx, r.Type, r.ExternalID)
	s.look(err)
	if err != nil || id == "" || want != "" && id != want {
		s.Errorf("find %s %q: %q, %v; want %q", r.Type, r.ExternalID, id, err, want)
	}
}

func (s *suite) check() {
	c := s.Connection.(connector.Checker)
	good := connector.Use{Sync: "good", Type: s.Type, Fields: []string{s.Text, s.Other, s.List}}
	problems := slices.DeleteFunc(c.Check(s.ctx, []connector.Use{good}), untried)
	if len(problems) != 0 {
		s.Errorf("problems where there are none: %v", problems)
	}
	bad := []connector.Use{good,
		{Sync: "typo", Type: s.Type, Fields: []string{s.Text, s.Text + "q"}},
		{Sync: "no_type", Type: s.Type + "q", Fields: []string{s.Text}},
	}
	problems = slices.DeleteFunc(c.Check(s.ctx, bad), untried)
	text := fmt.Sprint(problems)
	if !s.Opaque && (len(problems) < 2 || !strings.Contains(text, s.Text+"q") || !strings.Contains(text, s.Type+"q")) {
		s.Errorf("want the unknown field %q and the unknown type %q, got %v", s.Text+"q", s.Type+"q", problems)
	}
	blamed := func(sync, field string) bool {
		return slices.ContainsFunc(problems, func(err error) bool {
			var use *connector.UseError
			return errors.As(err, &use) && use.Sync == sync && use.Field == field
		})
	}
	if !s.Opaque && (!blamed("typo", s.Text+"q") || !blamed("no_type", "")) {
		s.Errorf("want a *connector.UseError for the unknown field and one for the unknown type, so that a person is shown the places, got %v", problems)
	}
	s.Fail(Fault{Kind: Answer, Status: http.StatusUnauthorized, Message: "Invalid login attempt."})
	problems = c.Check(s.ctx, []connector.Use{good})
	s.Heal()
	if len(problems) == 0 {
		s.Errorf("no problem with credentials that the remote refuses; what Check does not try it returns as *connector.Untried")
	}
	for _, p := range problems {
		s.noSecret(p)
	}
}

func untried(err error) bool {
	var u *connector.Untried
	return errors.As(err, &u)
}
