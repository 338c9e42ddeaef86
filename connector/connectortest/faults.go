package connectortest

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// words is what the remote says in a fault; a rejection has to pass it on.
const words = "Please enter value(s) for: Subsidiary"

// disturbances are the faults with the kinds that a connector may see in them.
var disturbances = []disturbance{
	{Fault{Kind: Answer, Status: http.StatusUnauthorized}, only(connector.Unauthorized)},
	{Fault{Kind: Answer, Status: http.StatusTooManyRequests, RetryAfter: 7 * time.Second}, only(connector.RateLimited)},
	{Fault{Kind: Answer, Status: http.StatusTooManyRequests}, only(connector.RateLimited)},
	{Fault{Kind: Answer, Status: http.StatusBadRequest}, only(connector.Rejected)},
	{Fault{Kind: Answer, Status: http.StatusInternalServerError}, only(connector.Unknown)},
	{Fault{Kind: Answer, Status: http.StatusBadGateway}, only(connector.Unknown)},
	{Fault{Kind: Answer, Status: http.StatusServiceUnavailable}, only(connector.Unknown)},
	{Fault{Kind: Answer, Status: http.StatusGatewayTimeout}, only(connector.Unknown)},
	// A remote may say that it applies nothing when it asks to come back.
	{Fault{Kind: Answer, Status: http.StatusServiceUnavailable, RetryAfter: 7 * time.Second}, []connector.Kind{connector.RateLimited, connector.Unknown}},
	// A gateway that lost its way, or a wrong address: it says nothing of the record.
	{Fault{Kind: HTML, Status: http.StatusNotFound}, []connector.Kind{connector.Unavailable, connector.Unknown}},
	{Fault{Kind: Answer, Status: http.StatusInternalServerError, Applied: true}, only(connector.Unknown)},
	{Fault{Kind: Answer, Status: http.StatusBadGateway, Applied: true}, only(connector.Unknown)},
	{Fault{Kind: Answer, Status: http.StatusServiceUnavailable, Applied: true}, only(connector.Unknown)},
	{Fault{Kind: Reset}, only(connector.Unknown)},
	{Fault{Kind: Reset, Applied: true}, only(connector.Unknown)},
	{Fault{Kind: HTML, Applied: true}, only(connector.Unknown)},
	{Fault{Kind: Empty, Applied: true}, only(connector.Unknown)},
	{Fault{Kind: Garbage, Applied: true}, only(connector.Unknown)},
}

type disturbance struct {
	fault Fault
	kinds []connector.Kind
}

func only(k connector.Kind) []connector.Kind { return []connector.Kind{k} }

func (s *suite) faults() {
	for _, d := range disturbances {
		if s.lacks(d.fault) {
			continue
		}
		d.fault.Message = words
		s.T.Run(d.fault.String(), func(t *testing.T) {
			s := s.part(t)
			ext := s.id()
			there := s.create(s.record(ext, nil))
			s.Fail(d.fault)
			defer s.Heal()

			_, err := s.Connection.Create(s.ctx, s.record(s.id(), nil))
			s.judge("create", err, d.fault, d.kinds)
			_, err = s.Connection.Find(s.ctx, s.Type, ext)
			s.judge("find", err, d.fault, d.kinds)
			if d.fault.Kind != Empty { // an empty 200 may well be all that a remote has to say to a write
				err = s.Connection.Update(s.ctx, there, s.changes(ext, connector.Fields{s.Text: quote("x")}))
				s.judge("update", err, d.fault, d.kinds)
				err = s.Connection.Delete(s.ctx, s.Type, there)
				s.judge("delete", err, d.fault, d.kinds)
			}
			if r, ok := s.Connection.(connector.Reader); ok {
				_, err = r.Read(s.ctx, s.Type, there, connector.Fields{s.Text: quote("x")})
				s.judge("read", err, d.fault, d.kinds)
			}
		})
	}
}

// judge checks one failed call under a fault.
func (s *suite) judge(verb string, err error, f Fault, kinds []connector.Kind) {
	s.Helper()
	if verb == "find" && s.Connection.Traits().Class == connector.Blind {
		return // it asks nobody
	}
	if s.Sure && slices.Contains(kinds, connector.Unknown) {
		kinds = only(s.cutOff(verb, f.Applied))
	}
	e := s.fails(err, verb, kinds...)
	if err == nil {
		return
	}
	if e.RetryAfter != f.RetryAfter {
		s.Errorf("%s: retry after %v, the remote asked for %v", verb, e.RetryAfter, f.RetryAfter)
	}
	if f.Status != 0 && e.Status != 0 && e.Status != f.Status {
		s.Errorf("%s: the error says HTTP %d, the remote said %d", verb, e.Status, f.Status)
	}
	if kinds[0] == connector.Rejected && !strings.Contains(err.Error(), f.Message) {
		s.Errorf("%s: the error keeps the remote's words to itself: %v", verb, err)
	}
}

// lostReply: the remote made the record and the answer got lost.
func (s *suite) lostReply() {
	for _, d := range disturbances {
		if !d.fault.Applied || s.lacks(d.fault) {
			continue
		}
		s.T.Run(d.fault.String(), func(t *testing.T) {
			s := s.part(t)
			ext := s.id()
			s.Fail(d.fault)
			_, err := s.Connection.Create(s.ctx, s.record(ext, connector.Fields{s.Text: quote("lost")}))
			s.Heal()
			s.fails(err, "create", connector.Unknown)
			s.count(ext, 1)
			if s.Connection.Traits().Class == connector.Blind {
				return
			}
			id, err := s.Connection.Find(s.ctx, s.Type, ext)
			s.look(err)
			if err != nil || id == "" {
				s.Fatalf("find after a lost reply: %q, %v", id, err)
			}
			s.has(id, connector.Fields{s.Text: quote("lost")})
			if s.Connection.Traits().Class != connector.Upsert {
				return
			}
			again := s.create(s.record(ext, connector.Fields{s.Text: quote("again")}))
			if again != id {
				s.Errorf("repeated create: id %q, want %q", again, id)
			}
			s.count(ext, 1)
			s.has(id, connector.Fields{s.Text: quote("again")})
		})
	}
}

// notApplied: the remote failed before it did anything; nothing may be left
// over from it.
func (s *suite) notApplied() {
	for _, status := range []int{500, 503, 429, 400} {
		ext := s.id()
		s.Fail(Fault{Kind: Answer, Status: status, Message: words})
		_, err := s.Connection.Create(s.ctx, s.record(ext, nil))
		s.Heal()
		if err == nil {
			s.Errorf("create under HTTP %d: no error", status)
		}
		s.look(err)
		s.count(ext, 0)
		s.find(ext, "")
		id := s.create(s.record(ext, nil))
		s.find(ext, id)
		s.count(ext, 1)
	}
}
