package upkeep

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// attendance is a remote that none can be. Each process that is at work holds one of
// its slots, so that who looks knows of it also while it makes no calls.
const attendance = ""

// attendFor is for how long a process counts as at work after it was last seen: care
// is taken every [careEvery], and may take a while.
const attendFor = 3 * careEvery

// attend notes that this process is at work.
func (e *Engine) attend(ctx context.Context) error {
	_, _, err := e.db.Hold(ctx, attendance, e.cfg.Name, store.Ask{Slots: 1, Limit: math.MaxInt32, TTL: attendFor})
	return err
}

// leave notes that this process has stopped, and fails at nothing any more. What can't be
// noted ends by itself.
func (e *Engine) leave(ctx context.Context) {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, _, _ = e.db.Hold(end, attendance, e.cfg.Name, store.Ask{Limit: math.MaxInt32, TTL: attendFor})
	for _, stage := range []string{folding, loading, caring} {
		_ = e.db.NoteWell(end, stage, e.cfg.Name)
	}
}

// atWork lists the processes that are at work, by name.
func atWork(ctx context.Context, db Database) ([]string, error) {
	holders, err := db.Holders(ctx, attendance)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(holders))
	for i, h := range holders {
		names[i] = h.Holder
	}
	return names, nil
}

// unattended adds to why a group is not at the remote that nobody is there to bring it.
func (x *Explanation) unattended(ctx context.Context, e *Engine) error {
	dirty := x.Group != nil && x.Group.State == Dirty
	behind := (x.Group == nil || x.Group.State.Settled()) && x.Send != "nothing" && x.Send != "refuse"
	if !dirty && !behind {
		return nil
	}
	if e.running.Load() { // and may not have noted it yet
		return nil
	}
	names, err := atWork(ctx, e.db)
	if err == nil && len(names) == 0 {
		x.Why += "; " + nobody + ": start upkeep run"
	}
	return err
}

// Unattended says what there is to be done while no process is at work that would do
// it; empty: one is, or there is nothing to do.
func (s *Status) Unattended() string {
	if len(s.Processes) > 0 {
		return ""
	}
	var dirty int64
	var passes, waits []string
	for _, c := range s.Syncs {
		dirty += c.Dirty
		if c.Backfill.Running {
			passes = append(passes, c.Sync)
		}
	}
	if s.OldestTouch > oldTouch {
		waits = append(waits, "to look at "+some(s.Pending, "change"))
	}
	if dirty > 0 {
		waits = append(waits, "to send "+some(int(dirty), "group"))
	}
	if len(passes) > 0 {
		waits = append(waits, "to pass over the rows of "+strings.Join(passes, " and "))
	}
	if len(waits) == 0 {
		return ""
	}
	return nobody + " " + strings.Join(waits, ", ")
}

const nobody = "no process is at work"
