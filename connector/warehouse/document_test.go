package warehouse

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/upkeep-sync/upkeep/connector/internal/pagetest"
)

// Every option of the configuration is on the page.
func TestOptionsOnThePage(t *testing.T) {
	t.Parallel()
	page := pagetest.Read(t, "warehouse.md")
	var look func(v reflect.Type, path string)
	look = func(v reflect.Type, path string) {
		for i := range v.NumField() {
			name := path + v.Field(i).Tag.Get("yaml")
			inner := v.Field(i).Type
			if inner.Kind() == reflect.Struct && path == "" {
				look(inner, name+".")
				continue
			}
			if !pagetest.HasRow(page, name) {
				t.Errorf("docs/warehouse.md lacks the option %s", name)
			}
			if inner.Kind() == reflect.Map && inner.Elem().Kind() == reflect.Struct {
				look(inner.Elem(), name+".<record>.")
			}
		}
	}
	look(reflect.TypeFor[Config](), "")
	for what, want := range map[string]string{
		"batch": fmt.Sprintf("up to %d. Default: %d.", mostBatch, defaultBatch), "remember": fmt.Sprintf("Default: %.0fh", defaultRemember.Hours()),
		"traits": fmt.Sprintf("`concurrency: %d`, no `rate`, `timeout: %.0fm`, `quiet: %.0fs`", concurrency, callLimit.Minutes(), quiet.Seconds()),
		"limits": fmt.Sprintf("within %.0f seconds, waiting for a lock within %.0f", statementLimit.Seconds(), silenceLimit.Seconds()),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/warehouse.md does not say of %s: %s", what, want)
		}
	}
	if quiet < statementLimit+silenceLimit+time.Second {
		t.Error("quiet is too short for what the database may still do")
	}
}

// Every row of the page's errors is taken for what it says.
func TestErrorsOnThePage(t *testing.T) {
	t.Parallel()
	rows := regexp.MustCompile("(?m)^\\| `(\\w{5})` \\| (.+?) \\| ([a-z ]+) \\|").FindAllStringSubmatch(pagetest.Read(t, "warehouse.md"), -1)
	if len(rows) < 20 {
		t.Fatalf("only %d rows", len(rows))
	}
	for _, m := range rows {
		severity := "ERROR"
		if strings.HasPrefix(m[1], "57P") || strings.HasPrefix(m[1], "28") {
			severity = "FATAL"
		}
		err := fmt.Errorf("write: %w", &pgconn.PgError{Severity: severity, Code: m[1], Message: m[2], Detail: "Failing row contains (1, secret)."})
		e, final := postgres{}.judge(err)
		if e == nil || e.Kind.String() != m[3] || e.Message != m[2] || e.Code != m[1] {
			t.Errorf("%s %q: %v, the page says %s", m[1], m[2], e, m[3])
		}
		if rolledBack := m[3] == "rejected" || m[3] == "busy"; final != rolledBack {
			t.Errorf("%s in answer to COMMIT: final is %v", m[1], final)
		}
	}
}

// The types of the page are those that are made.
func TestTypesOnThePage(t *testing.T) {
	t.Parallel()
	rows := regexp.MustCompile("(?m)^\\| ([a-z ]+) \\| `([a-z ]+)` \\|").FindAllStringSubmatch(pagetest.Read(t, "warehouse.md"), -1)
	made := map[string]string{"timestamptz": "timestamp with time zone"}
	n := 0
	for ty := range columnTypes {
		for _, m := range rows {
			if strings.TrimPrefix(m[1], "a ") != ty.String() {
				continue
			}
			n++
			want := m[2]
			if long := made[want]; long != "" {
				want = long
			}
			if got := (postgres{}).typeOf(ty); got != want {
				t.Errorf("%s is made as %s, the page says %s", ty, got, want)
			}
		}
	}
	if n < 9 {
		t.Errorf("only %d types are on the page", n)
	}
}
