package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
)

// compiler turns a configuration into what is needed at work, and collects
// its problems.
type compiler struct {
	config   *Config
	problems []error
}

// at is a path in the configuration. It is never changed in place.
type at []string

func (a at) of(keys ...string) at { return slices.Concat(a, keys) }

func (c *compiler) fail(path at, format string, args ...any) {
	c.failIn(path, 0, fmt.Sprintf(format, args...))
}

func (c *compiler) failIn(path at, offset int, message string) {
	for _, have := range c.problems { // what all requests share is compiled for each
		var e *connector.OptionError
		if errors.As(have, &e) && slices.Equal(e.Path, path) && e.Err.Error() == message {
			return
		}
	}
	c.problems = append(c.problems, &connector.OptionError{Path: path, Offset: offset, Err: errors.New(message)})
}

func (c *compiler) text(path at, s string, allowed []string) text {
	t, err := parseText(s, allowed)
	if err != nil {
		c.failIn(path, err.offset, err.message)
	}
	return t
}

// tree compiles a tree of maps, lists and scalars.
func (c *compiler) tree(path at, v any, allowed []string) node {
	switch v := v.(type) {
	case map[string]any:
		m := members{nodes: map[string]node{}}
		for k, x := range v {
			n := c.tree(path.of(k), x, allowed)
			if k == spread {
				m.spread = n
			} else {
				m.nodes[k] = n
			}
		}
		return m
	case []any:
		l := make(list, len(v))
		for i, x := range v {
			l[i] = c.tree(path.of(strconv.Itoa(i)), x, allowed)
		}
		return l
	case string:
		return c.text(path, v, allowed)
	case nil, bool, json.Number:
		return constant{v}
	}
	n := json.Number(fmt.Sprint(v)) // an exact decimal, or one of Go's numbers
	if !json.Valid([]byte(n)) || !strings.ContainsAny(string(n[:1]), "-0123456789") {
		c.fail(path, "a value of type %T can't stand in a body", v)
	}
	return constant{n}
}

func (c *compiler) pointer(path at, s string) pointer {
	p, err := parsePointer(s)
	if err != nil {
		c.fail(path, "%q: %v", s, err)
	}
	return p
}

// pointerOr is nil when there is none and no default.
func (c *compiler) pointerOr(path at, s, fallback string) pointer {
	if s == "" {
		s = fallback
	}
	if s == "" {
		return nil
	}
	return c.pointer(path, s)
}

// param is a header or a parameter of the query.
type param struct {
	name  string
	value text
}

func (c *compiler) params(path at, in map[string]string, allowed []string) []param {
	var out []param
	for name, value := range in {
		out = append(out, param{name, c.text(path.of(name), value, allowed)})
	}
	slices.SortFunc(out, func(a, b param) int { return strings.Compare(a.name, b.name) })
	return out
}

// headers are the connection's with a request's over them.
func (c *compiler) headers(path at, in map[string]string, allowed []string) []param {
	own := map[string]bool{}
	for name := range in {
		own[http.CanonicalHeaderKey(name)] = true
		c.headerName(path.of(name), name)
	}
	out := c.params(path, in, allowed)
	for _, p := range c.params(at{"headers"}, c.config.Headers, everywhere) {
		if !own[http.CanonicalHeaderKey(p.name)] {
			out = append(out, p)
		}
	}
	return out
}

// headerName is a token (RFC 9110, section 5.6.2).
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func (c *compiler) headerName(path at, name string) {
	if !headerName.MatchString(name) {
		c.fail(path, "%q can't be the name of a header", name)
	}
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length", "Transfer-Encoding", "Connection", "Host", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature":
		c.fail(path, "the header %s is made by itself", name)
	case "Content-Type":
		c.fail(path, "the header Content-Type follows from content: json or form")
	}
}

// idSource is where the remote's id is in an answer.
type idSource struct {
	pointer  pointer
	location bool
	external bool
}

func (c *compiler) idSource(path at, s string) idSource {
	switch s {
	case "":
		return idSource{pointer: pointer{"id"}}
	case "location":
		return idSource{location: true}
	case externalID:
		return idSource{external: true}
	}
	if s[0] != '/' {
		c.fail(path, "%q is no place of an id: write a JSON pointer such as /id, location, or external_id", s)
		return idSource{}
	}
	return idSource{pointer: c.pointer(path, s)}
}

// Placeholders by request.
var (
	everywhere = []string{recordType, timestamp, idempotencyKey} // in headers of all
	ofRecord   = []string{externalID, recordType, action, event, fields, version, generation, command, registry, timestamp}
	ofUpdate   = slices.Concat(ofRecord, []string{remoteID})
	ofDelete   = []string{externalID, remoteID, recordType, action, event, version, generation, command, registry, timestamp}
	ofFind     = []string{externalID, recordType, timestamp}
	ofRead     = []string{remoteID, recordType, fieldNames, timestamp}
	ofBatch    = []string{recordType, action, event, timestamp}
	ofRef      = []string{externalID, remoteID, recordType}
)

// request is a compiled Request.
type request struct {
	verb    verb
	method  string
	path    text
	query   []param
	headers []param
	body    node // nil: none
	form    bool
	id      idSource
	success []int
	any     bool // the body of a success does not matter
	empty   bool // it may be empty
	event   bool
	rules   []rule
	keyed   bool // a header or parameter has the idempotency key
}

// request compiles one; nil for nil.
func (c *compiler) request(path at, v verb, r *Request, method string, id idSource, allowed []string) *request {
	if r == nil {
		return nil
	}
	q := &request{verb: v, method: method, id: id, success: r.Success, empty: v == updating || v == deleting}
	if r.Method != "" {
		q.method = strings.ToUpper(r.Method)
		if !slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, q.method) {
			c.fail(path.of("method"), "%q is not a method: write GET, POST, PUT, PATCH or DELETE", r.Method)
		}
	}
	c.path(path.of("path"), r.Path)
	q.path = c.text(path.of("path"), r.Path, allowed)
	withKey := slices.Concat(allowed, []string{idempotencyKey})
	q.query = c.params(path.of("query"), r.Query, withKey)
	q.headers = c.headers(path.of("headers"), r.Headers, withKey)
	if r.Body != nil {
		q.body = c.tree(path.of("body"), r.Body, allowed)
	}
	switch r.Content {
	case "", "json":
	case "form":
		q.form = true
	default:
		c.fail(path.of("content"), "%q is not a way to encode a body: write json or form", r.Content)
	}
	if r.ID != "" {
		q.id = c.idSource(path.of("id"), r.ID)
	}
	q.empty = q.empty || q.id.external || q.id.location
	for i, s := range r.Success {
		if s < 200 || s > 299 {
			c.fail(path.of("success", strconv.Itoa(i)), "%d is not a success: write statuses from 200 to 299, and a rule with is: success for others", s)
		}
	}
	switch r.Answer {
	case "", "json":
	case "any":
		q.any = true
	default:
		c.fail(path.of("answer"), "%q is not an answer: write json or any", r.Answer)
	}
	q.rules = c.rules(path.of("rules"), r.Rules)
	c.key(path, q, r)
	return q
}

// path looks at the literal part of a path.
func (c *compiler) path(path at, s string) {
	switch {
	case s == "":
		c.fail(path, "path is missing: write the path below base_url, such as /customers")
	case s[0] != '/':
		c.fail(path, "a path begins with /")
	case strings.ContainsAny(s, "?#"):
		c.fail(path, "a path has no ? and no #: give parameters as query:")
	case strings.Contains(s, "/../"), strings.Contains(s, "/./"), strings.HasSuffix(s, "/.."), strings.HasSuffix(s, "/."):
		c.fail(path, "a path must not have . or .. between slashes")
	}
}

// key refuses what would make another idempotency key at each attempt.
func (c *compiler) key(path at, q *request, r *Request) {
	for _, p := range slices.Concat(q.headers, q.query) {
		q.keyed = q.keyed || slices.ContainsFunc(p.value, func(x part) bool { return x.name == idempotencyKey })
	}
	if !q.keyed {
		return
	}
	for _, name := range []string{version, timestamp} {
		if mentions(r.Body, name) || strings.Contains(r.Path, "$"+name) {
			c.fail(path, "a request with $idempotency_key can't also send $%s: it differs at each attempt, and the key must not", name)
		}
	}
}

// mentions tells whether a tree has a placeholder.
func mentions(v any, name string) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			if mentions(x, name) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(x any) bool { return mentions(x, name) })
	case string:
		t, err := parseText(v, slices.Concat(ofUpdate, []string{changes}))
		return err == nil && slices.ContainsFunc(t, func(p part) bool { return p.name == name })
	}
	return false
}
