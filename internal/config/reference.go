package config

import (
	_ "embed" // for the example
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// example is a complete configuration with a comment for every key.
//
//go:embed testdata/full.yaml
var example []byte

// part is a piece of the schema as the reference shows it.
type part struct {
	title, intro string
	at           []string // path in the schema
}

var parts = []part{
	{"The file", "", nil},
	{"A remote", "One account of a third-party system, under `remotes:`. All other keys are the connector's own: for NetSuite see [netsuite.md](netsuite.md#options), for Salesforce [salesforce.md](salesforce.md#options), for any HTTP API [http.md](http.md#options).", []string{"definitions", "remote"}},
	{"A sync", "Under `syncs:`. `from`, `to`, `record` and one of `fields`, `create_fields` and `initialize` are needed.", []string{"definitions", "sync"}},
	{"from", "The root table. A text stands for `{table: text}`.", []string{"definitions", "root"}},
	{"A relation", "Under `belongs_to`, `has_one` or `has_many`, by the name that expressions use; relations nest, at most 10 deep. A text stands for `{table: text}`.", []string{"definitions", "relation"}},
}

const referenceHead = `# Configuration

This page and [upkeep.schema.json](upkeep.schema.json) are generated from the code (` + "`go run ./internal/config/generate`" + `), and a test keeps them equal.

Upkeep reads one YAML file: ` + "`upkeep.yaml`, or what `--config` or `$UPKEEP_CONFIG` names" + `. It is strict: an unknown key, a wrong type, an unknown column and an unset variable are errors with line, column and an excerpt, and ` + "`upkeep check`" + ` reports them all in one run, but for those that hang on another: what expressions read of a table that is not known, or of a relation that can't be read, is examined when that is mended; of a remote one of whose keys is unknown or of a wrong type, whether the others fit together.

## In an editor

An editor with a YAML language server (VS Code with the YAML extension, Neovim, JetBrains) completes and checks the file when its first line is:

` + "```text" + `
# yaml-language-server: $schema=https://raw.githubusercontent.com/upkeep-sync/upkeep/main/docs/upkeep.schema.json
` + "```" + `

A path to a copy of the schema works in place of the URL.

## Values

- ` + "`${NAME}`" + ` is an environment variable, an error when it is not set. ` + "`${NAME:-default}`" + ` has a default. ` + "`${file:path}`" + ` is the text of a file; a relative path starts at the configuration's folder. ` + "`$$`" + ` is a dollar sign, which only has to be doubled before a ` + "`{`" + ` or another ` + "`$`" + `: ` + "`$env[\"Order No\"]`" + ` in an [expression](expressions.md) is a column whose name is no identifier, nothing of the environment, and stands as it is. They are replaced in values, never in keys. A secret that comes out empty is an error: leave its key out if there is none.
- Anchors and aliases of YAML (` + "`&name`, `*name`, `<<`" + `) are not supported: write the value out.
- A duration is a number with a unit: ` + "`500ms`, `30s`, `15m`, `1h30m`" + `.
- In ` + "`fields`, `create_fields`, `when`, `external_id` and `transform`" + ` a text is an [expression](expressions.md); numbers, true, false and null are themselves, and maps and lists of expressions stand for maps and lists. A fixed text is an expression too, so it has two pairs of quotes: ` + "`'\"B\"'`" + `.
- Names of remotes and syncs are letters, digits, ` + "`_` and `-`" + `, at most 63, and begin with a letter. A sync's name is part of the external ids by default: renaming it makes new records, unless it has an ` + "`external_id`" + ` of its own. By that its records are found under the new name, where the remote makes or finds records by a key of yours; a row that is deleted between the two leaves its record there.
`

// Reference is the page about the configuration, in Markdown: the keys from
// the schema, and the complete example.
func Reference() (string, error) {
	var root yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(schema, &root, yaml.UseOrderedMap()); err != nil {
		return "", fmt.Errorf("read the schema: %w", err)
	}
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, p := range parts {
		node := below(root, p.at...)
		if alternatives, ok := get(node, "anyOf").([]any); ok && get(node, "properties") == nil {
			node = entries(alternatives[len(alternatives)-1])
		}
		fmt.Fprintf(&b, "\n## %s\n\n", p.title)
		if p.intro != "" {
			b.WriteString(p.intro + "\n\n")
		}
		b.WriteString("| key | value | what |\n|---|---|---|\n")
		var required []string
		if list, ok := get(node, "required").([]any); ok {
			for _, k := range list {
				required = append(required, fmt.Sprint(k))
			}
		}
		for _, e := range entries(get(node, "properties")) {
			name, value := fmt.Sprint(e.Key), entries(e.Value)
			what, _ := get(value, "description").(string)
			if slices.Contains(required, name) {
				what = strings.TrimSpace("**Needed.** " + what)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, kindOfValue(value), cell(what))
		}
	}
	fmt.Fprintf(&b, "\n## A complete example\n\n```yaml\n%s```\n", example)
	return b.String(), nil
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func entries(v any) yaml.MapSlice { m, _ := v.(yaml.MapSlice); return m }

func get(m yaml.MapSlice, key string) any {
	for _, e := range m {
		if e.Key == key {
			return e.Value
		}
	}
	return nil
}

func below(m yaml.MapSlice, path ...string) yaml.MapSlice {
	for _, p := range path {
		m = entries(get(m, p))
	}
	return m
}

// forms are the words for the schema's own definitions.
var forms = map[string]string{
	"count": "integer above 0", "duration": "duration", "root": "table, or a map", "relations": "map of relations",
	"columns": "column, or a list", "fields": "map of expressions", "ending": "`keep`, `delete` or `{set: {...}}`",
}

// kindOfValue says in words what a key takes.
func kindOfValue(value yaml.MapSlice) string {
	if ref, ok := get(value, "$ref").(string); ok {
		return forms[strings.TrimPrefix(ref, "#/definitions/")]
	}
	if words, ok := get(value, "enum").([]any); ok {
		var out []string
		for _, w := range words {
			out = append(out, fmt.Sprintf("`%v`", w))
		}
		return strings.Join(out, " or ")
	}
	if alternatives, ok := get(value, "anyOf").([]any); ok {
		return kindOfValue(entries(alternatives[0]))
	}
	switch t := get(value, "type").(type) {
	case string:
		return map[string]string{"string": "text", "object": "map", "number": "number"}[t]
	case []any:
		var out []string
		for _, w := range t {
			out = append(out, strings.Replace(fmt.Sprint(w), "string", "text", 1))
		}
		return strings.Join(out, " or ")
	}
	return ""
}
