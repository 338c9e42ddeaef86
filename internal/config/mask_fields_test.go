package config

import (
	"strings"
	"testing"
)

// A field of the remote that is called like a secret is shown, since its value
// is an expression over columns; constants, and all that is not surely under
// fields, are not.
func TestMaskShowsExpressionsOfFields(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ file, want string }{
		"a column":              {"syncs:\n  a:\n    fields:\n      secret: code", "      secret: code"},
		"a call":                {"syncs:\n  a:\n    fields:\n      token_count: len(tokens) # how many", "      token_count: len(tokens) # how many"},
		"a comment between":     {"syncs:\n  a:\n    fields:\n# why\n      secret: code", "      secret: code"},
		"nested":                {"syncs:\n  a:\n    fields:\n      auth:\n        token: code", "        token: code"},
		"create_fields":         {"syncs:\n  a:\n    create_fields:\n      secret: code", "      secret: code"},
		"in one line":           {"syncs:\n  a:\n    fields: {id: id, secret: code}", "    fields: {id: id, secret: code}"},
		"a text":                {"syncs:\n  a:\n    fields:\n      secret: '\"hunter2\" + code'", "      secret: '********* + code'"},
		"a text of YAML":        {"syncs:\n  a:\n    fields:\n      secret: \"hunter2\"", "      secret: *********"},
		"a text in single ones": {"syncs:\n  a:\n    fields:\n      secret: 'hunter2'", "      secret: *********"},
		"a number":              {"syncs:\n  a:\n    fields:\n      token: 12345", "      token: *****"},
		"a default":             {"syncs:\n  a:\n    fields:\n      token: ${T:-hunter2}", "      token: *************"},
		"a block":               {"syncs:\n  a:\n    fields:\n      secret: |\n        hunter2", "        *******"},
		"key material":          {"syncs:\n  a:\n    fields:\n      secret: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "      secret: " + strings.Repeat("*", 40)},
		"a long name":           {"syncs:\n  a:\n    record: " + strings.Repeat("long_", 14), "    record: " + strings.Repeat("long_", 14)},
		"long, and no name":     {"syncs:\n  a:\n    record: " + strings.Repeat("long1", 14), "    record: " + strings.Repeat("*", 70)},
		"beside fields":         {"syncs:\n  a:\n    fields:\n      id: id\n    auth: {client_secret: hunter2}", "    auth: {client_secret: *******}"},
		"behind fields":         {"syncs:\n  a: {from: t,\n    fields: {id: id}, auth: {client_secret: hunter2}}", "    fields: {id: id}, auth: {client_secret: *******}}"},
		"fields of a remote":    {"remotes:\n  r:\n    fields:\n      secret: hunter2", "      secret: *******"},
		"after the syncs":       {"syncs:\n  a:\n    fields:\n      id: id\nremotes:\n  r:\n      client_secret: hunter2", "      client_secret: *******"},
		"in one line, all":      {"syncs: {a: {fields: {secret: hunter2}}}", "syncs: {a: {fields: {secret: *******}}}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := strings.Split(test.file, "\n")
			masked := mask(lines)
			got := masked[len(masked)-1]
			if got != test.want {
				t.Errorf("%q is shown as\n%q, want\n%q", lines[len(lines)-1], got, test.want)
			}
			if len([]rune(got)) != len([]rune(lines[len(lines)-1])) {
				t.Error("its length is another: carets would not fit")
			}
		})
	}
}
