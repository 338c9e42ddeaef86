package upkeep

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Skip leaves out what the remote refuses of a parked group, notes that in the
// group's history, and lets the group go on.
//
// Of a sync that delivers every version it drops the oldest command that waits, and
// returns it. Where none waits, and of a sync that delivers the latest state, the
// record stays as it is at the remote: when a worker comes to the group it compares
// as always, sends nothing, and the group is [Skipped]. What was refused goes again
// when it changes, what else changes goes as always, and all of it when the record is
// forced ([Resync].Force). The Command is then the zero value.
//
// It is [ErrNotParked] for a group that is not parked, or that was touched
// meanwhile, and [ErrClaimed] while a worker is at a group with commands. Other
// errors say why there is nothing to leave: no record is there yet, or its
// representation can't be made.
func (e *Engine) Skip(ctx context.Context, sync, key string) (Command, error) {
	id, err := e.group(ctx, sync, key)
	if err != nil {
		return Command{}, err
	}
	if e.byName[id.Sync].Deliver == Every {
		c, err := e.db.SkipCommand(ctx, id)
		if !errors.Is(err, store.ErrNoCommand) {
			c.Payload = nil
			return c, err
		}
	}
	return Command{}, e.leaveAsIs(ctx, id)
}

// leaveAsIs has the state of a parked group left out: what is to be sent of it now,
// by its digest, so that nothing is left that has changed by the time a worker comes.
func (e *Engine) leaveAsIs(ctx context.Context, id ID) error {
	g, err := e.db.Group(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case g.State != store.Parked:
		return fmt.Errorf("%w: %s is %s; only what was refused can be left out", ErrNotParked, id, g.State)
	case g.Reason == store.DeleteHeld:
		return fmt.Errorf("%s: nothing was refused: %s %s", id, g.Reason, id.Sync)
	case g.RemoteID == "":
		return fmt.Errorf("%s has no record at the remote that could be left as it is; mend its data, or leave its row out with when", id)
	case g.InDoubtUntil.After(e.cfg.Clock.Now()):
		return fmt.Errorf("%s: an earlier request may still be applied, until %s; try again then", id, moment.Of(g.InDoubtUntil))
	}
	j, err := e.rehearse(ctx, e.byName[id.Sync], claimOf(*g))
	if err != nil {
		return err
	}
	switch send, _ := j.rehearsed(); send {
	case "refuse", "wait":
		return fmt.Errorf("%s: what its record is to be can't be made of its rows now, so there is nothing to go by; mend that first: %s", id, j.result.Reason)
	}
	done, err := e.db.Skip(ctx, id, j.whole(), "to be left as it is at the remote, refused as: "+g.Reason)
	if err == nil && !done {
		err = fmt.Errorf("%w: %s was touched or retried meanwhile; look again", ErrNotParked, id)
	}
	return err
}

// whole is a digest of all that the record is to be.
func (j *job) whole() []byte {
	sum := sha256.New()
	fmt.Fprintln(sum, j.goal)
	for _, name := range slices.Sorted(maps.Keys(j.digests.Fields)) {
		fmt.Fprintf(sum, "%q %x\n", name, j.digests.Fields[name])
	}
	return sum.Sum(nil)
}

// skips: a person has asked to leave what is to be sent as it is.
func (j *job) skips() bool {
	return j.claim.Skip != nil && bytes.Equal(j.claim.Skip, j.whole()) &&
		!j.claim.InDoubt && j.claim.RemoteID != "" && j.command == nil
}

// leave takes what would be sent as it is at the remote.
func (j *job) leave() {
	j.digests.Left = append(j.digests.Left, j.changed...)
	slices.Sort(j.digests.Left)
	j.changed = nil
	j.synced(j.claim.RemoteID)
}

// leftOf is what stays left of what was, where changed is sent.
func (d digests) leftOf(known digests, changed []string) (left []string) {
	for _, name := range known.Left {
		if _, there := d.Fields[name]; there && !slices.Contains(changed, name) {
			left = append(left, name)
		}
	}
	return left
}

// skipped says what a person has left as it is at the remote.
func (d digests) skipped() bool { return d.Stays || len(d.Left) > 0 }

// skipped says of a group's record what is left as it is, and what sends it.
func (x *Explanation) skipped() string {
	what := "its record stays, though it is to be deleted"
	if len(x.Left) > 0 {
		what = "of its record is left as it is at the remote: " + strings.Join(x.Left, ", ")
	}
	return fmt.Sprintf("skipped: %s (upkeep skip); it goes when it changes, or with: upkeep resync %s --force", what, x.ID.Args())
}
