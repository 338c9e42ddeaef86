package upkeep

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Documentation tools show nothing of an alias but its comment.
func TestAliasesAreDocumentedWithTheirFields(t *testing.T) {
	aliases := map[string]reflect.Type{
		"ID": reflect.TypeFor[ID](), "Group": reflect.TypeFor[Group](), "Cause": reflect.TypeFor[Cause](), "Attempt": reflect.TypeFor[Attempt](),
		"Counts": reflect.TypeFor[Counts](), "Progress": reflect.TypeFor[Progress](), "Finding": reflect.TypeFor[Finding](), "Pause": reflect.TypeFor[Pause](), "Failure": reflect.TypeFor[Failure](),
	}
	file, err := parser.ParseFile(token.NewFileSet(), "registry.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, decl := range file.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		spec := g.Specs[0].(*ast.TypeSpec)
		typ, ok := aliases[spec.Name.Name]
		if !ok {
			continue
		}
		seen++
		var documented []string
		for _, m := range regexp.MustCompile(`(?m)^//\t(\w+)`).FindAllStringSubmatch(commentText(g.Doc), -1) {
			documented = append(documented, m[1])
		}
		if fields := fieldNames(typ); !slices.Equal(slices.Sorted(slices.Values(documented)), slices.Sorted(slices.Values(fields))) {
			t.Errorf("the comment of %s has the fields %v, the type %v", spec.Name.Name, documented, fields)
		}
	}
	if seen != len(aliases) {
		t.Errorf("found %d aliases, want %d", seen, len(aliases))
	}
}

func commentText(g *ast.CommentGroup) (text string) {
	for _, c := range g.List {
		text += c.Text + "\n"
	}
	return text
}

func fieldNames(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		names = append(names, t.Field(i).Name)
	}
	return names
}

func TestErrorsAreKnownThroughWrapping(t *testing.T) {
	for public, internal := range map[error]error{ErrNotInstalled: store.ErrNotInstalled, ErrPlan: store.ErrPlan, ErrReplaced: store.ErrReplaced, ErrNoTable: store.ErrNoTable} {
		if !errors.Is(fmt.Errorf("fold: %w", internal), public) {
			t.Errorf("%v is not known as the public error", internal)
		}
	}
}

func TestKey(t *testing.T) {
	type id int16
	type code string
	seven, money := int64(7), decimal.RequireFromString("1.50")
	for _, c := range []struct {
		values []any
		want   string
	}{
		{[]any{42}, "42"},
		{[]any{"a,b"}, "a,b"},
		{[]any{"a,b", 1}, `a\,b,1`},
		{[]any{Date{Year: 2026, Month: 1, Day: 2}, true}, "2026-01-02,true"},
		{[]any{&seven}, "7"},
		{[]any{time.Date(2026, 1, 2, 4, 4, 5, 6000, time.FixedZone("x", 3600)), 1}, "2026-01-02T03:04:05.000006Z,1"},
		{[]any{Date{Year: -43, Month: 3, Day: 15}, 1}, "0044-03-15 BC,1"},
		{[]any{time.Date(0, 2, 29, 0, 0, 0, 0, time.UTC)}, "0001-02-29T00:00:00Z BC"},
		{[]any{Date{Year: 12020, Month: 1, Day: 2}}, "12020-01-02"},
		{[]any{id(3), code("x"), uint8(4), &money}, "3,x,4,1.5"},
	} {
		if got, err := Key(c.values...); err != nil || got != c.want {
			t.Errorf("Key(%v) = %q, %v; want %q", c.values, got, err, c.want)
		}
	}
	for _, bad := range []any{3.5, nil, (*int64)(nil), (*decimal.Decimal)(nil)} {
		if s, err := Key(bad); err == nil {
			t.Errorf("%v made the key %q", bad, s)
		}
	}
	for _, none := range [][]any{{}, {Date{}}, {Date{Year: 2026, Month: 2, Day: 30}}} {
		if s, err := Key(none...); !errors.Is(err, ErrKey) {
			t.Errorf("%v made the key %q (%v)", none, s, err)
		}
	}
	if r := Ref("customer", (*int64)(nil)); r != (Reference{}) {
		t.Errorf("a NULL foreign key refers to %v", r)
	}
	if r := Ref("customer", &seven); r.Key != "7" {
		t.Errorf("a pointer refers to %v", r)
	}
}
