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
// Of a sync that delivers every version it drops the oldest command that waits, which
// was refused or waits for another record, and returns it. Where none waits, and of a
// sync that delivers the latest state, the record stays as it is at the remote: when a
// worker comes to the group it compares as always, sends nothing, and the group is
// [Skipped]. What was refused goes again when it changes, what else changes goes as
// always, and all of it when the record is forced ([Resync].Force). The Command is then
// the zero value. [Engine.Retry] takes it back until a worker has come.
//
// It is [ErrNothingToSkip] for a group that is not parked, that was touched
// meanwhile, that has no record, or of which it can't be said what was refused,
// [ErrClaimed] while a worker is at the group, and [ErrNoGroup] for one that
// is not in the registry.
func (e *Engine) Skip(ctx context.Context, sync, key string) (Command, error) {
	id, err := e.group(ctx, sync, key)
	if err != nil {
		return Command{}, err
	}
	if err := e.intervene(ctx, Intervention{Did: "skip", Sync: id.Sync, Key: id.Key}); err != nil {
		return Command{}, err
	}
	if e.byName[id.Sync].Deliver == Every {
		stuck, err := e.stuckVersion(ctx, id)
		if err != nil {
			return Command{}, err
		}
		if stuck != nil {
			c, err := e.db.SkipCommand(ctx, id, stuck.Number)
			if errors.Is(err, store.ErrNoCommand) {
				err = fmt.Errorf("%w: %s was retried meanwhile; look again", ErrNothingToSkip, id)
			}
			c.Payload = nil
			return c, err
		}
	}
	return Command{}, e.leaveAsIs(ctx, id)
}

// stuckVersion is the oldest version of a group where that was refused, or waits for
// a person or another record; nil where no version waits. One that goes by itself
// nobody has refused.
func (e *Engine) stuckVersion(ctx context.Context, id ID) (*Command, error) {
	g, err := e.db.Group(ctx, id)
	if err != nil {
		return nil, err
	}
	waiting, err := e.db.WaitingCommands(ctx, id, 1)
	if err != nil || len(waiting) == 0 {
		return nil, err
	}
	oldest := waiting[0]
	refused := g.State == store.Parked && (oldest.Refused != "" || g.Reason == store.DeleteHeld)
	switch {
	case g.State == store.Claimed:
		return nil, fmt.Errorf("%w: %s", store.ErrClaimed, id)
	case !refused && g.State != store.Waiting:
		return nil, fmt.Errorf("%w: of %s nobody has refused the oldest version that waits (command %d), and it goes by itself", ErrNothingToSkip, id, oldest.Number)
	}
	return &oldest, nil
}

// leaveAsIs has the state of a parked group left out: what is to be sent of it now,
// by its digest, so that nothing is left that has changed by the time a worker comes.
// All that was committed until now is folded first: a group that it has touched is
// not parked any more, as what is new was not refused.
func (e *Engine) leaveAsIs(ctx context.Context, id ID) error {
	nothing := func(why string, args ...any) error {
		return fmt.Errorf("%w: "+why, append([]any{ErrNothingToSkip}, args...)...)
	}
	g, err := e.db.Group(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case g.State == store.Claimed: // what was refused is tried again now and then
		return fmt.Errorf("%w: %s", store.ErrClaimed, id)
	case g.State != store.Parked:
		return nothing("%s is %s; only what was refused can be left out", id, g.State)
	case g.Reason == store.DeleteHeld:
		return nothing("%s: %s %s", id, g.Reason, id.Sync)
	case g.RemoteID == "":
		return nothing("%s has no record at the remote that could be left as it is; mend its data, or leave its row out with when", id)
	case g.InDoubtUntil.After(e.cfg.Clock.Now()):
		return nothing("%s: an earlier request may still be applied, until %s; try again then", id, moment.Of(g.InDoubtUntil))
	}
	d := e.byName[id.Sync]
	state, err := e.db.Sync(ctx, id.Sync)
	if err != nil {
		return err
	}
	if other := uninstalled(d, state); other != nil {
		return fmt.Errorf("sync %q: %w", id.Sync, other)
	}
	j, err := e.rehearse(ctx, d, claimOf(*g))
	if err != nil {
		return err
	}
	if j.goal != absent && j.record.Fields == nil {
		return nothing("%s: what its record is to be can't be made of its rows now, so there is nothing to go by; mend that first: %s", id, j.result.Reason)
	}
	if err := e.foldAll(ctx); errors.Is(err, errUnfolded) {
		return nothing("%s: %w", id, err)
	} else if err != nil {
		return err
	}
	done, err := e.db.Skip(ctx, id, j.whole(), "to be left as it is at the remote, refused as: "+g.Reason)
	if err == nil && !done {
		err = nothing("%s was touched or retried meanwhile; look again", id)
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

// left are the fields that are left as they are at the remote, of a job that went as
// far as compare: also when no worker has noted it yet.
func (j *job) left() []string {
	if j.skips() && j.done && j.goal != absent {
		return j.digests.Left
	}
	known, _ := parseDigests(j.claim.Digests)
	return known.Left
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

// leftText says what of a group's record is left as it is at the remote.
func (d digests) leftText() string {
	if len(d.Left) > 0 {
		return "of its record is left as it is at the remote: " + strings.Join(d.Left, ", ")
	}
	return "its record stays, though it is to be deleted"
}

// skipped says of a group what is left as it is, and what sends it.
func (x *Explanation) skipped() string {
	return fmt.Sprintf("skipped: %s (upkeep skip); it goes when it changes, or with: upkeep resync %s --force", x.Group.Reason, x.ID.Args())
}
