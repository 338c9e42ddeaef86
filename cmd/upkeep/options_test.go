package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/config"
)

// Every number, span of time and the like that the page of a connector gives for
// an option, such as `-1s` for linger, can be written in a file.
func TestDocumentedValuesOfOptions(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/salesforce.md")
	if err != nil {
		t.Fatal(err)
	}
	value := regexp.MustCompile("`(-?\\d+[a-z]*|\\d+%|true|v\\d+\\.0)`")
	tried := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (.*) \\|$").FindAllStringSubmatch(string(page), -1) {
		for _, m := range value.FindAllStringSubmatch(row[2], -1) {
			option := row[1] + ": " + m[1]
			tried[option] = true
			file := "source: sqlite:shop.db\nremotes:\n  sf:\n    connector: salesforce\n    my_domain: acme\n    " + option + `
    auth: {client_credentials: {client_id: a, client_secret: b}}
syncs:
  customer: {from: users, to: sf, record: Account, fields: {Name: name}}
`
			f, err := config.Parse("upkeep.yaml", []byte(file), func(string) (string, bool) { return "", false })
			if err != nil {
				t.Errorf("%s: %v", option, err)
				continue
			}
			remotes, err := f.Open(connectors())
			if err != nil {
				t.Errorf("%s: %v", option, err)
			}
			for _, r := range remotes {
				_ = r.Connection.Close()
			}
		}
	}
	for _, option := range []string{"linger: 2s", "linger: -1s", "bulk_from: -1", "reserve: 5000", "reserve: 10%", "allow_duplicates: true", "api_version: v68.0"} {
		if !tried[option] {
			t.Errorf("the page does not give %s, or in a form that this test does not see", option)
		}
	}
}
