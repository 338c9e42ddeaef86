package salesforcetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/upkeep-sync/upkeep/connector/faulttest"
)

// reply is one answer, complete before anything is written.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func newReply(status int) *reply { return &reply{status: status, header: http.Header{}} }

func jsonReply(status int, v any) *reply {
	r := newReply(status)
	r.header.Set("Content-Type", "application/json;charset=UTF-8")
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // all that is answered encodes
	}
	r.body = bytes.TrimSpace(b.Bytes())
	return r
}

// call is one request on its way through the org.
type call struct {
	request  *http.Request
	method   string
	path     string // as sent, without the query
	segments []string
	query    url.Values
	body     []byte
	base     string // scheme://host
	op       string // create, read, update, upsert, delete, collection, query, describe, limits, job, token, other
	typ      string // the object that the path names
	rows     int    // records written
}

// at is a segment of the path, or empty.
func (c *call) at(i int) string {
	if i < len(c.segments) {
		return c.segments[i]
	}
	return ""
}

// mostBody bounds a request that is no upload of a job.
const mostBody = 50 << 20

func (s *Server) newCall(w http.ResponseWriter, r *http.Request) (*call, *apiError) {
	c := &call{request: r, method: r.Method, path: r.URL.EscapedPath(), base: "http://" + r.Host}
	if r.TLS != nil {
		c.base = "https://" + r.Host
	}
	most := int64(mostBody)
	if strings.HasSuffix(c.path, "/batches") {
		most = s.config.UploadLimit
	}
	body, err := faulttest.ReadBody(w, r, most)
	if err != nil {
		return c, &apiError{status: 413, code: "REQUEST_ENTITY_TOO_LARGE", message: "The request is too large."}
	}
	c.body = body
	for part := range strings.SplitSeq(strings.Trim(c.path, "/"), "/") {
		decoded, err := url.PathUnescape(part)
		if err != nil {
			return c, errNotFound()
		}
		c.segments = append(c.segments, decoded)
	}
	if c.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return c, errRequest("the query string is malformed")
	}
	c.name()
	return c, nil
}

// name says what a request is about, for the faults and the counters.
func (c *call) name() {
	c.op = "other"
	if c.path == tokenPath {
		c.op = "token"
		return
	}
	if c.at(0) != "services" || c.at(1) != "data" {
		return
	}
	switch c.at(3) {
	case "query", "limits":
		c.op = c.at(3)
	case "jobs":
		c.op = "job"
	case "composite":
		c.op = "collection"
		c.typ = c.at(5)
	case "sobjects":
		c.typ = c.at(4)
		switch {
		case c.typ == "" || c.at(5) == "describe" || len(c.segments) == 5 && c.method == http.MethodGet:
			c.op = "describe"
		case len(c.segments) == 7 && c.method == http.MethodPatch:
			c.op = "upsert"
		default:
			c.op = map[string]string{"POST": "create", "GET": "read", "PATCH": "update", "DELETE": "delete"}[c.method]
		}
	}
}

var versionName = regexp.MustCompile(`^v([0-9]{2})\.0$`)

// newest is the newest version of the API that the org has.
const newest = 68

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
	if c.at(0) != "services" || c.at(1) != "data" {
		return nil, errNotFound()
	}
	if len(c.segments) == 2 {
		return jsonReply(200, []map[string]string{{"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"}}), nil
	}
	m := versionName.FindStringSubmatch(c.at(2))
	if m == nil {
		return nil, errNotFound()
	}
	if n, err := strconv.Atoi(m[1]); err != nil || n > newest || n < 46 {
		return nil, errNotFound()
	}
	switch c.at(3) {
	case "sobjects":
		return s.serveObjects(c)
	case "composite":
		return s.serveCollection(c)
	case "query":
		return s.serveQuery(c)
	case "limits":
		return s.serveLimits(c)
	case "jobs":
		return s.serveJobs(c)
	}
	return nil, errNotFound()
}

// object decodes a JSON object, strictly.
func decodeObject(body []byte) (map[string]any, *apiError) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v map[string]any
	err := d.Decode(&v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil || v == nil {
		return nil, &apiError{status: 400, code: "JSON_PARSER_ERROR", message: "The HTTP entity body is required, but this request has no entity body, or it is no JSON object."}
	}
	return v, nil
}

// apiError is a refusal in Salesforce's form.
type apiError struct {
	status  int
	code    string
	message string
	fields  []string
}

func (e *apiError) reply() *reply {
	one := map[string]any{"errorCode": e.code, "message": e.message}
	if e.fields != nil {
		one["fields"] = e.fields
	}
	return jsonReply(e.status, []any{one})
}

func refuse(code, message string, fields ...string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: code, message: message, fields: fields}
}

func errNotFound() *apiError {
	return &apiError{status: 404, code: "NOT_FOUND", message: "The requested resource does not exist"}
}

func errMethod(c *call) *apiError {
	return &apiError{status: 405, code: "METHOD_NOT_ALLOWED", message: fmt.Sprintf("HTTP Method '%s' not allowed.", c.method)}
}

func errRequest(message string) *apiError { return refuse("INVALID_REQUEST", message) }

func errSession() *apiError {
	return &apiError{status: 401, code: "INVALID_SESSION_ID", message: "Session expired or invalid"}
}

func errLimit(message string) *apiError {
	return &apiError{status: 403, code: "REQUEST_LIMIT_EXCEEDED", message: message}
}
