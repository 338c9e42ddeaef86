package upkeep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// turnsWithin is for how long a configuration that was put in the place of
// another one is remembered by [Engine.Doctor]. Supervisors wait up to five
// minutes before they start a process again that ended too often.
const turnsWithin = 15 * time.Minute

// notePlan leaves a note of this process's plan, so that configurations that
// take turns are seen from another process.
func (e *Engine) notePlan(ctx context.Context) error {
	digests, err := e.digests()
	if err != nil {
		return err
	}
	notes, err := e.db.Plans(ctx)
	if err != nil {
		return err
	}
	if len(notes) == 0 || notes[0].Plan != e.learned.Load().plan {
		if err := e.intervene(ctx, Intervention{Did: "install", Detail: "by " + e.cfg.Name}); err != nil {
			return err
		}
	}
	return e.db.NotePlan(ctx, store.PlanNote{Plan: e.learned.Load().plan, Holder: e.cfg.Name, Syncs: digests})
}

// digests are those of what each sync's declaration means in the database.
func (e *Engine) digests() (map[string]string, error) {
	l, all := e.learned.Load(), map[string]string{}
	for i, d := range e.defs {
		b, err := json.Marshal([]any{d.version, l.shapes[i]})
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(b)
		all[d.Name] = hex.EncodeToString(sum[:8])
	}
	return all, nil
}

// differing lists the syncs whose digests differ, and those that only one has.
func differing(a, b map[string]string) (syncs []string) {
	names := slices.Sorted(maps.Keys(a))
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool { return a[name] == b[name] })
}

// turnFindings tells of configurations that are installed by turns. One that
// came back once may have been put back by a person.
func turnFindings(notes []store.PlanNote, now time.Time) []Finding {
	notes = slices.DeleteFunc(slices.Clone(notes), func(n store.PlanNote) bool { return now.Sub(n.At) > turnsWithin })
	// One that learned the tables anew takes turns with nobody.
	notes = slices.CompactFunc(notes, func(a, b store.PlanNote) bool { return a.Holder == b.Holder })
	notes = slices.CompactFunc(notes, func(a, b store.PlanNote) bool { return a.Plan == b.Plan })
	again := func(i int) bool {
		return slices.ContainsFunc(notes[i+1:], func(o store.PlanNote) bool { return o.Plan == notes[i].Plan })
	}
	back, first := 0, 0 // how often one came back, and where those that did were seen first
	for i := range notes {
		if again(i) {
			back++
			for j, o := range notes {
				if o.Plan == notes[i].Plan {
					first = max(first, j)
				}
			}
		}
	}
	if back == 0 {
		return nil
	}
	notes = notes[:first+1]
	last := map[string]store.PlanNote{} // of each plan the newest
	for _, n := range slices.Backward(notes) {
		last[n.Plan] = n
	}
	ranked := slices.SortedFunc(maps.Values(last), func(a, b store.PlanNote) int { return b.At.Compare(a.At) })
	var who []string
	differ := map[string]bool{}
	for _, n := range ranked {
		who = append(who, n.Holder+" installed one at "+moment.Of(n.At))
		for _, o := range ranked {
			for _, sync := range differing(n.Syncs, o.Syncs) {
				differ[sync] = true
			}
		}
	}
	f := Finding{Severity: Problem, Subject: "configuration",
		Message: fmt.Sprintf("%d configurations take turns: one has taken another's place %d times since %s, and each time the syncs that differ are sent anew: %s; %s",
			len(ranked), len(notes), moment.Of(notes[len(notes)-1].At), strings.Join(slices.Sorted(maps.Keys(differ)), ", "), strings.Join(who, "; ")),
		Fix: "stop every upkeep run, or Go program, that has an old configuration: it ends by itself, and what starts it again has to be stopped"}
	if back == 1 {
		f.Severity = Warning
		f.Fix = "nothing, if a person put it back and nothing runs with the other one; else s" + strings.TrimPrefix(f.Fix, "s")
	}
	return []Finding{f}
}
