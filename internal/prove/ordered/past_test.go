package ordered

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// version is what a group is at one commit. The zero value: there is no row.
type version struct {
	there, off bool   // off: when says no
	fields     string // JSON
}

// held is what the remote has of a record. The zero value: nothing.
type held struct {
	there, archived bool
	fields          string // JSON
}

// endings are those of a sync whose Set marks a record as archived.
type endings struct{ onDelete, whenFalse upkeep.Action }

// next is what the remote has when a version was delivered to it.
func (e endings) next(r held, v version) held {
	action := e.onDelete
	switch {
	case v.there && !v.off:
		return held{there: true, fields: v.fields}
	case v.there:
		action = e.whenFalse
	}
	switch {
	case action == upkeep.Delete:
		return held{}
	case action == upkeep.Set && r.there:
		r.archived = true
	}
	return r
}

// past is what a group was, commit by commit, and what of it may be left out.
type past struct {
	steps  []step
	strays []stray
	skips  int // of versions that a person let be left out
}

type step struct {
	version
	must bool
}

// stray is a version whose place is not certain: somewhere from a step on and
// before another.
type stray struct {
	step
	from, to int
}

// endedSince tells whether the record was ended by a step from that one on.
func (p *past) endedSince(i int) bool {
	return slices.ContainsFunc(p.steps[i:], func(s step) bool { return !s.there || s.off })
}

// excuse lets what comes from a step on be left out.
func (p *past) excuse(from int) {
	for i := from; i < len(p.steps); i++ {
		p.steps[i].must = false
	}
	for i, s := range p.strays {
		p.strays[i].must = s.must && s.to < from
	}
}

// explains tells whether what the remote had, one after the other and all
// different from the one before, is what the past makes of it: each version in
// its place, and none left out that must be there.
func (p *past) explains(seen []held, e endings) bool {
	type at struct {
		step, seen int
		strays     uint64 // that must be and were delivered
		skips      int    // versions that must be and were not
	}
	tried := map[at]bool{}
	var from func(a at) bool
	from = func(a at) bool {
		if tried[a] {
			return false
		}
		tried[a] = true
		var r held
		if a.seen > 0 {
			r = seen[a.seen-1]
		}
		deliver := func(v version, to at) bool {
			if n := e.next(r, v); n != r {
				if to.seen == len(seen) || seen[to.seen] != n {
					return false
				}
				to.seen++
			}
			return from(to)
		}
		done, left := a.step == len(p.steps) && a.seen == len(seen), p.skips-a.skips
		for i, s := range p.strays {
			if a.strays&(1<<i) != 0 {
				continue
			}
			then := a
			if s.must {
				left--
				done, then.strays = done && left >= 0, a.strays|1<<i
			}
			if s.from <= a.step && a.step <= s.to && deliver(s.version, then) {
				return true
			}
		}
		if done || a.step == len(p.steps) {
			return done
		}
		s, then := p.steps[a.step], at{a.step + 1, a.seen, a.strays, a.skips}
		if deliver(s.version, then) || !s.must && from(then) {
			return true
		}
		then.skips++
		return s.must && then.skips <= p.skips && then.step < len(p.steps) && from(then) // never what is there now
	}
	return from(at{})
}

// endsWith tells only whether the last of what the remote had is right.
func (p *past) endsWith(seen []held, e endings) bool {
	loose := past{steps: slices.Clone(p.steps)}
	for i := range len(loose.steps) - 1 {
		loose.steps[i].must = false
	}
	for i := range max(1, len(seen)) {
		if loose.explains(seen[i:], e) {
			return true
		}
	}
	return false
}

func (p *past) String() string {
	var b strings.Builder
	say := func(s step) string {
		word := map[bool]string{true: "must", false: "may"}[s.must]
		switch {
		case !s.there:
			return word + " be deleted"
		case s.off:
			return word + " be off"
		}
		return word + " be " + s.fields
	}
	for i, s := range p.steps {
		fmt.Fprintf(&b, "\n\t%3d %s", i, say(s))
	}
	for _, s := range p.strays {
		fmt.Fprintf(&b, "\n\tfrom %d to %d %s", s.from, s.to, say(s.step))
	}
	return b.String()
}

// sent is what the remote had of each record of a type, by external id, one
// after the other, repetitions left out.
func sent(remote *memory.Remote, recordType string) map[string][]held {
	names, records, all := map[string]string{}, map[string]map[string]json.RawMessage{}, map[string][]held{}
	for _, q := range remote.Applied() {
		if q.Type != recordType {
			continue
		}
		name := q.ExternalID
		if name == "" || q.Verb == memory.Delete {
			name = names[q.RemoteID]
		}
		names[q.RemoteID] = name
		var now held
		if q.Verb == memory.Delete {
			delete(records, name)
		} else {
			if records[name] == nil {
				records[name] = map[string]json.RawMessage{}
			}
			fields := map[string]json.RawMessage{}
			for f, v := range q.Fields {
				records[name][f] = v
			}
			for f, v := range records[name] {
				if f != "archived" {
					fields[f] = v
				}
			}
			now = held{there: true, archived: string(records[name]["archived"]) == "true", fields: text(fields)}
		}
		list := all[name]
		if len(list) == 0 && now.there || len(list) > 0 && list[len(list)-1] != now {
			all[name] = append(list, now)
		}
	}
	return all
}

func TestExplains(t *testing.T) {
	a, b, c := version{there: true, fields: "a"}, version{there: true, fields: "b"}, version{there: true, off: true, fields: "c"}
	has := func(f string) held { return held{there: true, fields: f} }
	archived := held{there: true, fields: "a", archived: true}
	whole := endings{upkeep.Delete, upkeep.Set}
	for name, x := range map[string]struct {
		past past
		seen []held
		want bool
	}{
		"all":                      {past{steps: []step{{a, true}, {b, true}, {version{}, true}}}, []held{has("a"), has("b"), {}}, true},
		"one is left out":          {past{steps: []step{{a, true}, {b, true}, {version{}, true}}}, []held{has("a"), {}}, false},
		"one may be left out":      {past{steps: []step{{a, true}, {b, false}, {version{}, true}}}, []held{has("a"), {}}, true},
		"the end is left out":      {past{steps: []step{{a, true}, {version{}, true}}}, []held{has("a")}, false},
		"the other way round":      {past{steps: []step{{a, true}, {b, true}}}, []held{has("b"), has("a")}, false},
		"one too many":             {past{steps: []step{{a, true}}}, []held{has("a"), has("b")}, false},
		"the same again":           {past{steps: []step{{a, true}, {a, true}}}, []held{has("a")}, true},
		"there and back":           {past{steps: []step{{a, true}, {b, true}, {a, true}}}, []held{has("a")}, false},
		"never there":              {past{steps: []step{{version{}, true}, {c, true}}}, nil, true},
		"archived":                 {past{steps: []step{{a, true}, {c, true}}}, []held{has("a"), archived}, true},
		"archived, and not told":   {past{steps: []step{{a, true}, {c, true}}}, []held{has("a")}, false},
		"one is skipped":           {past{steps: []step{{a, true}, {b, true}, {version{}, true}}, skips: 1}, []held{has("a"), {}}, true},
		"skipped, and one more":    {past{steps: []step{{a, true}, {b, true}, {a, true}, {version{}, true}}, skips: 1}, []held{{}}, false},
		"the last is no skip":      {past{steps: []step{{a, true}, {b, true}}, skips: 1}, []held{has("a")}, false},
		"a stray":                  {past{[]step{{a, true}, {a, true}}, []stray{{step{b, true}, 1, 2}}, 0}, []held{has("a"), has("b"), has("a")}, true},
		"a stray before its time":  {past{[]step{{a, true}}, []stray{{step{b, true}, 1, 1}}, 0}, []held{has("b"), has("a")}, false},
		"a stray that is skipped":  {past{[]step{{a, true}}, []stray{{step{b, true}, 0, 1}}, 1}, []held{has("a")}, true},
		"a stray that is left out": {past{[]step{{a, true}}, []stray{{step{b, true}, 0, 1}}, 0}, []held{has("a")}, false},
	} {
		if got := x.past.explains(x.seen, whole); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // plain values
		panic(err)
	}
	return string(b)
}
