package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/mapping"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// language is raised when expressions come to mean something else, so that
// every record is compared again.
const language = "1"

// syncDecl is a sync as the file declares it.
type syncDecl struct {
	name                 string
	at                   place // of the name
	declared             *value
	broken               bool // what it is made from is not known, or not all of it
	from                 *relation
	to                   string
	record               string
	when, externalID     *expression
	whenAlways           *bool // when: true or false, written out
	fields, createFields *field
	transform            *expression
	onDelete, whenFalse  upkeep.Ending
	byHand               bool
	deliver              upkeep.Delivery
	version              string
	memberLimit          int
	deleteLimit          int
	refers               []named // in the order of the file
	origins              []named // those of them that initialize names
}

// named is a reference to a sync, and where it stands.
type named struct {
	sync string
	at   place
}

var syncKeys = []string{"from", "when", "to", "record", "external_id", "fields", "create_fields", "initialize",
	"on_delete", "when_false", "register", "deliver", "version", "delete_limit", "member_limit"}

func (r *reader) syncs(v *value, remotes []*remote) []*syncDecl {
	if v == nil || !r.is(v, object) {
		return nil
	}
	if len(v.entries) == 0 {
		r.fail(v.at, "there are no syncs", "declare at least one")
	}
	var out []*syncDecl
	for _, e := range v.entries {
		r.checkName(e, "a sync")
		if r.is(e.value, object) {
			out = append(out, r.sync(e, remotes))
		}
	}
	r.references(out)
	return out
}

func (r *reader) sync(e entry, remotes []*remote) *syncDecl {
	s := &syncDecl{name: e.key, at: e.at, declared: e.value, broken: true}
	v := e.value
	r.keys(v, "a sync", syncKeys)
	for _, k := range v.entries {
		r.syncKey(s, k)
	}
	if s.from == nil {
		s.from = &relation{kind: store.Root, at: e.at}
	}
	for _, need := range []struct{ key, help string }{
		{"from", "write from: {table: orders}"},
		{"to", "name the remote: to: " + firstRemote(remotes)},
		{"record", "write the remote's name for the kind of record: record: salesOrder"},
	} {
		if v.get(need.key) == nil && !misspelt(v, need.key, syncKeys) {
			r.fail(e.at, fmt.Sprintf("sync %q has no %s", s.name, need.key), need.help)
		}
	}
	if v.get("fields") == nil && v.get("create_fields") == nil && v.get("initialize") == nil && !misspelt(v, "fields", syncKeys) {
		r.fail(e.at, fmt.Sprintf("sync %q has no fields", s.name), "write fields: with the remote's fields")
	}
	if to := v.get("to"); to != nil && s.to != "" && !slices.ContainsFunc(remotes, func(m *remote) bool { return m.name == s.to }) {
		help := mapping.Suggest(s.to, remoteNames(remotes))
		if help == "" {
			help = "declare it under remotes:"
		}
		r.fail(to.at, fmt.Sprintf("unknown remote %q", s.to), help)
	}
	r.inBoth(v)
	r.leftByEndings(v)
	r.neverFalse(s, v)
	s.version = r.digest(s.version, v)
	return s
}

// inBoth finds what is in fields and in create_fields.
func (r *reader) inBoth(v *value) {
	fields, create := v.get("fields"), v.get("create_fields")
	if fields == nil || create == nil {
		return
	}
	for _, e := range create.entries {
		if fields.get(e.key) != nil {
			r.fail(e.at, fmt.Sprintf("%q is in fields and in create_fields", e.key), "leave it in fields, which are compared and sent again, or in create_fields, which are sent once")
		}
	}
}

// neverFalse finds an ending of rows that no condition leaves out. That they are
// kept is what happens anyway.
func (r *reader) neverFalse(s *syncDecl, v *value) {
	if s.whenFalse.Action == upkeep.Keep || v.get("when") != nil || misspelt(v, "when", syncKeys) {
		return
	}
	for _, e := range v.entries {
		if e.key == "when_false" {
			r.fail(e.at, "when_false is never done: the sync has no when, so every row is to be at the remote",
				"say when a row is to be there, such as when: state != \"draft\"; what becomes of the record of a deleted row is said by on_delete")
		}
	}
}

// leftByEndings finds what an ending sets and fields don't: the record of a row
// that comes back would keep it.
func (r *reader) leftByEndings(v *value) {
	if misspelt(v, "fields", syncKeys) {
		return
	}
	for _, ending := range []string{"on_delete", "when_false"} {
		set := v.get(ending).get("set")
		if set == nil || set.kind != object {
			continue
		}
		for _, e := range set.entries {
			if v.get("fields").get(e.key) == nil {
				r.fail(e.at, fmt.Sprintf("%q is not in fields: the record of a row that comes back would keep what %s set", e.key, ending),
					fmt.Sprintf("add %s to fields, as it is while the row is there, such as isInactive: false", e.key))
			}
		}
	}
}

func remoteNames(remotes []*remote) []string {
	var out []string
	for _, m := range remotes {
		out = append(out, m.name)
	}
	return out
}

func firstRemote(remotes []*remote) string {
	if len(remotes) > 0 {
		return remotes[0].name
	}
	return "netsuite"
}

func (r *reader) syncKey(s *syncDecl, k entry) {
	v := k.value
	switch k.key {
	case "from":
		before := r.failures
		s.from = r.root(v)
		s.broken = r.failures > before
	case "to":
		s.to = r.word(v)
	case "record":
		s.record = r.word(v)
	case "when":
		if v.kind == boolean {
			always := v.text == "true"
			s.whenAlways = &always
			return
		}
		s.when = r.code(s, v, "a condition")
	case "external_id":
		s.externalID = r.code(s, v, "an expression")
	case "fields":
		s.fields = r.fields(s, v)
	case "create_fields":
		s.createFields = r.fields(s, v)
	case "initialize":
		s.transform = r.initialize(s, v)
	case "on_delete":
		s.onDelete = r.ending(v)
	case "when_false":
		s.whenFalse = r.ending(v)
	case "register":
		s.byHand = r.choice(v, "rule", "hand") == "hand"
	case "deliver":
		s.deliver = upkeep.Delivery(r.choice(v, "latest", "every"))
	case "version":
		s.version = r.word(v)
	case "delete_limit":
		s.deleteLimit = r.deleteLimit(v)
	case "member_limit":
		s.memberLimit = r.positive(v)
	}
}

// deleteLimit is an integer above zero, or none.
func (r *reader) deleteLimit(v *value) int {
	before := len(r.errs)
	if v.scalar() && r.expand(v) == "none" {
		return -1
	}
	if len(r.errs) > before {
		return 0
	}
	n := r.positive(v)
	for _, e := range r.errs[before:] {
		e.Help = "write a number above 0, or none for no limit; leave it out for the default"
	}
	return n
}

func (r *reader) choice(v *value, words ...string) string {
	if !v.scalar() {
		r.fail(v.at, fmt.Sprintf("must be %s, not %s", strings.Join(words, " or "), v.kind), "")
		return ""
	}
	s := r.expand(v)
	if !slices.Contains(words, s) {
		r.fail(v.at, fmt.Sprintf("must be %s, not %q", strings.Join(words, " or "), s), "")
	}
	return s
}

func (r *reader) initialize(s *syncDecl, v *value) *expression {
	if !r.is(v, object) {
		return nil
	}
	r.keys(v, "initialize", []string{"transform"})
	t := v.get("transform")
	if t == nil {
		r.fail(v.at, "initialize has no transform", `write initialize: {transform: 'ref("sales_order", id)'}`)
		return nil
	}
	before := len(s.refers)
	e := r.code(s, t, "a reference")
	s.origins = slices.Clone(s.refers[before:])
	return e
}

// ending is on_delete or when_false.
func (r *reader) ending(v *value) upkeep.Ending {
	if v.kind != object {
		return upkeep.Ending{Action: upkeep.Action(r.choice(v, "keep", "delete", "{set: {...}}"))}
	}
	r.keys(v, "an ending", []string{"set"})
	set := v.get("set")
	if set == nil || !r.is(set, object) {
		if set == nil {
			r.fail(v.at, "there is nothing to set", "write {set: {isInactive: true}}, keep or delete")
		}
		return upkeep.Ending{}
	}
	if len(set.entries) == 0 {
		r.fail(set.at, "there is nothing to set", "write {set: {isInactive: true}}, keep or delete")
	}
	f := r.fields(nil, set).compile(r, &mapping.Scope{Literal: r.literal})
	values, err := f.eval(nil)
	if err != nil {
		r.fail(set.at, err.Error(), "")
	}
	m, _ := values.(map[string]any)
	return upkeep.Ending{Action: upkeep.Set, Fields: m}
}

// references checks that references lead to a sync of the same remote, and
// that no record is made from one that refers to it. Other circles are for the
// engine to take apart.
func (r *reader) references(syncs []*syncDecl) {
	byName := map[string]*syncDecl{}
	var names []string
	for _, s := range syncs {
		byName[s.name] = s
		names = append(names, s.name)
	}
	for _, s := range syncs {
		for _, n := range s.refers {
			target := byName[n.sync]
			switch {
			case target == nil:
				r.fail(n.at, fmt.Sprintf("unknown sync %q", n.sync), mapping.Suggest(n.sync, names))
			case target.to != s.to && target.to != "" && s.to != "":
				r.fail(n.at, fmt.Sprintf("sync %q goes to another remote (%s, not %s)", n.sync, target.to, s.to), "a reference needs both records at one remote")
			}
		}
	}
	for _, s := range syncs {
		for _, n := range s.origins {
			if way := wayBack(byName, n.sync, s.name, map[string]bool{}); way != nil {
				circle := strings.Join(append([]string{s.name}, way...), " -> ")
				r.fail(n.at, "initialize in a circle of references: "+circle, "each would wait for the other for ever; drop one of the references")
			}
		}
	}
}

// wayBack is how references lead from one sync to another; nil if they don't.
func wayBack(byName map[string]*syncDecl, from, to string, seen map[string]bool) []string {
	if from == to {
		return []string{to}
	}
	s := byName[from]
	if s == nil || seen[from] {
		return nil
	}
	seen[from] = true
	for _, n := range s.refers {
		if way := wayBack(byName, n.sync, to, seen); way != nil {
			return append([]string{from}, way...)
		}
	}
	return nil
}

// digest is the version of a sync: the user's own, and a digest of what is
// declared, comments and order left out.
func (r *reader) digest(own string, v *value) string {
	declared := map[string]any{"language": language}
	for _, key := range []string{"from", "when", "external_id", "fields", "create_fields", "initialize"} {
		if k := v.get(key); k != nil {
			declared[key] = r.canonical(k)
		}
	}
	b, err := json.Marshal(declared)
	if err != nil { // maps, lists and texts always have a JSON form
		return own
	}
	sum := sha256.Sum256(b)
	digest := hex.EncodeToString(sum[:8])
	if own == "" {
		return digest
	}
	return own + "+" + digest
}

func (r *reader) canonical(v *value) any {
	switch v.kind {
	case object:
		m := map[string]any{}
		for _, e := range v.entries {
			m[e.key] = r.canonical(e.value)
		}
		return m
	case sequence:
		l := []any{}
		for _, e := range v.items {
			l = append(l, r.canonical(e))
		}
		return l
	}
	return v.kind.String() + " " + strings.TrimSpace(r.literal(v.text))
}
