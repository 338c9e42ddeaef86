package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/upkeep-sync/upkeep/connector/faulttest"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
)

// Every command says how it ends and shows how it is used, in a way that it
// understands itself.
func TestEveryCommandHasAGuide(t *testing.T) {
	parser := guided(kong.Must(&cli{}, kong.Name("upkeep"), kong.Exit(func(int) {})))
	left := maps.Clone(guides)
	for _, n := range parser.Model.Leaves(true) {
		command := words(n)
		g, ok := guides[command]
		if !ok || len(g.examples) == 0 {
			t.Errorf("%s has no example", command)
		}
		delete(left, command)
		var out bytes.Buffer
		if status := run(t.Context(), append(strings.Fields(command), "--help"), func(string) (string, bool) { return "", false }, nil, &out, &out); status != statusOK {
			t.Errorf("%s --help ends with %d", command, status)
		}
		for _, want := range append(slices.Clone(g.examples), "Exit statuses: 0 ") {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s --help does not say %q:\n%s", command, want, &out)
			}
		}
		if takesKey := strings.Contains(n.Summary(), "key>"); takesKey != strings.Contains(out.String(), "with commas between: 42,eu") {
			t.Errorf("%s --help does not say how a key is typed, or says it without need:\n%s", n.Summary(), &out)
		}
		for _, example := range g.examples {
			_, args, _ := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(example, ")"), " | source"), "upkeep ")
			args = strings.ReplaceAll(args, "'month end'", "month_end")
			if !strings.HasPrefix(args, command) {
				t.Errorf("%s shows another command: %s", command, example)
			}
			if _, err := parser.Parse(strings.Fields(args)); err != nil {
				t.Errorf("%s: %v", example, err)
			}
		}
	}
	for command := range left {
		t.Errorf("there is no command %s", command)
	}
}

// A sandbox takes the faults that its help names, each with all of the fields
// that stand there, and has no other kind.
func TestSandboxesTakeTheFaultsOfTheirHelp(t *testing.T) {
	account, err := netsuitetest.New(netsuitetest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer account.Close()
	org, err := salesforcetest.New(salesforcetest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer org.Close()
	for name, sandbox := range map[string]http.Handler{"netsuite": account, "salesforce": org} {
		server := httptest.NewServer(sandbox)
		defer server.Close()
		post := func(fault map[string]any) (int, string) {
			t.Helper()
			body, err := json.Marshal(fault)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := http.Post(server.URL+"/sandbox/faults", "application/json", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			return answer.StatusCode, string(text)
		}
		_, refused := post(map[string]any{"kind": "nonsense"})
		_, kinds, _ := strings.Cut(refused, "use one of ")
		left := strings.Split(strings.TrimRight(kinds, "\"}\n"), ", ")
		_, words, _ := strings.Cut(guides["sandbox "+name].more, "The kinds of fault")
		for i, line := range strings.Split(words, "\n") {
			fault := namedIn(line)
			if fault["op"] != nil {
				fault["op"] = "create"
			}
			if i == 0 { // which hold for every kind
				fault["kind"] = "reset"
			} else if line == "" {
				continue
			} else {
				fault["kind"] = strings.Fields(line)[0]
				left = slices.DeleteFunc(left, func(kind string) bool { return kind == fault["kind"] })
			}
			if status, text := post(fault); status != http.StatusOK {
				t.Errorf("%s: %v: %d %s", name, fault, status, text)
			}
		}
		if len(left) > 0 || strings.Count(words, "\n") < 7 {
			t.Errorf("%s: the help has no line for %q:\n%s", name, left, words)
		}
	}
}

// namedIn are the fields of a fault that a text names, with values.
func namedIn(text string) map[string]any {
	fault := map[string]any{}
	fields := reflect.TypeFor[faulttest.Fault]()
	for i := range fields.NumField() {
		f := fields.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !regexp.MustCompile(`\b` + name + `\b`).MatchString(text) {
			continue
		}
		switch {
		case name == "status":
			fault[name] = 503
		case f.Type == reflect.TypeFor[faulttest.Duration]():
			fault[name] = "1ms"
		case f.Type.Kind() == reflect.String:
			fault[name] = "x"
		case f.Type.Kind() == reflect.Bool:
			fault[name] = true
		default:
			fault[name] = 1
		}
	}
	return fault
}
