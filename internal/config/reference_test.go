package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is in docs is what the code generates.
func TestDocumentsAreGenerated(t *testing.T) {
	t.Parallel()
	page, err := Reference()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"configuration.md": page, "upkeep.schema.json": string(Schema())} {
		got, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("docs/%s is not what the code says: go run ./internal/config/generate", name)
		}
	}
}

// Every key of the schema is on the page, with its kind and an explanation.
func TestReferenceHasEveryKey(t *testing.T) {
	t.Parallel()
	page, err := Reference()
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range [][]string{fileKeys, remoteKeys, syncKeys, rootKeys, relationKeys} {
		for _, k := range keys {
			if !strings.Contains(page, "| `"+k+"` | ") {
				t.Errorf("the reference lacks %s", k)
			}
		}
	}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "| `") && strings.Contains(line, "|  |") {
			t.Errorf("an empty cell: %s", line)
		}
	}
}
