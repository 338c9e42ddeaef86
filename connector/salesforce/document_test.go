package salesforce

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
	"github.com/upkeep-sync/upkeep/connector/internal/pagetest"
)

// Every option of the configuration is on the page.
func TestOptionsOnThePage(t *testing.T) {
	t.Parallel()
	if n := pagetest.Options(t, pagetest.Read(t, "salesforce.md"), reflect.TypeFor[Config]()); n < 15 {
		t.Errorf("only %d options", n)
	}
}

// The defaults that the page names are those of the code.
func TestDefaultsOnThePage(t *testing.T) {
	t.Parallel()
	c := Config{}.withDefaults()
	page := pagetest.Read(t, "salesforce.md")
	for option, value := range map[string]string{
		"api_version": c.APIVersion, "external_id_field": c.ExternalIDField, "reserve": defaultReserve,
		"batch": strconv.Itoa(c.Batch), "linger": c.Linger.String(), "bulk_from": strconv.Itoa(c.BulkFrom),
	} {
		if !regexp.MustCompile("(?m)^\\| `" + option + "` \\| .*" + regexp.QuoteMeta(value)).MatchString(page) {
			t.Errorf("docs/salesforce.md does not say that %s is %s", option, value)
		}
	}
	traits := (&Connection{config: c}).Traits()
	if !strings.Contains(page, "`concurrency: 5`, no `rate`, `timeout: 2m`, `quiet: 10m`") || traits.Concurrency != 5 || traits.Timeout.Minutes() != 2 || traits.Quiet.Minutes() != 10 {
		t.Errorf("the page and the traits differ: %+v", traits)
	}
}

// Every row of the page's errors is taken for what it says.
func TestErrorsOnThePage(t *testing.T) {
	t.Parallel()
	page := pagetest.Read(t, "salesforce.md")
	rows := regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `(\\w+)` \\| (.+?) \\| (\\w+) \\| ([a-z ]+) \\|").FindAllStringSubmatch(page, -1)
	if len(rows) < 30 {
		t.Fatalf("only %d rows", len(rows))
	}
	verbs := map[string]verb{"create": create, "update": update}
	for _, m := range rows {
		status, _ := strconv.Atoi(m[1]) // three digits
		v, ok := verbs[m[4]]
		if !ok {
			t.Errorf("unknown verb %q", m[4])
		}
		var e *connector.Error
		if status == http.StatusOK {
			body, err := json.Marshal(map[string]any{"success": false, "errors": []map[string]any{{"statusCode": m[2], "message": m[3], "fields": []string{}}}})
			if err != nil {
				t.Fatal(err)
			}
			var r result
			if err := json.Unmarshal(body, &r); err != nil {
				t.Fatal(err)
			}
			e = connector.AsError(r.outcome(v).Err)
		} else {
			body, err := json.Marshal([]map[string]any{{"errorCode": m[2], "message": m[3]}})
			if err != nil {
				t.Fatal(err)
			}
			e = classify(v, &exchange.Answer{Status: status, Body: body, Header: http.Header{"Content-Type": {"application/json;charset=UTF-8"}}})
		}
		if e.Kind.String() != m[5] || !strings.Contains(e.Message, m[3]) || e.Code != m[2] {
			t.Errorf("%s %s %q of a %s: %v (%s), the page says %s", m[1], m[2], m[3], m[4], e.Kind, e.Message, m[5])
		}
		// A row of a bulk job has the same codes.
		if status == http.StatusOK || status == http.StatusBadRequest {
			if job := connector.AsError(jobError(v, m[2]+":"+m[3]+": --")); job.Kind != e.Kind || !strings.Contains(job.Message, m[3]) {
				t.Errorf("%s in a job: %v", m[2], job)
			}
		}
	}
	// What has a hint is on the page.
	for code := range hints {
		if !strings.Contains(page, "`"+code+"`") {
			t.Errorf("docs/salesforce.md lacks the code %s", code)
		}
	}
}
