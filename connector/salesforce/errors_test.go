package salesforce

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	one := func(code, message, fields string) string {
		return `[{"errorCode":"` + code + `","message":"` + message + `","fields":[` + fields + `]}]`
	}
	const html = "<html><head><title>Oops</title></head><body>secret page</body></html>"
	for _, c := range []struct {
		name   string
		verb   verb
		status int
		body   string
		kind   connector.Kind
		says   string
	}{
		{"several records", create, 300, `["/services/data/v68.0/sobjects/Account/001"]`, connector.Rejected, "several records have this external id"},
		{"deleted record", update, 404, one("ENTITY_IS_DELETED", "entity is deleted", ""), connector.NotFound, "recycle bin"},
		{"deleted parent", create, 400, one("ENTITY_IS_DELETED", "entity is deleted", ""), connector.Rejected, "recycle bin"},
		{"deleted parent of an update", update, 400, one("ENTITY_IS_DELETED", "entity is deleted", `"AccountId"`), connector.Rejected, "[AccountId]"},
		{"absent parent of an update", update, 400, one("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", `"AccountId"`), connector.Rejected, "refers to"},
		{"no object", create, 404, one("NOT_FOUND", "The requested resource does not exist", ""), connector.Rejected, "external_id"},
		{"two problems", create, 400, `[{"errorCode":"REQUIRED_FIELD_MISSING","message":"a"},{"errorCode":"STRING_TOO_LONG","message":"b","fields":["X"]}]`, connector.Rejected, "a; b [X]"},
		{"one object, no list", create, 400, `{"errorCode":"STRING_TOO_LONG","message":"b"}`, connector.Rejected, "b"},
		{"unheard of", create, 400, one("SOMETHING_NEW", "x", ""), connector.Rejected, "x"},
		{"nothing said", create, 400, one("SOMETHING_NEW", "", ""), connector.Rejected, "no reason"},
		{"login again", find, 401, html, connector.Unauthorized, "not Salesforce's own"},
		{"firewall", find, 403, html, connector.Unauthorized, "firewall"},
		{"gateway", create, 404, html, connector.Unavailable, "my_domain"},
		{"redirect", create, 302, "", connector.Unavailable, "redirects"},
		{"bad gateway", create, 502, html, connector.Unknown, "gateway"},
		{"timeout", create, 504, "", connector.Unknown, ""},
		{"request timeout", create, 408, "", connector.Unknown, ""},
		{"too many", create, 429, "", connector.RateLimited, "too many requests"},
		{"a filter in between", create, 400, html, connector.Rejected, "not Salesforce's own"},
		{"gone", create, 410, "", connector.Unavailable, ""},
		{"media type", create, 415, one("UNSUPPORTED_MEDIA_TYPE", "x", ""), connector.Rejected, "x"},
		{"conflict", update, 409, one("CONFLICT", "x", ""), connector.Rejected, "x"},
	} {
		e := classify(c.verb, &exchange.Answer{Status: c.status, Body: []byte(c.body), Header: http.Header{}})
		if e.Kind != c.kind || !strings.Contains(e.Message, c.says) || e.Message == "" || strings.Contains(e.Error(), "secret page") {
			t.Errorf("%s: %v, want %v with %q", c.name, e, c.kind, c.says)
		}
	}
}

func TestPauseAfterALimit(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]time.Duration{
		"TotalRequests Limit exceeded.": look, "ConcurrentPerOrgLongTxn Limit exceeded.": soon,
		"ConcurrentRequests (Concurrent API Requests) Limit exceeded.": soon, "": look,
	} {
		body := `[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"` + message + `"}]`
		e := classify(create, &exchange.Answer{Status: 403, Body: []byte(body), Header: http.Header{}})
		if e.Kind != connector.RateLimited || e.RetryAfter != want {
			t.Errorf("%q: %v, retry after %v", message, e, e.RetryAfter)
		}
		e = classify(create, &exchange.Answer{Status: 403, Body: []byte(body), Header: http.Header{}, RetryAfter: 7 * time.Second})
		if e.RetryAfter != 7*time.Second {
			t.Errorf("what the remote says counts for more: %v", e.RetryAfter)
		}
	}
}

func TestJobError(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"STRING_TOO_LONG:Account Name: data value too large: xx (max length=255):Name --": "rejected (STRING_TOO_LONG): Account Name: data value too large: xx (max length=255) [Name]",
		"UNABLE_TO_LOCK_ROW:unable to obtain exclusive access:--":                         "busy (UNABLE_TO_LOCK_ROW): unable to obtain exclusive access",
		"REQUIRED_FIELD_MISSING:Required fields are missing: [A, B]:A B --":               "rejected (REQUIRED_FIELD_MISSING): Required fields are missing: [A, B] [A, B]",
		"something else": "rejected: something else",
		"":               "rejected:",
	} {
		if e := jobError(create, s); !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%q: %v", s, e)
		}
	}
	if err := jobError(remove, "ENTITY_IS_DELETED:entity is deleted:--"); err != nil {
		t.Errorf("a delete of what is gone: %v", err)
	}
}
