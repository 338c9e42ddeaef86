package proposal

import (
	"regexp"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// relation is a link as a configuration has it.
type relation struct {
	name  string
	kind  store.Relation
	link  *link
	other *table
}

// relationsMost is how many relations of one table are proposed.
const relationsMost = 12

var idSuffix = regexp.MustCompile(`(?i)[_ -]?(id|key|code|no)$`)

// relations are those that a table's foreign keys tell, belongs_to first. The
// link that led here is not followed back.
func (t *table) relations(from *link) []relation {
	var out []relation
	taken := names{}
	columns := map[string]bool{}
	for _, c := range t.Columns {
		columns[c.Name] = true
	}
	add := func(kind store.Relation, l *link, other *table, want string) {
		same := func(r relation) bool {
			return r.kind == kind && r.other == other && slices.Equal(r.link.via, l.via) && slices.Equal(r.link.to, l.to)
		}
		if l == from || other.unfit != "" || len(out) == relationsMost || slices.ContainsFunc(out, same) {
			return
		}
		if columns[want] {
			want += "_row"
		}
		name := taken.take(want)
		for columns[name] {
			name = taken.take(want)
		}
		out = append(out, relation{name, kind, l, other})
	}
	for _, l := range t.out {
		want := l.target.Name
		if len(l.via) == 1 {
			if short := idSuffix.ReplaceAllString(l.via[0], ""); short != "" {
				want = short
			}
		}
		add(store.BelongsTo, l, l.target, word(want, "parent"))
	}
	for _, unique := range []bool{true, false} {
		kind := store.HasMany
		if unique {
			kind = store.HasOne
		}
		for _, l := range t.in {
			if l.unique != unique {
				continue
			}
			want := word(l.child.Name, "rows")
			if several(t.in, l.child) { // tables with two foreign keys here are told apart by them
				want += "_by_" + word(strings.Join(l.via, "_"), "key")
			}
			add(kind, l, l.child, want)
		}
	}
	return out
}

func several(links []*link, child *table) bool {
	n := 0
	for _, l := range links {
		if l.child == child {
			n++
		}
	}
	return n > 1
}
