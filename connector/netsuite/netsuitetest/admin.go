package netsuitetest

import (
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
//	GET               /sandbox/duplicates?field=otherRefNum
//	GET               /sandbox/audit      refused logins with their reasons
//	GET, POST         /sandbox/records/{type}       all records in full; add one
//	GET, PATCH, DELETE /sandbox/records/{type}/{id} one in full, edit, remove; eid:... is an id too
func (s *Server) serveAdmin(c *call) *reply {
	name := ""
	if len(c.segments) > 1 {
		name = c.segments[1]
	}
	switch c.method + " " + name {
	case "GET faults":
		return adminJSON(s.Faults())
	case "POST faults":
		return s.adminFault(c)
	case "DELETE faults":
		s.Heal()
		return adminJSON(s.Faults())
	case "POST release":
		return adminJSON(map[string]int{"released": s.Release()})
	case "GET stats":
		return adminJSON(s.Stats())
	case "DELETE stats":
		s.ResetStats()
		return newReply(http.StatusNoContent)
	case "GET duplicates":
		found := s.Duplicates(c.query["field"]...)
		if found == nil {
			found = []Duplicate{}
		}
		return adminJSON(found)
	case "GET audit":
		return adminJSON(s.Audit())
	}
	if name == "records" && len(c.segments) == 3 {
		return s.adminRecords(c, c.segments[2])
	}
	if name == "records" && len(c.segments) == 4 {
		return s.adminRecord(c, c.segments[2], c.segments[3])
	}
	return adminError(http.StatusNotFound, "no such control: the sandbox has faults, release, stats, duplicates, audit, records/{type} and records/{type}/{id}")
}

func (s *Server) adminFault(c *call) *reply {
	f, err := faulttest.Decode(c.body)
	if err == nil {
		err = s.Fail(f)
	}
	if err != nil {
		return adminError(http.StatusBadRequest, err.Error())
	}
	return adminJSON(s.Faults())
}

func (s *Server) adminRecords(c *call, typ string) *reply {
	if s.schema[lower(typ)] == nil {
		return adminError(http.StatusNotFound, "record type "+typ+" does not exist; there are "+strings.Join(s.types(), ", "))
	}
	switch c.method {
	case http.MethodGet:
		return adminJSON(s.Records(typ))
	case http.MethodPost:
		id, err := s.Add(typ, c.body)
		if err != nil {
			return adminError(http.StatusBadRequest, err.Error())
		}
		return adminJSON(map[string]string{"id": id})
	}
	return adminError(http.StatusMethodNotAllowed, "use GET or POST, and GET, PATCH or DELETE of records/{type}/{id}")
}

func (s *Server) adminRecord(c *call, typ, id string) *reply {
	var err error
	switch c.method {
	case http.MethodGet:
		one, err := s.Record(typ, id)
		if err != nil {
			return adminError(http.StatusNotFound, err.Error())
		}
		return adminJSON(one)
	case http.MethodPatch:
		err = s.Edit(typ, id, c.body)
	case http.MethodDelete:
		err = s.Remove(typ, id)
	default:
		return adminError(http.StatusMethodNotAllowed, "use GET, PATCH or DELETE, and GET or POST of records/{type}")
	}
	if err != nil {
		return adminError(http.StatusBadRequest, err.Error())
	}
	return newReply(http.StatusNoContent)
}

// Records returns all records of a type in the form that a GET with
// expandSubResources and simpleEnumFormat has, in the order of their ids;
// none for an unknown type.
func (s *Server) Records(recordType string) []map[string]any {
	out := []map[string]any{}
	t := s.schema[lower(recordType)]
	if t == nil {
		return out
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, r := range s.records(t) {
		out = append(out, s.inFull(r))
	}
	return out
}

// Record is one of [Server.Records]. id is as in Edit. The error says that there
// is none.
func (s *Server) Record(recordType, id string) (map[string]any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, err := s.byAnyID(recordType, id)
	if err != nil {
		return nil, err
	}
	return s.inFull(r), nil
}

func (s *Server) inFull(r *record) map[string]any {
	return s.render(r, view{root: "/services/rest" + recordRoot, expand: true, simple: true})
}

func (s *Server) types() []string {
	var out []string
	for _, t := range s.schema {
		out = append(out, t.name)
	}
	slices.Sort(out)
	return out
}

func adminJSON(v any) *reply { return jsonReply(http.StatusOK, "application/json", v) }

func adminError(status int, text string) *reply {
	return jsonReply(status, "application/json", map[string]string{"error": text})
}
