package netsuite

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// maxMessage is how much of the remote's words an error keeps, in bytes.
const maxMessage = 1000

// refusal is the body of an error answer. Details come with one code each;
// concurrency answers have one at the top as well.
type refusal struct {
	Title   string   `json:"title"`
	Code    string   `json:"o:errorCode"`
	Details []detail `json:"o:errorDetails"`
}

type detail struct {
	Detail string `json:"detail"`
	Code   string `json:"o:errorCode"`
	Path   string `json:"o:errorPath"`
	Header string `json:"o:errorHeader"`
	Param  string `json:"o:errorQueryParam"`
}

// classify makes an error of an answer that is no success.
func classify(v verb, a *exchange.Answer) *connector.Error {
	var r refusal
	// NetSuite's media type is application/vnd.oracle.resource+json.
	own := exchange.IsJSON(a.Header) || len(a.Body) > 0 && a.Body[0] == '{'
	own = own && json.Unmarshal(a.Body, &r) == nil && (len(r.Details) > 0 || r.Title != "" || r.Code != "")
	e := &connector.Error{Status: a.Status, RetryAfter: a.RetryAfter, Code: r.code(), Message: r.words()}
	e.Kind = r.kind(v, a.Status, own)
	if hint := hint(e, own, a.Status); hint != "" {
		e.Message = strings.TrimSpace(e.Message + " (" + hint + ")")
	}
	return e
}

// code is the most telling code: that of the first detail.
func (r *refusal) code() string {
	code := r.Code
	if len(r.Details) > 0 && r.Details[0].Code != "" {
		code = r.Details[0].Code
	}
	return exchange.Cut(code, 100)
}

// words joins what NetSuite says, with the places it says it of.
func (r *refusal) words() string {
	var parts []string
	for _, d := range r.Details {
		// The catch-all's opening tells nothing.
		s := strings.TrimSpace(strings.TrimPrefix(d.Detail, "Error while accessing a resource."))
		if s == "" {
			s = d.Detail
		}
		for _, place := range [][2]string{{"at ", d.Path}, {"header ", d.Header}, {"parameter ", d.Param}} {
			if place[1] != "" {
				s += " [" + place[0] + place[1] + "]"
			}
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 && r.Title != "" {
		parts = append(parts, r.Title)
	}
	return exchange.Cut(strings.Join(parts, "; "), maxMessage)
}

// says looks for one of the words in codes and details, whatever their case.
// Most codes of NetSuite's older interfaces reach REST only as the text of a
// USER_ERROR, so code and text must both be looked at.
func (r *refusal) says(words ...string) bool {
	texts := []string{r.Title, r.Code}
	for _, d := range r.Details {
		texts = append(texts, d.Code, d.Detail)
	}
	all := strings.ToLower(strings.Join(texts, "\n"))
	for _, w := range words {
		if strings.Contains(all, strings.ToLower(w)) {
			return true
		}
	}
	return false
}

// named tells that the refusal is about something inside the request's body.
func (r *refusal) named() bool {
	for _, d := range r.Details {
		if d.Path != "" {
			return true
		}
	}
	return false
}

// kind decides what the engine does. own: the body is NetSuite's and not that
// of something in between.
func (r *refusal) kind(v verb, status int, own bool) connector.Kind {
	switch {
	case status == http.StatusTooManyRequests,
		// The concurrency errors of REST, RESTlets and SOAP: they share one
		// limit, and are told apart by code and not by status.
		status >= 400 && r.says("CONCURRENCY_LIMIT_EXCEEDED", "SSS_REQUEST_LIMIT_EXCEEDED", "WS_REQUEST_BLOCKED", "WS_CONCUR_SESSION_DISALLWD", "Concurrent request limit exceeded"):
		return connector.RateLimited
	case status >= 500, status == http.StatusRequestTimeout, status < 200:
		// UNEXPECTED_ERROR, gateways: it may have been processed.
		return connector.Unknown
	case status < 400:
		// A redirect, which is not followed: the request was not applied,
		// and no other will be before the address is right.
		return connector.Unavailable
	case status == http.StatusUnauthorized:
		return connector.Unauthorized
	case status == http.StatusForbidden:
		if own && r.permission() {
			return connector.Rejected
		}
		// All others that could send a 403, such as an address rule or a
		// firewall in between, refuse this machine and not this record.
		return connector.Unauthorized
	case own:
		return r.business(v, status)
	case status == http.StatusNotFound, status == http.StatusGone, status == http.StatusMethodNotAllowed, status == http.StatusProxyAuthRequired:
		// Not NetSuite's words: the record may well be there, and whoever
		// answers does not know these services.
		return connector.Unavailable
	}
	// A filter in between that dislikes this one request, by all that is known.
	return connector.Rejected
}

// permission: the role lacks a right. It is one record type's or even one
// record's matter (the same role goes on with other types), so it parks these
// records and does not stop the whole account.
func (r *refusal) permission() bool {
	return r.says("INSUFFICIENT_PERMISSION", "does not have permission", "do not have permission", "permission violation")
}

// business decides on the refusals that NetSuite makes itself; nearly all of
// them are 400 USER_ERROR.
func (r *refusal) business(v verb, status int) connector.Kind {
	switch {
	case r.permission():
		return connector.Rejected
	case r.says("RCRD_HAS_BEEN_CHANGED", "Record has been changed"):
		// Somebody saved the record at the same moment; nothing of this
		// request was kept.
		return connector.Busy
	case r.says("already exists", "DUP_RCRD", "DUP_ENTITY", "DUP_ITEM", "UNIQUE_CUST_ID_REQD"):
		// Of a create it is the external id or another unique value, of an
		// update the latter.
		return connector.Exists
	case r.says("Record type '"):
		return connector.Rejected // "Record type 'x' does not exist."
	case r.gone(status):
		if v == create {
			// A create names no record but those that its fields refer to.
			return connector.Rejected
		}
		return connector.NotFound
	}
	// INVALID_CONTENT, INVALID_REQUEST, INVALID_ID, missing values, locked
	// by a workflow, closed periods: wrong until somebody changes something.
	return connector.Rejected
}

// gone tells that the record named in the path is not there. A refusal that
// names a place in the body is about a reference instead.
func (r *refusal) gone(status int) bool {
	if r.named() {
		return false
	}
	return status == http.StatusNotFound || status == http.StatusGone || r.says("NONEXISTENT_ID", "RCRD_DSNT_EXIST",
		// How vendorBill and expenseReport answer for an id that is gone.
		"Transaction type specified is incorrect.")
}

// hint says what a person can do where NetSuite's words don't.
func hint(e *connector.Error, own bool, status int) string {
	switch {
	case e.Kind == connector.Unauthorized && status == http.StatusUnauthorized:
		return "check the credentials and the role of auth, this machine's clock, and the account's Login Audit Trail; " +
			"NetSuite also answers so when too many requests run at once"
	case status == http.StatusForbidden:
		return "the role needs REST Web Services, and View or Edit for this record type"
	case status < 400 && status >= 300:
		return "NetSuite redirects, which is not followed: check account and base_url"
	case !own && e.Kind == connector.Unknown:
		return "the answer is not NetSuite's own: a gateway, or maintenance"
	case !own && e.Kind == connector.RateLimited:
		return "too many requests at once"
	case !own:
		return "the answer is not NetSuite's own: check account and base_url"
	case e.Message == "":
		return "NetSuite gave no reason"
	}
	return ""
}
