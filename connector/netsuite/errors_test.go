package netsuite

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	// one is an error body of NetSuite with one detail.
	one := func(code, detail, path string) string {
		return fmt.Sprintf(`{"type":"https://www.rfc-editor.org/rfc/rfc9110.html","title":"Bad Request","status":400,"o:errorDetails":[{"detail":%q,"o:errorCode":%q,"o:errorPath":%q}]}`, detail, code, path)
	}
	user := func(detail string) string {
		return one("USER_ERROR", "Error while accessing a resource. "+detail, "")
	}
	const html = "<html><head><title>Oops</title></head><body>secret page</body></html>"
	for _, c := range []struct {
		name   string
		verb   verb
		status int
		body   string
		kind   connector.Kind
		says   string // in the error's text
	}{
		{"bad reference", create, 400, one("INVALID_CONTENT", "Invalid reference key 9.", "item.items[0].item"), connector.Rejected, "Invalid reference key 9. [at item.items[0].item]"},
		{"malformed address", find, 400, one("INVALID_REQUEST", "The request could not be understood.", ""), connector.Rejected, "INVALID_REQUEST"},
		{"missing value", create, 400, user("Please enter value(s) for: Subsidiary."), connector.Rejected, ": Please enter value(s) for: Subsidiary."},
		{"invalid value", update, 400, user("You have entered an Invalid Field Value 5 for the following field: customer."), connector.Rejected, "Invalid Field Value 5"},
		{"locked by a workflow", update, 400, user("This record has been locked by a user defined workflow."), connector.Rejected, "workflow"},
		{"role lacks a right", create, 400, user("Your current role does not have permission to perform this action."), connector.Rejected, "permission"},
		{"taken external id", create, 400, user("This entity already exists."), connector.Exists, "already exists"},
		{"taken external id, transform", initialize, 400, user("This record already exists"), connector.Exists, ""},
		{"taken unique value", create, 400, user("UNIQUE_CUST_ID_REQD"), connector.Exists, ""},
		{"DUP_RCRD", create, 400, one("DUP_RCRD", "x", ""), connector.Exists, "DUP_RCRD"},
		{"update to a taken value", update, 400, user("This entity already exists."), connector.Exists, "already exists"},
		{"changed meanwhile", update, 400, user("Record has been changed"), connector.Busy, ""},
		{"changed meanwhile, by code", remove, 400, one("RCRD_HAS_BEEN_CHANGED", "x", ""), connector.Busy, ""},
		{"absent", update, 404, one("NONEXISTENT_ID", "The record instance does not exist. Provide a valid record instance ID.", ""), connector.NotFound, "record instance"},
		{"absent vendorBill", read, 400, user("Transaction type specified is incorrect."), connector.NotFound, ""},
		{"absent by its old code", update, 400, user("RCRD_DSNT_EXIST"), connector.NotFound, ""},
		{"absent reference in the body", update, 400, one("NONEXISTENT_ID", "x", "entity"), connector.Rejected, "[at entity]"},
		{"nothing to be absent", create, 404, one("NONEXISTENT_ID", "The record instance does not exist.", ""), connector.Rejected, ""},
		{"absent origin", initialize, 404, one("NONEXISTENT_ID", "The record instance does not exist.", ""), connector.NotFound, ""},
		{"unknown type", update, 404, one("NONEXISTENT_RECORD_TYPE", "Record type 'x' does not exist.", ""), connector.Rejected, "Record type 'x'"},
		{"404 of a gateway", update, 404, html, connector.Unavailable, "base_url"},
		{"empty 404", update, 404, "", connector.Unavailable, "base_url"},
		{"JSON 404 of somebody else", update, 404, `{"message":"no route"}`, connector.Unavailable, "base_url"},
		{"405 of a gateway", create, 405, html, connector.Unavailable, "base_url"},
		{"proxy", create, 407, "", connector.Unavailable, ""},
		{"filter", create, 400, html, connector.Rejected, "not NetSuite's own"},
		{"login", create, 401, one("INVALID_LOGIN", "Invalid login attempt.", ""), connector.Unauthorized, "Login Audit Trail"},
		{"login, bare", create, 401, "", connector.Unauthorized, "credentials"},
		{"right, 403", create, 403, one("INSUFFICIENT_PERMISSION", "Permission Violation", ""), connector.Rejected, "role"},
		{"address rule", create, 403, html, connector.Unauthorized, "HTTP 403"},
		{"concurrency", create, 429, `{"title":"Bad Request","status":429,"o:errorCode":"USER_ERROR","o:errorDetails":[{"detail":"Concurrent request limit exceeded. Request blocked.","o:errorCode":"CONCURRENCY_LIMIT_EXCEEDED"}]}`, connector.RateLimited, "CONCURRENCY_LIMIT_EXCEEDED"},
		{"concurrency, bare", create, 429, "", connector.RateLimited, "too many"},
		{"concurrency of RESTlets", create, 400, one("SSS_REQUEST_LIMIT_EXCEEDED", "Request Limit Exceeded", ""), connector.RateLimited, ""},
		{"concurrency of SOAP", create, 403, user("WS_REQUEST_BLOCKED"), connector.RateLimited, ""},
		{"unexpected", create, 500, one("UNEXPECTED_ERROR", "An unexpected error occurred. Error ID: abc", ""), connector.Unknown, "Error ID: abc"},
		{"bad gateway", create, 502, html, connector.Unknown, "gateway"},
		{"unavailable", create, 503, html, connector.Unknown, "maintenance"},
		{"gateway timeout", create, 504, "", connector.Unknown, ""},
		{"request timeout", create, 408, "", connector.Unknown, ""},
		{"redirect", create, 302, html, connector.Unavailable, "base_url"},
		{"too large", create, 413, html, connector.Rejected, ""},
		{"several", create, 400, `{"o:errorDetails":[{"detail":"a","o:errorCode":"X"},{"detail":"b","o:errorQueryParam":"q"}]}`, connector.Rejected, "X): a; b [parameter q]"},
		{"long", create, 400, user(strings.Repeat("ü", 5000)), connector.Rejected, "..."},
		{"broken UTF-8", create, 400, "{\"title\":\"a\xff\"}", connector.Rejected, "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := &exchange.Answer{Status: c.status, Header: http.Header{}, Body: []byte(c.body)}
			if strings.HasPrefix(c.body, "{") {
				a.Header.Set("Content-Type", "application/vnd.oracle.resource+json; type=error")
			}
			e := classify(c.verb, a)
			text := e.Error()
			if e.Kind != c.kind || e.Status != c.status || e.Message == "" || !strings.Contains(text, c.says) {
				t.Errorf("got %q, want %v and %q in it", text, c.kind, c.says)
			}
			if strings.Contains(text, "<") || strings.Contains(text, "secret") || len(text) > 1500 || strings.Contains(text, "Error while accessing") {
				t.Errorf("not for people: %.300q", text)
			}
		})
	}
}
