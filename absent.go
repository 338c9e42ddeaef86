package upkeep

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// absentAfter is for how long a process that holds slots was not seen when it
// is taken for gone: it renews them every keepEvery.
const absentAfter = 5 * keepEvery

// claimsMost is how many claimed groups are looked at.
const claimsMost = 1000

// Absent is a process that seems to have died with something in its hands. All
// of it comes free by itself.
type Absent struct {
	Process string // as Config.Name has it
	// Unseen is for how long it has not renewed its slots; zero: it holds none,
	// and is known by its old claims only, so that it may be alive and slow.
	Unseen time.Duration
	Slots  []HeldSlots // by remote
	// Groups is how many groups it has claimed, as far as 1000 were looked at;
	// they are free at GroupsUntil, by the database's clock. GroupsFree: that is
	// over, and the next process at work takes them.
	Groups      int
	GroupsUntil time.Time
	GroupsFree  bool
}

// HeldSlots are slots of a remote that a process holds.
type HeldSlots struct {
	Remote string
	Slots  int
	Until  time.Time // by the database's clock, when they come free
}

// String says all of it for a person.
func (a Absent) String() string {
	var held []string
	for _, s := range a.Slots {
		held = append(held, fmt.Sprintf("%s of %s, free at %s", some(s.Slots, "slot"), s.Remote, moment.Of(s.Until)))
	}
	if a.Groups > 0 {
		free := "at"
		if a.GroupsFree {
			free = "since"
		}
		held = append(held, fmt.Sprintf("%s claimed, free %s %s", some(a.Groups, "group"), free, moment.Of(a.GroupsUntil)))
	}
	all := strings.Join(held, "; ")
	if a.Unseen == 0 {
		return fmt.Sprintf("process %s has claims and makes no calls; if it is dead they come free by themselves: %s", a.Process, all)
	}
	return fmt.Sprintf("process %s has not been seen for %s; what it held comes free by itself: %s", a.Process, moment.Span(a.Unseen), all)
}

func some(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Absent lists processes that were killed, as far as can be told: they renew
// their slots no more, or have claims that are too old for one who holds none.
// What they hold others can't have yet.
func (e *Engine) Absent(ctx context.Context) ([]Absent, error) {
	seen := map[string]bool{} // holds slots, and renews them
	found := map[string]*Absent{}
	for _, r := range e.remotes {
		holders, err := e.db.Holders(ctx, r.Name)
		if err != nil {
			return nil, err
		}
		for _, h := range holders {
			since, gone := sinceRenewed(h)
			if !gone {
				seen[h.Holder] = true
				continue
			}
			a := found[h.Holder]
			if a == nil {
				a = &Absent{Process: h.Holder, Unseen: since}
				found[h.Holder] = a
			}
			a.Unseen = min(a.Unseen, since)
			if h.Slots > 0 {
				a.Slots = append(a.Slots, HeldSlots{Remote: r.Name, Slots: h.Slots, Until: h.Until})
			}
		}
	}
	if err := e.absentClaims(ctx, seen, found); err != nil {
		return nil, err
	}
	var out []Absent
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if a := found[name]; !seen[name] && len(a.Slots)+a.Groups > 0 {
			out = append(out, *a)
		}
	}
	return out, nil
}

// sinceRenewed is for how long a holder of slots has not renewed them, and whether it is
// taken for gone. One that makes calls in what is left over renews with each call.
func sinceRenewed(h store.Holder) (since time.Duration, gone bool) {
	since = slotTTL - h.Left
	return since, since >= absentAfter && !strings.HasPrefix(h.Holder, store.Spare)
}

// absentClaims adds what those have claimed that are not seen. One that has no
// slots may load, translate and wait for some before it is thought of.
func (e *Engine) absentClaims(ctx context.Context, seen map[string]bool, found map[string]*Absent) error {
	groups, err := e.db.Groups(ctx, "", Claimed, ID{}, claimsMost)
	if err != nil || len(groups) == 0 {
		return err
	}
	vitals, err := e.db.Vitals(ctx, longTransaction)
	if err != nil {
		return err
	}
	busy := e.cfg.TranslateLimit + slotPatience + absentAfter
	for _, g := range groups {
		if seen[g.Holder] || g.LeaseUntil.IsZero() { // those of a bulk job have no lease
			continue
		}
		a := found[g.Holder]
		if a == nil {
			if e.cfg.Lease-g.LeaseUntil.Sub(vitals.Now) < busy {
				continue
			}
			a = &Absent{Process: g.Holder}
			found[g.Holder] = a
		}
		a.Groups++
		if g.LeaseUntil.After(a.GroupsUntil) {
			a.GroupsUntil, a.GroupsFree = g.LeaseUntil, !g.LeaseUntil.After(vitals.Now)
		}
	}
	return nil
}

// holder says of a group that is claimed that its holder seems to have died, and
// what becomes of it then.
func (x *Explanation) holder(ctx context.Context, e *Engine) error {
	if x.Group == nil || x.Group.State != Claimed || x.Job != nil {
		return nil
	}
	absent, err := e.Absent(ctx)
	for _, a := range absent {
		switch {
		case a.Process != x.Group.Holder || a.Groups == 0:
		case a.Unseen > 0:
			x.Why += "; that process has not been seen for " + moment.Span(a.Unseen) + ", and another one takes the group then"
		default:
			x.Why += "; that process makes no calls: if it is dead, another one takes the group then"
		}
	}
	return err
}

// absentFindings tells them to [Engine.Doctor].
func absentFindings(absent []Absent) []Finding {
	var found []Finding
	for _, a := range absent {
		found = append(found, Finding{Severity: Warning, Subject: "processes", Message: a.String(),
			Fix: "start it again if it is to run; nothing else is needed"})
	}
	return found
}
