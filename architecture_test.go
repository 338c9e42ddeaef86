package upkeep_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/upkeep-sync/upkeep"

// imports is, for each folder, what it may import of this module: folders, or
// folder/... for all below one too. Third-party modules are free, except where
// standardOnly says otherwise. The nearest entry counts; a folder that is not
// below any of these may import everything but cmd.
var imports = map[string][]string{
	".":                  {"connector", "internal/store", "internal/spelling", "internal/moment"},
	"connector":          {},
	"connector/...":      {"connector", "connector/exchange", "connector/faulttest", "internal/spelling"},
	"postgres/...":       {"internal/store", "internal/migration", "internal/spelling"},
	"sqlite/...":         {"internal/store", "internal/migration", "internal/spelling"},
	"internal/spelling":  {},
	"internal/store":     {"internal/moment"},
	"internal/migration": {},
	"internal/moment":    {},
	"internal/protocol":  {},
	"internal/storetest": {"internal/store"},
	"internal/config":    {".", "connector", "internal/store", "internal/mapping", "internal/spelling"},
	"internal/mapping":   {".", "connector", "internal/store", "internal/spelling"},
	"dashboard/...":      {".", "connector", "internal/store"},
	"gormsync":           {".", "connector", "internal/spelling", "internal/store"},
	"metrics":            {"."},
	"cmd/...":            {"..."},
}

// sandbox reports whether a folder is for tests: storetest, netsuitetest. Only
// tests, other such folders, the proofs, the benchmarks, the demo, the examples and the
// commands import it.
func sandbox(folder string) bool { return strings.HasSuffix(folder, "test") }

var standardOnly = []string{"connector", "internal/protocol"}

// onlyIn is the folder that modules are for: who does without it does without them.
var onlyIn = map[string]string{"gorm.io/": "gormsync", "github.com/prometheus/": "metrics"}

// goPackage is what go list says of a package.
type goPackage struct {
	ImportPath, Dir, Name              string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports []string
}

func (p goPackage) folder() string { return folderOf(p.ImportPath) }

func folderOf(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

func ours(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// standard: a path of the standard library has no dot in its first element.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Name,GoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
	if len(all) < 3 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

// covers reports whether a pattern of the table fits a folder.
func covers(pattern, folder string) bool {
	if pattern == "..." {
		return true
	}
	if parent, below := strings.CutSuffix(pattern, "/..."); below {
		return folder == parent || strings.HasPrefix(folder, parent+"/")
	}
	return pattern == folder
}

// mayImport reads the table; to is not the standard library.
func mayImport(from, to string) bool {
	if !ours(to) {
		for modules, folder := range onlyIn {
			if strings.HasPrefix(to, modules) && from != folder {
				return false
			}
		}
		return !slices.Contains(standardOnly, from)
	}
	to = folderOf(to)
	if !covers("cmd/...", from) && covers("cmd/...", to) {
		return false
	}
	if sandbox(to) && !sandbox(from) && !covers("internal/prove/...", from) && from != "internal/demo" && from != "bench" && !covers("cmd/...", from) && !covers("examples/...", from) {
		return false
	}
	allowed, listed := imports[from]
	for folder := from; !listed && folder != "."; folder = path.Dir(folder) {
		allowed, listed = imports[folder+"/..."]
	}
	if !listed {
		return true
	}
	return slices.ContainsFunc(allowed, func(pattern string) bool { return covers(pattern, to) })
}

func TestImportsGoOneWay(t *testing.T) {
	for _, p := range packages(t) {
		for _, to := range p.Imports {
			if !standard(to) && !mayImport(p.folder(), to) {
				t.Errorf("%s must not import %s", p.folder(), to)
			}
		}
		// Tests may wire more together, but not what would hide a wrong layer.
		for _, to := range slices.Concat(p.TestImports, p.XTestImports) {
			if ours(to) && covers("cmd/...", folderOf(to)) && !covers("cmd/...", p.folder()) {
				t.Errorf("the tests of %s must not import %s", p.folder(), to)
			}
			if covers("connector/...", p.folder()) && ours(to) && !covers("connector/...", folderOf(to)) && folderOf(to) != "internal/pgtest" {
				t.Errorf("the tests of %s must not import %s: a connector is tested without the engine", p.folder(), to)
			}
		}
	}
}

// TestImportTable shows that the table can say no.
func TestImportTable(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{".", module + "/connector", true},
		{".", module + "/internal/store", true},
		{".", module + "/postgres", false},
		{".", module + "/sqlite", false},
		{".", module + "/cmd/upkeep", false},
		{".", module + "/internal/config", false},
		{".", module + "/connector/memory", false},
		{"connector", "golang.org/x/sync/errgroup", false},
		{"connector", module, false},
		{"connector/netsuite", module + "/connector", true},
		{"connector/netsuite", module, false},
		{"connector/netsuite", module + "/internal/store", false},
		{"connector/netsuite", module + "/connector/netsuite/netsuitetest", false},
		{"connector/netsuite", module + "/connector/faulttest", false},
		{"connector/netsuite/netsuitetest", module + "/connector/faulttest", true},
		{"connector/netsuite", "github.com/golang-jwt/jwt/v5", true},
		{"postgres", module + "/internal/store", true},
		{"postgres", module, false},
		{"postgres", module + "/sqlite", false},
		{"sqlite", module + "/internal/storetest", false},
		{"internal/config", module, true},
		{"internal/config", module + "/postgres", false},
		{"internal/store", module + "/connector", false},
		{"gormsync", module + "/sqlite", false},
		{"gormsync", "gorm.io/gorm", true},
		{".", "gorm.io/gorm", false},
		{"metrics", "github.com/prometheus/client_golang/prometheus", true},
		{".", "github.com/prometheus/client_golang/prometheus", false},
		{"cmd/upkeep", "github.com/prometheus/client_golang/prometheus", false},
		{"metrics", module, true},
		{"metrics", module + "/postgres", false},
		{".", module + "/metrics", false},
		{"examples/shop", module + "/connector/netsuite/netsuitetest", true},
		{"upkeeptest", module + "/sqlite", true},
		{"upkeeptest", module + "/cmd/upkeep", false},
		{"cmd/upkeep", module + "/postgres", true},
	} {
		if got := mayImport(c.from, c.to); got != c.want {
			t.Errorf("mayImport(%s, %s) = %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

func TestNamesAndSizes(t *testing.T) {
	const mostLines = 600
	nothing := []string{"util", "utils", "common", "helper", "helpers", "types", "manager", "misc", "shared"}
	for _, p := range packages(t) {
		for _, name := range []string{p.Name, filepath.Base(p.Dir)} {
			if slices.Contains(nothing, name) {
				t.Errorf("%s: %q says nothing about what it holds", p.folder(), name)
			}
		}
		for _, file := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			base := strings.TrimSuffix(strings.TrimSuffix(file, ".go"), "_test")
			if slices.Contains(nothing, base) {
				t.Errorf("%s/%s: the name says nothing about what it holds", p.folder(), file)
			}
			text, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(text, []byte("\n")); n > mostLines {
				t.Errorf("%s/%s has %d lines; more than %d are hard to read in one go: split it by what it does", p.folder(), file, n, mostLines)
			}
		}
	}
}

func TestEveryDependencyHasAReason(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	reasons, err := os.ReadFile(filepath.FromSlash("docs/dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := direct(string(mod))
	if len(wanted) == 0 {
		t.Fatal("no direct dependency found in go.mod")
	}
	given := map[string]bool{}
	for line := range strings.Lines(string(reasons)) {
		if name, reason, ok := strings.Cut(strings.TrimPrefix(line, "- `"), "`"); ok && strings.HasPrefix(line, "- `") {
			given[name] = len(strings.TrimSpace(strings.TrimLeft(reason, ": "))) > 0
		}
	}
	for _, path := range wanted {
		if !given[path] {
			t.Errorf("docs/dependencies.md gives no reason for %s: add a line \"- `%s`: why\"", path, path)
		}
		delete(given, path)
	}
	for path := range given {
		t.Errorf("docs/dependencies.md has a line for %s, which go.mod does not require directly", path)
	}
}

// direct lists the modules that go.mod requires without "// indirect".
func direct(mod string) []string {
	var paths []string
	inside := false
	for line := range strings.Lines(mod) {
		line = strings.TrimSpace(line)
		one, single := strings.CutPrefix(line, "require ")
		switch {
		case line == "require (":
			inside = true
		case line == ")":
			inside = false
		case (inside || single) && line != "" && !strings.HasSuffix(line, "// indirect") && !strings.HasPrefix(line, "//"):
			path, _, _ := strings.Cut(one, " ")
			paths = append(paths, path)
		}
	}
	return paths
}
