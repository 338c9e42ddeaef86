package upkeep

import (
	"fmt"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// why is the sentence that says in what state it is, and why.
func (x *Explanation) why(d *definition, j *job, now time.Time) string {
	g := x.Group
	if g == nil {
		if x.Composite == nil {
			return fmt.Sprintf("%s has no row with this key, and nothing is known of it", d.From.Table)
		}
		if d.ByHand {
			return "not registered: this sync's groups are registered by hand"
		}
		s := "not in the registry yet: the backfill has not come to it, or its touch is not folded yet"
		if x.Send == "refuse" {
			s += "; it would be refused: " + j.result.Reason
		}
		return s
	}
	if j.departed {
		return string(g.State) + ": the row is gone (deleted, or its key changed); the delete is in the log and not folded yet"
	}
	if x.Send == "refuse" && g.State.Settled() {
		return "clean as far as the triggers saw, but: " + j.result.Reason
	}
	switch g.State {
	case store.Parked:
		return x.parked(j)
	case store.Skipped:
		return x.skipped()
	case store.Waiting:
		s := "waiting for the record of " + joinIDs(g.WaitsFor) + ", which is not at the remote"
		if g.RemoteID != "" && g.SyncedAt.IsZero() {
			s = "waiting: " + g.Reason
		}
		if r := root(x.Chain); r != nil {
			s += "; " + r.String()
		}
		return s
	case store.InDoubt:
		return x.doubt(now)
	case store.Claimed:
		if x.Job != nil {
			return "in " + describeJob(*x.Job)
		}
		return "claimed by " + g.Holder + " until " + moment.Of(g.LeaseUntil)
	case store.Dirty:
		return x.dirty(j)
	case store.Gone:
		if x.Composite == nil {
			return "gone: the row is gone (deleted, or its key changed), and so is its record"
		}
		if j.goal != present {
			return "not at the remote: when is false"
		}
		return "gone: its record is not at the remote"
	}
	return x.clean(j)
}

// held is what keeps anything from being sent, whatever its own state is.
func (x *Explanation) held() string {
	if x.Paused != nil && x.Send != "nothing" {
		return describePause(*x.Paused)
	}
	goes := x.Send == "create" || x.Send == "update" || x.Send == "delete"
	if goes && x.Group != nil && x.Group.State != store.Parked && x.Job == nil {
		return x.Remote.Trouble()
	}
	return ""
}

// dirty says what made it so, what keeps it, and when it is tried again.
func (x *Explanation) dirty(j *job) string {
	g := x.Group
	s := "dirty: " + describeCause(g.Cause)
	if len(x.Commands) > 0 {
		s = fmt.Sprintf("dirty: %s wait, the oldest is command %d", some(len(x.Commands), "version"), x.Commands[0].Number)
		if x.Commands[0].Deleted {
			s += ", the deletion of its row"
		}
	}
	if g.Skip != nil && x.Send == "nothing" {
		s += "; what was refused is left as it is (upkeep skip)"
	}
	if x.Send == "wait" {
		s += "; " + j.result.Reason
	} else if x.Send == "refuse" {
		s += "; as it is now it is refused: " + j.result.Reason
	} else if g.Reason != "" {
		s += "; last try: " + g.Reason
	}
	if g.Attempts > 0 {
		s += fmt.Sprintf("; tried %d times, next %s", g.Attempts, moment.Of(g.DueAt))
	}
	return s
}

// clean says what the remote has.
func (x *Explanation) clean(j *job) string {
	if len(x.Missing) > 0 {
		var gone []string
		for _, id := range x.Missing {
			gone = append(gone, id.String())
		}
		return "clean: the remote has what was sent, and the record that it refers to has gone since: " + strings.Join(gone, ", ") + "; it waits for that once its own rows change, or at once with: upkeep resync " + x.Group.Args()
	}
	if j.goal == kept && x.Composite != nil && (j.claim.Forced || j.claim.InDoubt) {
		return "clean: when is false, and its record is kept as it was; what the remote has is not certain, so all of it is sent when the row passes again"
	}
	if j.goal == kept && x.Composite != nil {
		return "clean: when is false, and its record is kept as it was"
	}
	return "clean: the remote has acknowledged what the database says; last touched by " + describeCause(x.Group.Cause)
}

// parked says why, and what lets it go again.
func (x *Explanation) parked(j *job) string {
	g := x.Group
	if len(x.Commands) > 0 && x.Commands[0].Refused != "" {
		later := ""
		if n := len(x.Commands) - 1; n > 0 {
			later = fmt.Sprintf("later versions (%d) wait for it; ", n)
		}
		return fmt.Sprintf("parked: %[1]s; %[2]stry it again with: upkeep retry %[3]s, or leave it out with: upkeep skip %[3]s", g.Reason, later, g.Args())
	}
	later := ""
	if n := len(x.Commands) - 1; n > 0 {
		later = fmt.Sprintf("; later versions (%d) wait behind the deletion: to leave out only that, and let them go: upkeep skip %s", n, g.Args())
	}
	if g.Reason == store.DeleteHeld && j.def.DeleteLimit < 0 {
		return fmt.Sprintf("parked: %s; the sync has no limit any more, and what was held before stays held until somebody says so: upkeep deletes %s --allow N, or for this one upkeep retry %s%s", g.Reason, g.Sync, g.Args(), later)
	}
	if g.Reason == store.DeleteHeld {
		return fmt.Sprintf("parked: %s %s --allow N, where N is how many that command says are held (upkeep retry would only park it again)%s", g.Reason, g.Sync, later)
	}
	s := "parked: " + strings.TrimSuffix(g.Reason, ".") + "; it goes again when its data or its mapping changes, or with: upkeep retry " + g.Args()
	if g.RemoteID != "" && len(x.Commands) == 0 && (x.Record != nil || x.Send == "delete") {
		s += "; to leave it as it is there: upkeep skip " + g.Args()
	}
	return s
}

// doubt says what is in doubt, until when, and what happens then.
func (x *Explanation) doubt(now time.Time) string {
	g := x.Group
	if !g.InDoubtUntil.After(now) {
		return fmt.Sprintf("in doubt: %s; since %s nothing of before can be applied any more, and what may have been written is sent once more as soon as a process works for its remote", orElse(g.Reason, "a call's outcome was unknown"), moment.Of(g.InDoubtUntil))
	}
	until := moment.Of(g.InDoubtUntil)
	what := "an earlier request"
	for _, a := range x.Attempts {
		if a.Outcome == connector.Unknown.String() && a.Action != "find" { // which writes nothing
			what = fmt.Sprintf("the %s of %s", a.Action, moment.Of(a.At))
			break
		}
	}
	if g.SyncedGeneration >= g.Generation {
		return fmt.Sprintf("in doubt until %s: the remote has acknowledged what the database says, but the outcome of %s is unknown: it may still be applied, over what is there; at that time what it may have written is sent once more, and the record is clean then", until, what)
	}
	return fmt.Sprintf("in doubt until %s: %s; %s may still be applied; the record may be tried again before that, and what may have been written is sent once more when the time is over", until, orElse(g.Reason, "a call's outcome is unknown"), what)
}

func describePause(p Pause) string {
	kind, name := p.Subject()
	s := kind + " " + name + " is paused since " + moment.Of(p.Since)
	if p.Reason != "" {
		s += " (" + p.Reason + ")"
	}
	return s
}

func describeCause(c store.Cause) string {
	if means := c.Means(); means != "" {
		return c.Op + " (" + means + ")"
	}
	if c.Table == "" {
		return orElse(c.Op, "an unknown touch")
	}
	s := c.Op + " of " + c.Table
	if c.Key != "" {
		s += " " + c.Key
	}
	if len(c.Columns) > 0 {
		s += " (" + strings.Join(c.Columns, ", ") + ")"
	}
	if !c.At.IsZero() {
		s += " at " + moment.Of(c.At)
	}
	if c.Tx != "" {
		s += ", transaction " + c.Tx
	}
	return s
}

func joinIDs(ids []store.ID) string {
	s := make([]string, len(ids))
	for i, id := range ids {
		s[i] = id.String()
	}
	return strings.Join(s, ", ")
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
