package netsuite

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector/exchange"
	"github.com/upkeep-sync/upkeep/connector/internal/pagetest"
)

// Every option of the configuration is on the page.
func TestOptionsOnThePage(t *testing.T) {
	t.Parallel()
	if n := pagetest.Options(t, pagetest.Read(t, "netsuite.md"), reflect.TypeFor[Config]()); n < 8 {
		t.Errorf("only %d options", n)
	}
}

// Every row of the page's errors is taken for what it says.
func TestErrorsOnThePage(t *testing.T) {
	t.Parallel()
	rows := regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `(\\w+)` \\| (.+?) \\| (\\w+) \\| ([a-z ]+) \\|").FindAllStringSubmatch(pagetest.Read(t, "netsuite.md"), -1)
	if len(rows) < 10 {
		t.Fatalf("only %d rows", len(rows))
	}
	verbs := map[string]verb{"create": create, "update": update}
	for _, m := range rows {
		status, _ := strconv.Atoi(m[1]) // three digits
		v, ok := verbs[m[4]]
		if !ok {
			t.Errorf("unknown verb %q", m[4])
		}
		body, err := json.Marshal(map[string]any{"title": "Bad Request", "status": status, "o:errorDetails": []map[string]any{
			{"detail": "Error while accessing a resource. " + m[3], "o:errorCode": m[2]}}})
		if err != nil {
			t.Fatal(err)
		}
		e := classify(v, &exchange.Answer{Status: status, Body: body,
			Header: http.Header{"Content-Type": {"application/vnd.oracle.resource+json; type=error"}}})
		if e.Kind.String() != m[5] || !strings.Contains(e.Message, m[3]) {
			t.Errorf("%s %s %q of a %s: %v (%s), the page says %s", m[1], m[2], m[3], m[4], e.Kind, e.Message, m[5])
		}
	}
}
