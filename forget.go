package upkeep

import (
	"context"
	"errors"
	"fmt"

	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Forget says of which group nothing is to be known any more.
type Forget struct {
	Sync, Key string
	// Kept is for a record that stays at the remote, as an [Ending] of the sync has it:
	// if its row ever comes back, another one may be made.
	Kept bool
}

// Forget erases what the registry has of a group whose row and whose record are gone:
// the group, its history, and its key in what was done by hand, which is noted as that of
// no group from then on. All that was committed until now is folded first, so that
// nothing brings it back. Of a sync that left the configuration whatever is gone is
// forgotten, too. Without this it is forgotten after [Config.History], but for what was
// done by hand.
//
// It is [ErrNotGone] where the row is there, or without [Forget].Kept the record, while
// something is still to be done, or another group refers to it; [ErrClaimed] while a
// worker is at the group, [ErrNoGroup] where nothing is known, and [ErrNoSync] of a sync
// that was never installed.
func (e *Engine) Forget(ctx context.Context, f Forget) error {
	id, err := e.forgettable(ctx, f)
	if err != nil {
		return err
	}
	if err := e.gone(ctx, id, f.Kept); err != nil {
		return err
	}
	what := "a group that is gone"
	if f.Kept {
		what += ", but for its record"
	}
	if err := e.intervene(ctx, Intervention{Did: "forget", Sync: id.Sync, Detail: what}); err != nil {
		return err
	}
	done, by, err := e.db.Forget(ctx, id, f.Kept)
	switch {
	case err != nil || done:
		return err
	case by != ID{}:
		return fmt.Errorf("%w: %s still refers to %s, or waits for it", ErrNotGone, by, id)
	}
	if err := e.gone(ctx, id, f.Kept); err != nil { // it was touched meanwhile
		return err
	}
	if _, err := e.db.Group(ctx, id); err != nil {
		return err
	}
	return fmt.Errorf("%w: of %s a transaction from before its end may deliver one more version; try again in a day", ErrNotGone, id)
}

// forgettable is the group that is meant; an error, if its row is there. Of a sync that
// left the configuration there is no telling, and nothing is sent.
func (e *Engine) forgettable(ctx context.Context, f Forget) (ID, error) {
	if _, err := e.definition(f.Sync); err != nil {
		known, readErr := e.db.Sync(ctx, f.Sync)
		if readErr != nil {
			return ID{}, readErr
		}
		if f.Sync == "" || known.Version == "" {
			return ID{}, err
		}
		return ID{Sync: f.Sync, Key: f.Key}, nil
	}
	id, err := e.group(ctx, f.Sync, f.Key)
	if err != nil {
		return id, err
	}
	return id, e.rowless(ctx, id)
}

// rowless is nil if there is no row, and no touch that is not folded yet.
func (e *Engine) rowless(ctx context.Context, id ID) error {
	found, _, err := e.db.Load(ctx, e.shape(id.Sync), []string{id.Key})
	if err != nil {
		return err
	}
	if _, there := found[id.Key]; there {
		return fmt.Errorf("%w: the row of %s is there; delete it first, and wait until its record is deleted, too", ErrNotGone, id)
	}
	err = e.foldAll(ctx)
	if errors.Is(err, errUnfolded) {
		err = fmt.Errorf("%w: %s: %w", ErrNotGone, id, err)
	}
	return err
}

// gone is nil if the group is, or is not in the registry; with kept its record may be
// there.
func (e *Engine) gone(ctx context.Context, id ID, kept bool) error {
	g, err := e.db.Group(ctx, id)
	switch {
	case errors.Is(err, store.ErrNoGroup):
		return nil
	case err != nil:
		return err
	case g.State == store.Claimed:
		return fmt.Errorf("%w: %s", store.ErrClaimed, id)
	case g.State == store.InDoubt:
		return fmt.Errorf("%w: an earlier request for %s may still be applied, until %s", ErrNotGone, id, moment.Of(g.InDoubtUntil))
	case g.State == store.Clean || g.State == store.Skipped:
		if kept && g.DeleteSeen {
			return nil
		}
		return fmt.Errorf("%w: the record of %s is at the remote (%s), and may be made twice if the row comes back; to forget it all the same: upkeep forget --kept", ErrNotGone, id, g.RemoteID)
	case g.State != store.Gone:
		return fmt.Errorf("%w: %s is %s; it can be forgotten when its record is gone", ErrNotGone, id, g.State)
	}
	return nil
}
