package upkeep

import (
	"context"
	"fmt"
)

// untouched is why the record of a clean group may differ though no touch of it
// is anywhere.
const untouched = "clean, and yet not what the rows say: nothing has touched it, and the log has no touch either. " +
	"Either a change was missed (a trigger that was off), or what makes the record says something else of the same rows each time: " +
	"Translate, When or an SQL function that reads the clock, another table or a map in no order. Which fields, and of which columns, and to send them: upkeep audit "

// ahead says whether something would be sent of a group that counts as up to date.
func (x *Explanation) ahead() bool {
	return x.Group != nil && x.Group.State.Settled() &&
		(x.Send == "create" || x.Send == "update" || x.Send == "delete")
}

// behind says why such a group is not dirty. It is empty when the group was
// touched while it was looked at. What was committed before its rows were loaded
// is in the log, or was folded before the group is read again.
func (e *Engine) behind(ctx context.Context, d *definition, g *Group) (string, error) {
	state, err := e.db.Sync(ctx, d.Name)
	if err != nil {
		return "", err
	}
	pending, err := e.db.Pending(ctx, PendingMost)
	if err != nil {
		return "", err
	}
	now, err := e.db.Group(ctx, g.ID)
	switch {
	case err != nil:
		return "", err
	case now.Generation != g.Generation || now.State != g.State:
		return "", nil
	case state.Version != d.version:
		return "behind: its declaration is not the one that is installed: see the difference with upkeep plan, install it with upkeep apply", nil
	case state.Backfill.Running:
		return "behind: a backfill or a sweep was asked for, and has not come to it yet", nil
	case pending > 0:
		return fmt.Sprintf("behind: the rows say something else than the remote has, and touches wait in the log (%d) that are not folded yet", pending), nil
	}
	return untouched + g.Sync, nil
}
