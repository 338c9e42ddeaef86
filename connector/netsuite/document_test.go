package netsuite

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector/exchange"
)

func document(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "netsuite.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Every option of the configuration is on the page.
func TestOptionsOnThePage(t *testing.T) {
	t.Parallel()
	page := document(t)
	var look func(v reflect.Type, path string)
	look = func(v reflect.Type, path string) {
		for i := range v.NumField() {
			name := v.Field(i).Tag.Get("yaml")
			inner := v.Field(i).Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			switch {
			case name == "-":
			case inner.Kind() == reflect.Struct:
				look(inner, path+name+".")
			case !regexp.MustCompile("(?m)^\\| .*`" + regexp.QuoteMeta(path+name) + "`.* \\|").MatchString(page):
				t.Errorf("docs/netsuite.md lacks the option %s", path+name)
			}
		}
	}
	look(reflect.TypeFor[Config](), "")
}

// Every row of the page's errors is taken for what it says.
func TestErrorsOnThePage(t *testing.T) {
	t.Parallel()
	rows := regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `(\\w+)` \\| (.+?) \\| (\\w+) \\| ([a-z ]+) \\|").FindAllStringSubmatch(document(t), -1)
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
