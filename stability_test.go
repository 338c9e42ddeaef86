package upkeep_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var updateNames = flag.Bool("update-names", false, "write the names that there are to testdata/names.txt")

// promised are the packages whose names docs/stability.md speaks of.
var promised = []string{".", "connector", "connector/memory", "connector/netsuite", "postgres", "sqlite", "upkeeptest", "gormsync", "metrics"}

// TestNamesStay: what testdata/names.txt lists is there, as it is listed. What
// is new is added to it at a release, with: go test -run TestNamesStay -update-names .
func TestNamesStay(t *testing.T) {
	var names []string
	for _, folder := range promised {
		names = append(names, exported(t, folder)...)
	}
	for _, name := range exported(t, "internal/store") { // what the root package has aliases of
		if typ := strings.Split(name, "."); len(typ) > 2 && slices.Contains([]string{"ID", "Group", "Cause", "Attempt", "Counts", "Progress", "Finding", "Civil"}, typ[1]) {
			names = append(names, name)
		}
	}
	names = append(names, keysOfConfiguration(t)...)
	names = append(names, metricsOfDocument(t)...)
	if *updateNames {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/names.txt", []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	listed := strings.Split(strings.TrimSpace(readText(t, "testdata/names.txt")), "\n")
	if len(listed) < 100 {
		t.Fatalf("the list has only %d names", len(listed))
	}
	for _, name := range listed {
		if !slices.Contains(names, name) {
			t.Errorf("this was promised, and is no more as it was: %s", name)
		}
	}
}

// exported lists a package's exported names with their types, one a line.
func exported(t *testing.T, folder string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		l := lister{set: set, pkg: parsed.Name.Name}
		for _, decl := range parsed.Decls {
			l.declaration(decl)
		}
		names = append(names, l.names...)
	}
	slices.Sort(names)
	return names
}

// TestMethodsOfTheEngineSaySo: the documentation of a database tells the
// methods that are for programs from those that are the engine's.
func TestMethodsOfTheEngineSaySo(t *testing.T) {
	for _, folder := range []string{"postgres", "sqlite"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range parsed.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if !ok || f.Recv == nil || !f.Name.IsExported() || f.Name.Name == "Close" || f.Name.Name == "Name" {
					continue
				}
				star, _ := f.Recv.List[0].Type.(*ast.StarExpr)
				if star == nil {
					continue
				}
				if of, _ := star.X.(*ast.Ident); of != nil && of.Name == "DB" && !strings.Contains(f.Doc.Text(), "implements [store.") {
					t.Errorf("%s: the comment of DB.%s does not name what it implements", file, f.Name.Name)
				}
			}
		}
	}
}

type lister struct {
	set   *token.FileSet
	pkg   string
	names []string
}

func (l *lister) add(format string, args ...any) {
	l.names = append(l.names, l.pkg+"."+fmt.Sprintf(format, args...))
}

// text is a type on one line.
func (l *lister) text(node any) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, l.set, node); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func (l *lister) declaration(decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		l.function(d)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					l.typ(s)
				}
			case *ast.ValueSpec:
				for _, n := range s.Names {
					if n.IsExported() {
						l.add("%s", n.Name)
					}
				}
			}
		}
	}
}

// signature is a function's type without the names of its parameters.
func (l *lister) signature(f *ast.FuncType) string {
	list := func(fields *ast.FieldList) string {
		var types []string
		for i := 0; fields != nil && i < len(fields.List); i++ {
			for range max(1, len(fields.List[i].Names)) {
				types = append(types, l.text(fields.List[i].Type))
			}
		}
		return "(" + strings.Join(types, ", ") + ")"
	}
	return strings.TrimSuffix(list(f.Params)+" "+list(f.Results), " ()")
}

func (l *lister) function(f *ast.FuncDecl) {
	if !f.Name.IsExported() {
		return
	}
	signature := l.signature(f.Type)
	if f.Recv == nil {
		l.add("%s%s", f.Name.Name, signature)
		return
	}
	receiver := strings.TrimLeft(l.text(f.Recv.List[0].Type), "*")
	receiver, _, _ = strings.Cut(receiver, "[")
	// The databases' other methods are the engine's: they say "store".
	if ast.IsExported(receiver) && !(receiver == "DB" && (l.pkg == "postgres" || l.pkg == "sqlite") && f.Name.Name != "Close" && f.Name.Name != "Name") {
		l.add("%s.%s%s", receiver, f.Name.Name, signature)
	}
}

func (l *lister) typ(s *ast.TypeSpec) {
	switch t := s.Type.(type) {
	case *ast.StructType:
		l.add("%s struct", s.Name.Name)
		for _, f := range t.Fields.List {
			for _, n := range f.Names {
				if n.IsExported() {
					l.add("%s.%s %s", s.Name.Name, n.Name, l.text(f.Type))
				}
			}
		}
	case *ast.InterfaceType:
		l.add("%s interface", s.Name.Name)
		for _, m := range t.Methods.List {
			for _, n := range m.Names {
				l.add("%s.%s%s", s.Name.Name, n.Name, l.signature(m.Type.(*ast.FuncType)))
			}
		}
	default:
		l.add("%s %s", s.Name.Name, l.text(s.Type))
	}
}

// metricsOfDocument lists the metrics with their labels. Package metrics compares
// the document with what is shown.
func metricsOfDocument(t *testing.T) (names []string) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?m)^\\| `(upkeep_[a-z_]+(?:\\{[a-z,]+\\})?)` \\|").FindAllStringSubmatch(readText(t, "docs/operations.md"), -1) {
		names = append(names, "metric "+m[1])
	}
	return names
}

// keysOfConfiguration lists the keys of the YAML file, from its schema.
func keysOfConfiguration(t *testing.T) (keys []string) {
	t.Helper()
	var schema struct {
		Properties  map[string]any
		Definitions map[string]any
	}
	if err := json.Unmarshal([]byte(readText(t, "internal/config/schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	schema.Definitions["file"] = map[string]any{"properties": schema.Properties}
	for name, definition := range schema.Definitions {
		for _, key := range propertiesOf(definition) {
			keys = append(keys, "yaml "+name+": "+key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// propertiesOf lists the names of all properties in a part of a schema.
func propertiesOf(part any) (names []string) {
	switch part := part.(type) {
	case []any:
		for _, p := range part {
			names = append(names, propertiesOf(p)...)
		}
	case map[string]any:
		properties, _ := part["properties"].(map[string]any)
		for name := range properties {
			names = append(names, name)
		}
		for _, p := range part {
			names = append(names, propertiesOf(p)...)
		}
	}
	return names
}
