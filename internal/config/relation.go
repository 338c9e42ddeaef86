package config

import (
	"fmt"
	"slices"

	"github.com/upkeep-sync/upkeep/internal/mapping"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// relation is a table of a sync as the file declares it: the root, or one that
// hangs on another.
type relation struct {
	name         string // empty for the root
	at           place  // of the name
	kind         store.Relation
	table        string
	tableAt      place
	via, to      []string
	viaAt, toAt  place
	where, order *value // nil: none
	members      []*relation

	unsure  bool     // something of its own keys could not be read
	lost    []string // names of relations below it that could not be read
	unknown bool     // nobody knows which these are
}

var (
	relationKinds = []struct {
		key  string
		kind store.Relation
	}{{"belongs_to", store.BelongsTo}, {"has_one", store.HasOne}, {"has_many", store.HasMany}}

	rootKeys     = []string{"table", "belongs_to", "has_one", "has_many"}
	relationKeys = append([]string{"via", "to", "where", "order"}, rootKeys...)
)

// root reads from.
func (r *reader) root(v *value) *relation {
	return r.relation(&relation{kind: store.Root, at: v.at}, v, 0)
}

func (r *reader) relation(rel *relation, v *value, depth int) *relation {
	if v.scalar() { // the table alone
		rel.table, rel.tableAt = r.word(v), v.at
		return rel
	}
	if !r.is(v, object) {
		return rel
	}
	keys, what := relationKeys, "a relation"
	if rel.kind == store.Root {
		keys, what = rootKeys, "from"
	}
	for _, e := range v.entries {
		switch {
		case !slices.Contains(relationKeys, e.key):
			r.fail(e.at, fmt.Sprintf("unknown key %q in %s", e.key, what), mapping.Suggest(e.key, keys))
			rel.unsure = true
			for _, m := range e.value.entries { // has_meny: {lines: ...}
				rel.lost = append(rel.lost, m.key)
			}
		case !slices.Contains(keys, e.key):
			help := ""
			if e.key == "where" {
				help = "to keep only some rows at the remote, use when"
			}
			r.fail(e.at, fmt.Sprintf("the root table takes no %s", e.key), help)
		case rel.kind == store.BelongsTo && (e.key == "where" || e.key == "order"):
			r.fail(e.at, fmt.Sprintf("a belongs_to takes no %s", e.key), "it is at most one row; decide with an expression")
		default:
			r.relationKey(rel, e, depth)
		}
	}
	if v.get("table") == nil {
		r.fail(rel.at, what+" has no table", "write table: and the table's name")
	}
	return rel
}

func (r *reader) relationKey(rel *relation, e entry, depth int) {
	before := r.failures
	switch e.key {
	case "table":
		rel.table, rel.tableAt = r.word(e.value), e.value.at
	case "via":
		rel.via, rel.viaAt = r.words(e.value), e.value.at
	case "to":
		rel.to, rel.toAt = r.words(e.value), e.value.at
	case "where":
		rel.where = r.fragment(e.value)
	case "order":
		rel.order = r.fragment(e.value)
	default:
		r.relations(rel, e, depth)
		return
	}
	rel.unsure = rel.unsure || r.failures > before
}

const maxRelationDepth = 10

func (r *reader) relations(rel *relation, e entry, depth int) {
	if !r.is(e.value, object) {
		rel.unknown = true
		return
	}
	if depth >= maxRelationDepth {
		r.fail(e.at, fmt.Sprintf("relations are nested more than %d deep", maxRelationDepth), "")
		rel.unknown = true
		return
	}
	var kind store.Relation
	for _, k := range relationKinds {
		if k.key == e.key {
			kind = k.kind
		}
	}
	for _, m := range e.value.entries {
		if !mapping.IsName(m.key) {
			r.fail(m.at, fmt.Sprintf("%q can't be the name of a relation", m.key), "expressions must be able to name it: use letters, digits and _")
		}
		for _, other := range rel.members {
			if other.name == m.key {
				r.fail(m.at, fmt.Sprintf("there are two relations %q", m.key), fmt.Sprintf("the other is on line %d; give one another name", other.at.line))
				rel.lost = append(rel.lost, m.key)
			}
		}
		rel.members = append(rel.members, r.relation(&relation{name: m.key, at: m.at, kind: kind}, m.value, depth+1))
	}
}

// words is a text or a list of texts.
func (r *reader) words(v *value) []string {
	if v.kind != sequence {
		if w := r.word(v); w != "" {
			return []string{w}
		}
		return nil
	}
	var out []string
	for _, e := range v.items {
		out = append(out, r.word(e))
	}
	if len(out) == 0 {
		r.fail(v.at, "is empty", "name a column")
	}
	return out
}

// fragment is a piece of SQL, with its variables replaced.
func (r *reader) fragment(v *value) *value {
	s := r.word(v)
	out := *v
	out.text = s
	return &out
}
