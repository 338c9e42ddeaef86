package salesforcetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector/faulttest"
)

// serveAdmin is the sandbox's own controls, which the real API does not have.
// They need no credentials and are not counted:
//
//	GET, POST, DELETE /sandbox/faults     list, add ({"kind":"reset",...}), heal: all answer those in force
//	POST              /sandbox/release    perform the late requests that wait
//	GET, DELETE       /sandbox/stats      counters; reset
//	GET, POST         /sandbox/usage      {"used":1,"limit":15000}: read, set
//	GET               /sandbox/logins     refused logins with their reasons
//	DELETE            /sandbox/sessions   end all sessions
//	GET               /sandbox/jobs       bulk jobs with their state
//	GET, POST         /sandbox/records/{object}       all records; add one
//	GET, PATCH, DELETE /sandbox/records/{object}/{id} one, edit, remove; what is in [ExternalField] is an id too
func (s *Server) serveAdmin(c *call) *reply {
	switch c.method + " " + c.at(1) {
	case "GET faults":
		return jsonReply(200, s.Faults())
	case "POST faults":
		return s.adminFault(c)
	case "DELETE faults":
		s.Heal()
		return jsonReply(200, s.Faults())
	case "POST release":
		return jsonReply(200, map[string]int{"released": s.Release()})
	case "GET stats":
		return jsonReply(200, s.Stats())
	case "DELETE stats":
		s.ResetStats()
		return newReply(http.StatusNoContent)
	case "GET usage":
		used, limit := s.Usage()
		return jsonReply(200, map[string]int{"used": used, "limit": limit})
	case "POST usage":
		var q struct{ Used, Limit int }
		if err := json.Unmarshal(c.body, &q); err != nil || q.Limit <= 0 {
			return adminError(http.StatusBadRequest, `want {"used":1,"limit":15000}`)
		}
		s.SetUsage(q.Used, q.Limit)
		return newReply(http.StatusNoContent)
	case "GET logins":
		refused, n := s.LoginHistory()
		return jsonReply(200, map[string]any{"successes": n, "refused": refused})
	case "DELETE sessions":
		s.ExpireSessions()
		return newReply(http.StatusNoContent)
	case "GET jobs":
		return jsonReply(200, s.Jobs())
	}
	if c.at(1) == "records" && len(c.segments) > 2 {
		return s.adminRecords(c)
	}
	return adminError(http.StatusNotFound, "no such control: the sandbox has faults, release, stats, usage, logins, sessions, jobs and records/{object}")
}

func (s *Server) adminFault(c *call) *reply {
	f, err := faulttest.Decode(c.body)
	if err == nil {
		err = s.Fail(f)
	}
	if err != nil {
		return adminError(http.StatusBadRequest, err.Error())
	}
	return jsonReply(200, s.Faults())
}

func (s *Server) adminRecords(c *call) *reply {
	if s.object(c.at(2)) == nil {
		return adminError(http.StatusNotFound, "object "+c.at(2)+" does not exist; there are "+strings.Join(slices.Sorted(maps.Keys(s.objects)), ", "))
	}
	var err error
	switch {
	case c.method == http.MethodGet && len(c.segments) == 3:
		return jsonReply(200, s.Records(c.at(2)))
	case c.method == http.MethodGet:
		id := s.anyID(c.at(2), c.at(3))
		for _, r := range s.Records(c.at(2)) {
			if r["Id"] == id {
				return jsonReply(200, r)
			}
		}
		return adminError(http.StatusNotFound, "there is no "+c.at(2)+" "+c.at(3))
	case c.method == http.MethodPost && len(c.segments) == 3:
		var id string
		if id, err = s.Add(c.at(2), c.body); err == nil {
			return jsonReply(200, map[string]string{"id": id})
		}
	case c.method == http.MethodPatch:
		err = s.Edit(s.anyID(c.at(2), c.at(3)), c.body)
	case c.method == http.MethodDelete:
		err = s.Remove(s.anyID(c.at(2), c.at(3)))
	default:
		return adminError(http.StatusMethodNotAllowed, "use GET, POST, PATCH or DELETE")
	}
	if err != nil {
		return adminError(http.StatusBadRequest, err.Error())
	}
	return newReply(http.StatusNoContent)
}

// anyID is the id of the record that has this external id; id itself where none has.
func (s *Server) anyID(name, id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.object(name)
	if f := o.field(ExternalField); f != nil {
		if found := s.byValue(o, f, id); len(found) == 1 {
			return found[0].id
		}
	}
	return id
}

func adminError(status int, text string) *reply {
	return jsonReply(status, map[string]string{"error": text})
}

// Records returns all records of an object with all their fields, without
// those in the recycle bin; none for an unknown object.
func (s *Server) Records(name string) []map[string]any {
	out := []map[string]any{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.shelves[s.object(name)] {
		if !r.deleted {
			out = append(out, r.all(nil))
		}
	}
	return out
}

// Count is how many records of an object have a value in a field.
func (s *Server) Count(name, field, value string) int {
	n := 0
	for _, r := range s.Records(name) {
		if r[field] == value {
			n++
		}
	}
	return n
}

// Add makes a record of a JSON object, as somebody in the org would, and
// returns its id.
func (s *Server) Add(name string, body []byte) (string, error) {
	o := s.object(name)
	if o == nil {
		return "", fmt.Errorf("object %s does not exist", name)
	}
	fields, fail := decodeObject(body)
	if fail != nil {
		return "", fail.asError()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, fail := s.write(o, nil, fields, true)
	if fail != nil {
		return "", fail.asError()
	}
	return r.id, nil
}

// Edit changes a record, as somebody in the org would.
func (s *Server) Edit(id string, body []byte) error {
	fields, fail := decodeObject(body)
	if fail != nil {
		return fail.asError()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(id)
	if r == nil || r.deleted {
		return fmt.Errorf("there is no record %s", id)
	}
	if _, fail = s.write(r.object, r, fields, true); fail != nil {
		return fail.asError()
	}
	return nil
}

// Remove puts a record into the recycle bin, as somebody in the org would.
func (s *Server) Remove(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(id)
	if r == nil {
		return fmt.Errorf("there is no record %s", id)
	}
	if fail := s.remove(r); fail != nil {
		return fail.asError()
	}
	return nil
}

func (e *apiError) asError() error { return fmt.Errorf("%s: %s", e.code, e.message) }
