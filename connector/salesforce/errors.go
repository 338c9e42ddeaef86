package salesforce

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// maxMessage is how much of the remote's words an error keeps, in bytes.
const maxMessage = 1000

// refusal is one of the errors in an answer. Collections call the code
// statusCode, all others errorCode.
type refusal struct {
	ErrorCode  string   `json:"errorCode"`
	StatusCode string   `json:"statusCode"`
	Message    string   `json:"message"`
	Fields     []string `json:"fields"`
}

// limitExceeded is said of the daily requests and of too many long ones at once.
const limitExceeded = "REQUEST_LIMIT_EXCEEDED"

// overLimit is in the words about Apex that went over a limit of its transaction,
// such as "Apex CPU time limit exceeded" or "Too many SOQL queries: 101".
const overLimit = "System.LimitException"

// codeForm is what Salesforce's codes look like.
var codeForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,79}$`)

func (r refusal) code() string {
	for _, code := range []string{r.ErrorCode, r.StatusCode} {
		if codeForm.MatchString(code) {
			return code
		}
	}
	return ""
}

// refusals reads an answer's errors; none when the body is not Salesforce's.
func refusals(body []byte) []refusal {
	var all []refusal
	if json.Unmarshal(body, &all) != nil {
		var one refusal
		if json.Unmarshal(body, &one) != nil {
			return nil
		}
		all = []refusal{one}
	}
	for _, r := range all {
		if r.code() == "" {
			return nil
		}
	}
	return all
}

// classify makes an error of an answer that is no success.
func classify(v verb, a *exchange.Answer) *connector.Error {
	all := refusals(a.Body)
	e := &connector.Error{Status: a.Status, RetryAfter: a.RetryAfter}
	if len(all) > 0 {
		e.Code, e.Message = all[0].code(), words(all)
	}
	e.Kind = kindOfAnswer(v, a, all)
	if e.Kind == connector.RateLimited && e.RetryAfter == 0 && e.Code == limitExceeded {
		e.RetryAfter = pause(e.Message)
	}
	explain(e, v, len(all) > 0)
	return e
}

// rowError makes an error of one record's refusal in an answer about many.
func rowError(v verb, all []refusal) *connector.Error {
	if len(all) == 0 || all[0].code() == "" {
		return &connector.Error{Kind: connector.Unknown, Message: "Salesforce says that the record failed, and not why"}
	}
	e := &connector.Error{Code: all[0].code(), Message: words(all), Kind: kindOf(v, all[0])}
	if e.Code == limitExceeded {
		e.RetryAfter = pause(e.Message)
	}
	explain(e, v, true)
	return e
}

// words joins what Salesforce says, with the fields it says it of.
func words(all []refusal) string {
	var parts []string
	for _, r := range all {
		s := strings.TrimSpace(r.Message)
		if len(r.Fields) > 0 {
			s += " [" + strings.Join(r.Fields, ", ") + "]"
		}
		parts = append(parts, s)
	}
	return exchange.Cut(strings.Join(parts, "; "), maxMessage)
}

// pause is how long to leave the org in peace after REQUEST_LIMIT_EXCEEDED. It
// never says itself. Too many long requests at once are soon fewer; daily ones
// come free over hours.
func pause(message string) time.Duration {
	if strings.Contains(message, "Concurrent") {
		return soon
	}
	return look
}

// kindOfAnswer decides what the engine does after an answer. own are the
// errors in it, none if it is not Salesforce's.
func kindOfAnswer(v verb, a *exchange.Answer, own []refusal) connector.Kind {
	switch {
	case a.Status == http.StatusTooManyRequests:
		return connector.RateLimited
	case a.Status >= 500, a.Status == http.StatusRequestTimeout, a.Status == 420, a.Status < 200:
		// SERVER_UNAVAILABLE, UNKNOWN_EXCEPTION, gateways: it may have been
		// processed.
		return connector.Unknown
	case a.Status == http.StatusMultipleChoices:
		return connector.Rejected // several records have the external id; nothing was written
	case a.Status < 400:
		// A redirect, which is not followed: the request was not applied,
		// and no other will be before the address is right.
		return connector.Unavailable
	case a.Status == http.StatusUnauthorized:
		return connector.Unauthorized
	case len(own) > 0:
		return kindOf(v, own[0])
	case a.Status == http.StatusForbidden, a.Status == http.StatusProxyAuthRequired:
		return connector.Unauthorized
	case a.Status == http.StatusNotFound, a.Status == http.StatusGone, a.Status == http.StatusMethodNotAllowed:
		// Not Salesforce's words: whoever answers does not know the API.
		return connector.Unavailable
	}
	// A filter in between that dislikes this one request, by all that is known.
	return connector.Rejected
}

// kindOf decides by Salesforce's code, which means the same in an answer, for a
// record of a collection and for a row of a job.
func kindOf(v verb, r refusal) connector.Kind {
	switch r.code() {
	case "UNABLE_TO_LOCK_ROW",
		// Rolled back for another record's fault.
		"ALL_OR_NONE_OPERATION_ROLLED_BACK", "PROCESSING_HALTED":
		return connector.Busy
	case limitExceeded:
		return connector.RateLimited
	case "INVALID_SESSION_ID", "INVALID_AUTH_HEADER", "API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED", "ORG_LOCKED",
		"INVALID_OPERATION_WITH_EXPIRED_PASSWORD":
		return connector.Unauthorized
	case "SERVER_UNAVAILABLE", "UNKNOWN_EXCEPTION", "QUERY_TIMEOUT", "REQUEST_RUNNING_TOO_LONG":
		return connector.Unknown
	case "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY":
		// A trigger or flow failed; what failed in it may have been a lock, or a
		// limit that holds for all records of the request together. A record that
		// goes again goes with fewer others.
		if strings.Contains(r.Message, "UNABLE_TO_LOCK_ROW") || strings.Contains(r.Message, overLimit) {
			return connector.Busy
		}
	case "DUPLICATE_VALUE":
		// Of a create it is the external id, made by somebody else at the same
		// moment, or another unique value: the engine looks which. Of an update
		// it is the latter.
		return connector.Exists
	case "NOT_FOUND", "ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY":
		// Where the record is named by its id, it is the record that is not
		// there, unless a field is named. A create names none but those that its
		// fields refer to.
		if len(r.Fields) == 0 && v != create {
			return connector.NotFound
		}
	}
	// What is wrong until somebody changes the data, the mapping or the org.
	return connector.Rejected
}

// hints say what a person can do where Salesforce's words don't.
var hints = map[string]string{
	"DUPLICATES_DETECTED":                           "a duplicate rule takes it for one that is there: give that one the external id, or set allow_duplicates",
	"DUPLICATE_VALUE":                               "another record has this unique value",
	"DUPLICATE_EXTERNAL_ID":                         "several records have this external id: make the field unique and take it off the others",
	"REQUIRED_FIELD_MISSING":                        "map the fields, or give them a default in Salesforce",
	"INVALID_FIELD_FOR_INSERT_UPDATE":               "the integration's user may not write the field, or nobody may: see its permission set and the field's type",
	"INVALID_FIELD":                                 "the name must be right, and the integration's user must see the field",
	"INVALID_TYPE":                                  "the name must be right, and the integration's user must see the object",
	"INSUFFICIENT_ACCESS_OR_READONLY":               "the integration's user may not change this record: permission set, sharing, or a locked record",
	"INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "the integration's user may not see or change a record that this one refers to",
	"INVALID_CROSS_REFERENCE_KEY":                   "a record that this one refers to does not exist, or is of another type",
	"ENTITY_IS_DELETED":                             "the record, or one that it refers to, is in the recycle bin",
	"STORAGE_LIMIT_EXCEEDED":                        "the org is out of data storage: free some or buy more, then upkeep retry",
	"REQUEST_LIMIT_EXCEEDED":                        "the org's API requests are used up; others may have used them",
	"UNABLE_TO_LOCK_ROW":                            "another transaction holds this record or its parent",
	"INVALID_SESSION_ID":                            "a fresh session was refused too: the user may be frozen, or an address range may not be allowed",
	"API_DISABLED_FOR_ORG":                          "the org's edition has no API, or the user lacks the permission API Enabled",
	"JSON_PARSER_ERROR":                             "a value is of another type than its field",
}

// explain adds a hint to the message.
func explain(e *connector.Error, v verb, own bool) {
	hint := hints[e.Code]
	switch {
	case e.Status == http.StatusMultipleChoices:
		hint = "several records have this external id, and none was changed: make the field unique and take it off the others"
	case e.Code == "INVALID_FIELD" && strings.Contains(e.Message, "oreign key external ID"):
		hint = "the record that it refers to is not in Salesforce, or not under this external id"
	case strings.Contains(e.Message, overLimit):
		hint = "triggers or flows went over a limit for all records of a request together; they go again with fewer: if it comes often, set a smaller batch"
	case e.Code == "NOT_FOUND" && v == create:
		hint = "there is no such object or external id field for the integration's user: check record, external_id and api_version"
	case own:
	case e.Kind == connector.Unauthorized:
		hint = "the answer is not Salesforce's own: a proxy or firewall may refuse this machine"
	case e.Status >= 300 && e.Status < 400:
		hint = "Salesforce redirects, which is not followed: check my_domain"
	case e.Kind == connector.RateLimited:
		hint = "too many requests"
	default:
		hint = "the answer is not Salesforce's own: a gateway, maintenance, or a wrong my_domain"
	}
	if hint != "" {
		e.Message = strings.TrimSpace(e.Message + " (" + hint + ")")
	}
	if e.Message == "" {
		e.Message = "Salesforce gave no reason"
	}
}
