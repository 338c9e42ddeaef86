package httpapi

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector/internal/pagetest"
)

// Every option of the configuration is on the page, in the table of its kind.
func TestOptionsOnThePage(t *testing.T) {
	t.Parallel()
	page := pagetest.Read(t, "http.md")
	section := func(from, to string) string {
		_, after, ok := strings.Cut(page, from)
		text, _, ok2 := strings.Cut(after, to)
		if !ok || !ok2 {
			t.Fatalf("the page has no %q or no %q", from, to)
		}
		return text
	}
	remote := section("### Of the remote", "### Record types")
	look := func(kind reflect.Type, table, prefix string) {
		for i := range kind.NumField() {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("yaml"), ",")
			if name == "-" || name == "" {
				continue
			}
			if !pagetest.HasRow(table, prefix+name) {
				t.Errorf("docs/http.md lacks the option %s%s of %s", prefix, name, kind.Name())
			}
		}
	}
	look(reflect.TypeFor[Config](), remote, "")
	look(reflect.TypeFor[Basic](), remote, "auth.basic.")
	look(reflect.TypeFor[APIKey](), remote, "auth.api_key.")
	look(reflect.TypeFor[OAuth2](), remote, "auth.oauth2.")
	look(reflect.TypeFor[StandardWebhooks](), remote, "sign.standard_webhooks.")
	look(reflect.TypeFor[RetryAfter](), remote, "retry_after.")
	look(reflect.TypeFor[Record](), section("### Record types", "### Requests"), "")
	look(reflect.TypeFor[Request](), section("### Requests", "`find` has besides"), "")
	look(reflect.TypeFor[Find](), section("`find` has besides", "`read` has besides"), "")
	look(reflect.TypeFor[Read](), section("`read` has besides", "## Batches"), "")
	batches := section("## Batches", "## Errors")
	look(reflect.TypeFor[Batch](), batches, "")
	look(reflect.TypeFor[BatchRequest](), batches, "")
	look(reflect.TypeFor[Results](), section("| key of `results` |", "| key of `failures` |"), "")
	look(reflect.TypeFor[Failures](), section("| key of `failures` |", "## Errors"), "")
	look(reflect.TypeFor[Errors](), section("| key of `errors` |", "| key of a rule |"), "")
	look(reflect.TypeFor[Rule](), section("| key of a rule |", "## HubSpot"), "")
	if !strings.Contains(remote, "`auth.bearer`") {
		t.Error("docs/http.md lacks auth.bearer")
	}
}

// Every row of the page's errors is taken for what it says.
func TestErrorsOnThePage(t *testing.T) {
	t.Parallel()
	rows := regexp.MustCompile(`(?m)^\| (\d{3}) \| (\w+) \| (\w+) \| ([a-z ]+) \|`).FindAllStringSubmatch(pagetest.Read(t, "http.md"), -1)
	if len(rows) < 15 {
		t.Fatalf("only %d rows", len(rows))
	}
	verbs := map[string]verb{"create": creating, "update": updating}
	bodies := map[string][2]string{"own": {"application/json", `{"message":"words"}`}, "none": {"", ""}, "page": {"text/html", "<html>words</html>"}}
	c := &Connection{}
	for _, m := range rows {
		status, _ := strconv.Atoi(m[1]) // three digits
		v, ok := verbs[m[2]]
		body, ok2 := bodies[m[3]]
		if !ok || !ok2 {
			t.Fatalf("unknown row %s", m[0])
		}
		e := c.judge(&request{verb: v}, c.read(answerOf(status, body[0], body[1])))
		if e == nil || e.Kind.String() != m[4] {
			t.Errorf("%s: %v", m[0], e)
		}
	}
}

// The examples on the page are the files.
func TestExamplesOnThePage(t *testing.T) {
	t.Parallel()
	page := pagetest.Read(t, "http.md")
	files, err := filepath.Glob(filepath.Join("..", "..", "examples", "http", "*.yaml"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(page, "```yaml\n"+string(b)+"```\n") {
			t.Errorf("%s is not on the page as it is", file)
		}
	}
}

// Every placeholder is on the page.
func TestPlaceholdersOnThePage(t *testing.T) {
	t.Parallel()
	page := pagetest.Read(t, "http.md")
	for _, names := range [][]string{ofUpdate, ofDelete, ofFind, ofRead, ofBatch, ofRef, everywhere, {changes}} {
		for _, name := range names {
			if !regexp.MustCompile("(?m)^\\| [^|]*`\\$" + name + "`").MatchString(page) {
				t.Errorf("docs/http.md lacks $%s", name)
			}
		}
	}
}
