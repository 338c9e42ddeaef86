package httpapi

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// meanings are the words of Rule.Is.
var meanings = map[string]connector.Kind{
	"unknown": connector.Unknown, "unavailable": connector.Unavailable, "rate_limited": connector.RateLimited, "unauthorized": connector.Unauthorized,
	"busy": connector.Busy, "rejected": connector.Rejected, "not_found": connector.NotFound, "exists": connector.Exists,
}

// rule is a compiled Rule.
type rule struct {
	Rule
	at      pointer // nil: none
	kind    connector.Kind
	success bool
}

func (c *compiler) rules(path at, in []Rule) []rule {
	var out []rule
	for i, r := range in {
		path := path.of(strconv.Itoa(i))
		x := rule{Rule: r, at: c.pointerOr(path.of("at"), r.At, ""), success: r.Is == "success"}
		var known bool
		if x.kind, known = meanings[r.Is]; !known && !x.success {
			c.fail(path.of("is"), "%q means nothing: write success, unknown, unavailable, rate_limited, unauthorized, busy, rejected, not_found or exists", r.Is)
		}
		for j, on := range r.On {
			if !slices.Contains([]string{"create", "update", "delete", "find", "read"}, on) {
				c.fail(path.of("on", strconv.Itoa(j)), "%q is no request: write create, update, delete, find or read", on)
			}
		}
		if len(r.Status) == 0 && len(r.Code) == 0 && r.Says == "" && r.At == "" && r.Header == "" {
			c.fail(path, "a rule needs a status, code, says, at or header")
		}
		if r.Value != "" && (r.At == "") == (r.Header == "") {
			c.fail(path.of("value"), "value belongs to at or to header: give one of them")
		}
		if len(r.Code) > 0 && c.config.Errors.Code == "" {
			c.fail(path.of("code"), "errors.code must say where the code is in the body, a JSON pointer")
		}
		out = append(out, x)
	}
	return out
}

// answer is what an answer says, as far as it can be read.
type answer struct {
	*exchange.Answer
	doc  any  // the body, if it is JSON
	json bool // it is
	page bool // it is HTML: of something in between
	code string
	says string
}

// fits tells whether a rule is for an answer. Nothing is believed of a page.
func (r *rule) fits(v verb, a *answer) bool {
	if a.page || len(r.On) > 0 && !slices.Contains(r.On, v.String()) {
		return false
	}
	if len(r.Status) > 0 && !slices.Contains(r.Status, a.Status) || len(r.Status) == 0 && a.OK() {
		return false
	}
	if len(r.Code) > 0 && !slices.Contains(r.Code, a.code) {
		return false
	}
	if r.Says != "" && !strings.Contains(strings.ToLower(a.says), strings.ToLower(r.Says)) {
		return false
	}
	if r.at != nil && !equals(r.at.textIn(a.doc), r.Value) {
		return false
	}
	return r.Header == "" || equals(a.Header.Get(r.Header), r.Value)
}

// equals: an empty want is anything but nothing.
func equals(got, want string) bool {
	if want == "" {
		return got != ""
	}
	return strings.EqualFold(got, want)
}

// read makes an answer of what came.
func (c *Connection) read(a *exchange.Answer) *answer {
	out := &answer{Answer: a}
	media, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	trimmed := bytes.TrimSpace(a.Body)
	out.page = media == "text/html" || media == "application/xhtml+xml" || bytes.HasPrefix(trimmed, []byte("<"))
	if len(trimmed) > 0 && !out.page {
		doc, err := parseJSON(trimmed)
		out.doc, out.json = doc, err == nil
	}
	out.code = c.codeAt(c.errors.code, out.doc)
	out.says = c.words(out)
	return out
}

// usual are the places where APIs have their words.
var usual = []pointer{{"message"}, {"error", "message"}, {"error_description"}, {"error"}, {"detail"}, {"title"}, {"errors", "0", "message"}, {"errors", "0", "detail"}, {"errors", "0"}, {"0", "message"}}

// maxWords is how much of the remote's words an error keeps, in bytes.
const maxWords = 1000

// words is what the remote says, without our secrets if it repeats them.
func (c *Connection) words(a *answer) string {
	if a.page {
		return ""
	}
	places := usual
	if c.errors.message != nil {
		places = []pointer{c.errors.message}
	}
	words := ""
	for _, p := range places {
		if words = p.textIn(a.doc); words != "" {
			break
		}
	}
	if words == "" && !a.OK() {
		words = string(bytes.TrimSpace(a.Body))
	}
	return exchange.Cut(c.blot(printable(words)), maxWords)
}

// printable has no line breaks and no control characters.
func printable(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
}

// judge decides what an answer means: nil is success.
func (c *Connection) judge(q *request, a *answer) *connector.Error {
	for _, r := range slices.Concat(q.rules, c.errors.rules) {
		if r.fits(q.verb, a) {
			if r.success {
				return nil
			}
			return c.refusal(q, a, r.kind)
		}
	}
	if len(q.success) == 0 && a.OK() || slices.Contains(q.success, a.Status) {
		return senseless(q, a)
	}
	return c.refusal(q, a, defaultKind(q, a))
}

// senseless is a success without what was asked for: whether the request was
// applied is unknown. Nil if it makes sense.
func senseless(q *request, a *answer) *connector.Error {
	empty := len(bytes.TrimSpace(a.Body)) == 0
	switch {
	case q.any, a.json, empty && q.empty:
		return nil
	case empty:
		return unexpected(a, "an empty body")
	case a.page:
		return unexpected(a, "an HTML page, of a gateway or a portal")
	}
	return unexpected(a, strconv.Itoa(len(a.Body))+" bytes that are not JSON")
}

func unexpected(a *answer, what string) *connector.Error {
	return &connector.Error{Kind: connector.Unknown, Status: a.Status, Message: "the answer makes no sense: " + what}
}

// defaultKind is what an answer means that no rule is for. It is careful: what
// may have been applied is unknown, and what is not the remote's own word does
// not count against the record.
func defaultKind(q *request, a *answer) connector.Kind {
	empty := len(bytes.TrimSpace(a.Body)) == 0
	own := !a.page && (empty || a.json || !exchange.IsJSON(a.Header))
	if a.Status == http.StatusNotFound || a.Status == http.StatusGone {
		own = own && !empty // anybody says so of an address that nobody knows
	}
	switch s := a.Status; {
	case s == http.StatusTooManyRequests:
		return connector.RateLimited
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		return connector.Unauthorized
	case s >= 500, s < 300, s == http.StatusRequestTimeout, s == http.StatusTooEarly:
		return connector.Unknown // a success that is not the expected one, too
	case s == http.StatusGone && q.event:
		return connector.Unauthorized // "disable the endpoint": it stops, and is probed
	case s == http.StatusConflict && q.verb == creating && !q.event:
		return connector.Exists
	case s == http.StatusConflict, s == http.StatusLocked:
		return connector.Busy
	case s < 400, !own, s == http.StatusMethodNotAllowed, s == http.StatusProxyAuthRequired:
		return connector.Unavailable // a redirect, a portal, a wrong address
	case q.event && s == http.StatusNotFound:
		return connector.Unavailable // an event names no record: the address is wrong
	case (s == http.StatusNotFound || s == http.StatusGone) && q.verb != creating:
		return connector.NotFound
	}
	return connector.Rejected
}

// refusal is the error for an answer.
func (c *Connection) refusal(q *request, a *answer, kind connector.Kind) *connector.Error {
	e := &connector.Error{Kind: kind, Status: a.Status, RetryAfter: c.retryAfter(a), Code: a.code, Message: a.says}
	if h := hint(q, a, e); h != "" {
		e.Message = strings.TrimSpace(e.Message + " (" + h + ")")
	}
	return e
}

// hint says what a person can do where the remote's words don't.
func hint(q *request, a *answer, e *connector.Error) string {
	switch {
	case q.event && a.Status == http.StatusGone:
		return "the receiver no longer wants these events: it gets none until it answers otherwise; remove the sync, or change base_url or path"
	case e.Kind == connector.Unauthorized:
		return "check auth and the rights that it has"
	case a.Status >= 300 && a.Status < 400:
		return "redirects are not followed: check base_url and path"
	case a.page:
		return "an HTML page, which is not the remote's own answer: a gateway, or a wrong base_url or path"
	case e.Kind == connector.Unavailable:
		return "check base_url and path"
	case e.Message == "":
		return "the answer gives no reason"
	}
	return ""
}

// blot removes our own secrets from a text.
func (c *Connection) blot(s string) string {
	for _, secret := range c.secrets {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return s
}

// codeAt is the remote's code for what happened; empty without a place.
func (c *Connection) codeAt(p pointer, doc any) string {
	if p == nil {
		return ""
	}
	return exchange.Cut(c.blot(printable(p.textIn(doc))), 100)
}

// part is a part of a batch's answer, as an answer.
func (c *Connection) part(a *answer, doc any, code, message pointer) *answer {
	raw, err := json.Marshal(doc)
	if err != nil {
		raw = nil
	}
	out := &answer{Answer: &exchange.Answer{Status: a.Status, Header: a.Header, Body: raw}, doc: doc, json: true}
	if code != nil {
		out.code = c.codeAt(code, doc)
	} else {
		out.code = c.codeAt(c.errors.code, doc)
	}
	if message != nil {
		out.says = exchange.Cut(c.blot(printable(message.textIn(doc))), maxWords)
	} else {
		out.says = c.words(out)
	}
	return out
}
