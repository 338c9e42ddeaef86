// Package config reads a configuration file: strict YAML that declares remotes
// and syncs, which ends as the same values that a Go program would write.
//
// It has two steps, so that as much as possible is checked without a database:
// [Parse] reads the file and reports every problem of syntax, keys, types,
// variables and references; [File.Mappings] checks tables, columns and
// expressions against a database's catalogue and compiles them. Each reports
// all problems at once, with file, line, column and an excerpt.
package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/upkeep-sync/upkeep/internal/mapping"
	"github.com/upkeep-sync/upkeep/internal/spelling"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// File is a configuration that was read.
type File struct {
	// Source is the database: a URL, or "sqlite:" and a path.
	Source string
	// LosslessFailover says that a failover of the source loses no commit.
	LosslessFailover bool

	sourceAt place
	remotes  []*remote
	syncs    []*syncDecl

	mu     sync.Mutex // guards what follows
	reader *reader
	tables map[string]*store.TableInfo // by the names in the file, of the last [File.Fitting]
}

var fileKeys = []string{"source", "failover", "remotes", "syncs"}

// Parse reads a configuration. name is the file's, for errors and for paths in
// ${file:...}; env looks variables up (os.LookupEnv). An error is an [Errors].
func Parse(name string, data []byte, env func(string) (string, bool)) (*File, error) {
	f, errs := examine(name, data, env)
	if len(errs) > 0 {
		return nil, errs
	}
	return f, nil
}

// Sound reads what Parse refuses, and returns the remotes that it found nothing
// wrong with, and the syncs: so that their tables, what expressions could be
// read, and options can be examined in the same run. Not for work.
func Sound(name string, data []byte, env func(string) (string, bool)) *File {
	f, _ := examine(name, data, env)
	f.remotes = slices.DeleteFunc(f.remotes, func(m *remote) bool { return m.broken })
	return f
}

func examine(name string, data []byte, env func(string) (string, bool)) (*File, Errors) {
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	lines := strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
	r := &reader{name: name, lines: lines, masked: mask(lines), env: env}
	f := &File{reader: r}
	if root := r.read(data); root != nil && len(r.errs) == r.doubles && r.is(root, object) {
		r.keys(root, "a configuration", fileKeys)
		f.Source, f.sourceAt = r.source(root)
		if v := root.get("failover"); v != nil {
			f.LosslessFailover = r.choice(v, "lossy", "lossless") == "lossless"
		}
		f.remotes = r.remotes(root.get("remotes"))
		f.syncs = r.syncs(root.get("syncs"), f.remotes)
		if root.get("syncs") == nil && !misspelt(root, "syncs", fileKeys) {
			r.fail(root.at, "there are no syncs", "add syncs: with at least one sync")
		}
	}
	return f, r.take()
}

// Syncs lists the names of the syncs, in the order of the file.
func (f *File) Syncs() []string {
	var out []string
	for _, s := range f.syncs {
		out = append(out, s.name)
	}
	return out
}

func (r *reader) source(root *value) (string, place) {
	v := root.get("source")
	if v == nil {
		if !misspelt(root, "source", fileKeys) {
			r.fail(root.at, "there is no source", "write source: postgres://... or source: sqlite:shop.db")
		}
		return "", root.at
	}
	return r.word(v), v.at
}

// keys reports unknown keys of a map.
func (r *reader) keys(v *value, what string, known []string) {
	for _, e := range v.entries {
		if !slices.Contains(known, e.key) {
			r.fail(e.at, fmt.Sprintf("unknown key %q in %s", e.key, what), mapping.Suggest(e.key, known))
		}
	}
}

// misspelt says whether an unknown key of a map was probably meant as this
// one, so that its absence needs no report of its own.
func misspelt(v *value, key string, known []string) bool {
	for _, e := range v.entries {
		if !slices.Contains(known, e.key) && spelling.Nearest(e.key, known) == key {
			return true
		}
	}
	return false
}

// word is a text that is not empty, with its variables replaced.
func (r *reader) word(v *value) string {
	if v.kind == nothing {
		r.fail(v.at, "is empty", "write a text")
		return ""
	}
	if !v.scalar() {
		r.fail(v.at, fmt.Sprintf("must be text, not %s", v.kind), "")
		return ""
	}
	before := len(r.errs)
	s := r.expand(v)
	if s == "" && len(r.errs) == before {
		r.fail(v.at, "is empty", "write a text")
	}
	return s
}

var goodName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)

func (r *reader) checkName(e entry, what string) {
	if !goodName.MatchString(e.key) {
		r.fail(e.at, fmt.Sprintf("%q can't be the name of %s", e.key, what), "use letters, digits, _ and -, at most 63, beginning with a letter")
	}
}
