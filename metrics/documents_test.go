package metrics

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/upkeep-sync/upkeep"
)

// described are the names that the collector describes, with their labels.
func described(t *testing.T) map[string][]string {
	t.Helper()
	c := newCollector(func(context.Context) (*upkeep.Status, error) { return &upkeep.Status{}, nil }, func() error { return nil }, time.Now)
	to := make(chan *prometheus.Desc, 1000)
	c.Describe(to)
	close(to)
	form := regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	names := map[string][]string{}
	for d := range to {
		m := form.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("no name in %s", d)
		}
		names[m[1]] = labels(m[2])
	}
	if len(names) < 30 {
		t.Fatalf("only %d names", len(names))
	}
	return names
}

func labels(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// section is the part of the document that is about the metrics.
func section(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(b), "\n### Prometheus and probes\n")
	if !found {
		t.Fatal("the document has no such section")
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

func TestTheDocumentListsWhatIsShown(t *testing.T) {
	t.Parallel()
	shown := described(t)
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(upkeep_[a-z_]+)(?:\\{([a-z,]+)\\})?` \\|").FindAllStringSubmatch(section(t), -1) {
		name := m[1]
		if listed[name] {
			t.Errorf("%s is listed twice", name)
		}
		listed[name] = true
		if of, ok := shown[name]; !ok {
			t.Errorf("the document lists %s, which is not shown", name)
		} else if !slices.Equal(of, labels(m[2])) {
			t.Errorf("the document gives %s the labels %s; it has %v", name, m[2], of)
		}
	}
	for name := range shown {
		if !listed[name] {
			t.Errorf("the document does not list %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`\bupkeep_[a-z_]+`).FindAllString(section(t), -1) {
		if _, ok := shown[name]; !ok {
			t.Errorf("the document speaks of %s, which is not shown", name)
		}
	}
}

// The rules can be loaded, and ask for what there is.
func TestAlerts(t *testing.T) {
	t.Parallel()
	_, text, _ := strings.Cut(section(t), "```yaml foreign\ngroups:")
	text, _, _ = strings.Cut("groups:"+text, "```")
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct{ Alert, Expr, For string }
		}
	}
	if err := yaml.NewDecoder(strings.NewReader(text), yaml.Strict()).Decode(&file); err != nil {
		t.Fatal(err)
	}
	if len(file.Groups) != 1 || len(file.Groups[0].Rules) < 4 {
		t.Fatalf("%+v", file)
	}
	shown := described(t)
	for _, r := range file.Groups[0].Rules {
		if r.For != "" {
			if _, err := time.ParseDuration(r.For); err != nil {
				t.Errorf("%s: %v", r.Alert, err)
			}
		}
		names := regexp.MustCompile(`(?:by \((\w+)\) )?\((upkeep_[a-z_]+)(?:\{(\w+)=)?`).FindAllStringSubmatch(r.Expr, -1)
		if r.Alert == "" || len(names) == 0 || strings.Count(r.Expr, "(") != strings.Count(r.Expr, ")") {
			t.Errorf("%+v is no rule", r)
		}
		for _, m := range names {
			for _, label := range []string{m[1], m[3]} {
				if label != "" && !slices.Contains(shown[m[2]], label) {
					t.Errorf("%s: %s has no label %s, but %v", r.Alert, m[2], label, shown[m[2]])
				}
			}
		}
	}
}
