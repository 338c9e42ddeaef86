// Package pagetest compares a connector with its page under docs, in the
// connector's own tests.
package pagetest

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// Read returns the text of a page, such as "netsuite.md". It is for tests in a
// folder below connector.
func Read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// HasRow reports whether a table in the text has a row whose first column names
// an option: `auth.oauth2.client_id`.
func HasRow(text, option string) bool {
	return regexp.MustCompile("(?m)^\\| [^|]*`" + regexp.QuoteMeta(option) + "`[^|]* \\|").MatchString(text)
}

// Options looks for a row of each option of a configuration, those of nested
// structs by their path, and returns how many options there are.
func Options(t *testing.T, page string, config reflect.Type) int {
	t.Helper()
	n := 0
	var look func(v reflect.Type, path string)
	look = func(v reflect.Type, path string) {
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Field(i).Tag.Get("yaml"), ",")
			inner := v.Field(i).Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			switch {
			case name == "-":
			case inner.Kind() == reflect.Struct:
				look(inner, path+name+".")
			default:
				n++
				if !HasRow(page, path+name) {
					t.Errorf("the page lacks the option %s", path+name)
				}
			}
		}
	}
	look(config, "")
	return n
}
