package netsuitetest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

const recordRoot = "/record/v1"

// parse splits path and query. A plus sign in a query is a space.
func (c *call) parse(rawQuery string) error {
	for part := range strings.SplitSeq(strings.Trim(c.path, "/"), "/") {
		decoded, err := url.PathUnescape(part)
		if err != nil {
			return err
		}
		c.segments = append(c.segments, decoded)
	}
	q, err := url.ParseQuery(rawQuery)
	c.query = q
	return err
}

// name says what a request is about, for the faults and the counters.
func (s *Server) name(c *call) {
	g := c.segments
	at := func(i int) string {
		if i < len(g) {
			return g[i]
		}
		return ""
	}
	if c.path == tokenPath {
		c.op = "token"
		return
	}
	switch strings.Join(g[:min(len(g), 4)], "/") {
	case "services/rest/query/v1":
		c.op = "query"
		return
	case "services/rest/async/v1":
		c.op = "job"
		return
	}
	if strings.Join(g[:min(len(g), 4)], "/") != "services/rest/record/v1" {
		c.op = "other"
		return
	}
	if at(4) == "metadata-catalog" {
		c.op = "metadata"
		return
	}
	if t := s.schema[strings.ToLower(at(4))]; t != nil {
		c.typ = t.name
	} else {
		c.typ = at(4)
	}
	switch {
	case at(6) == "!transform":
		c.op = "transform"
		if t := s.schema[strings.ToLower(at(7))]; t != nil {
			c.typ = t.name
		}
	case len(g) == 5 && c.method == http.MethodGet:
		c.op = "list"
	default:
		c.op = map[string]string{"POST": "create", "GET": "read", "PATCH": "update", "PUT": "upsert", "DELETE": "delete"}[c.method]
	}
}

// handle performs a request that is let through.
func (s *Server) handle(c *call) *reply {
	if c.op == "token" {
		return s.serveToken(c)
	}
	r, err := s.route(c)
	if err != nil {
		return err.reply()
	}
	return r
}

func (s *Server) route(c *call) (*reply, *apiError) {
	g := c.segments
	if len(g) < 4 || g[0] != "services" || g[1] != "rest" || g[3] != "v1" {
		return nil, &apiError{status: 404, code: "INVALID_REQUEST", url: c.path, detail: "The requested resource does not exist."}
	}
	rest := g[4:]
	switch {
	case g[2] == "query" && len(rest) == 1 && rest[0] == "suiteql":
		return s.serveSuiteQL(c)
	case g[2] == "system" && len(rest) == 1 && rest[0] == "governanceLimits":
		return s.serveLimits(c)
	case g[2] == "async" && len(rest) >= 1 && rest[0] == "job":
		return s.serveJob(c, rest[1:])
	case g[2] == "record" && len(rest) >= 1 && rest[0] == "metadata-catalog":
		return s.serveMetadata(c, rest[1:])
	case g[2] == "record" && len(rest) >= 1:
		return s.serveRecordService(c, rest)
	}
	return nil, &apiError{status: 404, code: "INVALID_REQUEST", url: c.path, detail: "The requested resource does not exist."}
}

func (s *Server) serveRecordService(c *call, path []string) (*reply, *apiError) {
	if isAsync(c) {
		return s.startJob(c, path)
	}
	if isBatch(c, path) {
		return nil, errHeader("Prefer", "Collection requests are asynchronous. Set the request header 'Prefer' to 'respond-async'.")
	}
	return s.serveRecords(c, path)
}

// serveRecords is the record service, answered at once.
func (s *Server) serveRecords(c *call, path []string) (*reply, *apiError) {
	t := s.schema[strings.ToLower(path[0])]
	if t == nil {
		// The words are recorded from an account; the status is not confirmed.
		return nil, &apiError{status: 404, code: "NONEXISTENT_RECORD_TYPE", url: c.path,
			detail: "Record type '" + cut(path[0]) + "' does not exist."}
	}
	switch {
	case len(path) == 1 && c.method == http.MethodGet:
		return s.list(c, t)
	case len(path) == 1 && c.method == http.MethodPost:
		return s.create(c, t)
	case len(path) == 1:
		return nil, errMethod(c)
	case len(path) == 4 && path[2] == "!transform":
		if c.method != http.MethodPost {
			return nil, errMethod(c)
		}
		return s.serveTransform(c, t, path[1], path[3])
	case len(path) > 2:
		if c.method != http.MethodGet {
			return nil, errMethod(c)
		}
		return s.subresource(c, t, path[1], path[2:])
	}
	switch c.method {
	case http.MethodGet:
		return s.get(c, t, path[1])
	case http.MethodPatch:
		return s.update(c, t, path[1])
	case http.MethodPut:
		return s.upsert(c, t, path[1])
	case http.MethodDelete:
		return s.delete(c, t, path[1])
	}
	return nil, errMethod(c)
}

// object decodes a request body. No body is an empty one, and the
// Content-Type is not looked at: clients leave it out.
func object(c *call) (map[string]any, *apiError) {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return map[string]any{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.UseNumber()
	var body map[string]any
	err := d.Decode(&body)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil || body == nil {
		return nil, errContent("", "Invalid content in the request body. Provide a valid JSON object.")
	}
	return body, nil
}

var externalName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// externalID reads "eid:X". The documentation allows letters, digits, _ and -
// in such a path; anything else is refused here.
func externalID(c *call, id string) (ext string, ok bool, err *apiError) {
	ext, ok = strings.CutPrefix(id, "eid:")
	if ok && !externalName.MatchString(ext) {
		return "", true, errInvalidID(c, id)
	}
	return ext, ok, nil
}

// lookup finds the record that a path names. The lock is held by the caller.
func (s *Server) lookup(c *call, t *recordType, id string) (*record, *apiError) {
	ext, external, err := externalID(c, id)
	if err != nil {
		return nil, err
	}
	var r *record
	switch {
	case external:
		r = s.findExternal(t.name, ext)
	case !internalID(id):
		return nil, errInvalidID(c, cut(id))
	default:
		r = s.find(t.name, id)
	}
	if r == nil && c.method == http.MethodGet && (t.name == "vendorBill" || t.name == "expenseReport") {
		// Recorded from an account: these two types answer so.
		return nil, &apiError{status: 400, code: "USER_ERROR", detail: "Transaction type specified is incorrect."}
	}
	if r == nil {
		return nil, errNonexistent(c)
	}
	c.recordID = r.id
	return r, nil
}
