package main

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
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
