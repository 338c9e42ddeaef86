package mapping

import (
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// TestReadNamesAnyColumn compiles what Read writes and evaluates it, for names
// that no language would want.
func TestReadNamesAnyColumn(t *testing.T) {
	t.Parallel()
	names := []string{
		"plain", "Mixed", "größe", "select", "in", "not", "let", "nil", "null", "if", "true", "count", "len", "map", "$env", "a$b", "${HOME}", "a$$b",
		"Order No", `say "hi"`, "it's", "back`tick", `back\slash`, "new\nline", "tab\t", "1st", "a.b", "a-b", "a,b", "", " ", "日本", "🙂", "a\u200db", "#", "[0]", "{x}", "a: b", "%s",
	}
	info := func(table string) *store.TableInfo {
		out := &store.TableInfo{Table: store.Table{Name: table}, Key: []string{"plain"}}
		for _, n := range names {
			out.Columns = append(out.Columns, store.Column{Name: n, Type: "text", Kind: store.Text})
		}
		return out
	}
	for _, name := range names {
		root := &Table{Relation: store.Root, Info: info("roots"), Members: map[string]*Table{
			"one":  {Name: "one", Relation: store.HasOne, Info: info("ones")},
			"many": {Name: "many", Relation: store.HasMany, Info: info("manys")},
		}}
		row := store.Row{name: "root", "one": store.Row{name: "one"}, "many": []store.Row{{name: "many"}}}
		for source, want := range map[string]string{
			Read("", name): "root", Read("one", name): "one", "first(map(many, " + Read("#", name) + "))": "many",
		} {
			e, errs := (&Scope{Root: root}).Compile(source, Value)
			if len(errs) > 0 {
				t.Errorf("%q: %s: %v", name, source, errs[0])
				continue
			}
			if got, err := e.Eval(row); err != nil || got != want {
				t.Errorf("%q: %s is %v (%v), want %s", name, source, got, err, want)
			}
		}
	}
}
