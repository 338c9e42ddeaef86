package upkeep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// goneFindings are one for each sync with records whose rows nobody saw go: those
// that are parked, and those that audits have found, the newest first, and no worker
// has come to yet. What a person has settled since is no finding any more.
func (e *Engine) goneFindings(ctx context.Context, status *Status, found []Missed) (findings []Finding, err error) {
	for _, c := range status.Syncs {
		gone, example := c.Unseen, ""
		seen := map[string]bool{} // a group may be found again
		for _, m := range found {
			if m.Sync != c.Sync || seen[m.Key] {
				continue
			}
			seen[m.Key] = true
			parked, still, err := e.stillGone(ctx, m)
			if err != nil {
				return findings, err
			}
			if still && example == "" {
				example = fmt.Sprintf(", found until %s, such as %s", moment.Of(m.At), m.ID)
			}
			if still && !parked {
				gone++
			}
		}
		if gone == 0 {
			continue
		}
		findings = append(findings, Finding{Severity: Problem, Subject: c.Sync,
			Message: fmt.Sprintf("rows are not there, and no trigger saw them go: %d%s; their records are left alone, and their groups parked", gone, example),
			Fix: "rows go unseen with DETACH PARTITION and DROP TABLE, while triggers are off, in a restore, or behind row-level security; if they were deleted, see what is parked with upkeep status " + c.Sync +
				" --state parked, and say how many: upkeep resync " + c.Sync + " --deleted --missing N"})
	}
	return findings, nil
}

// stillGone says whether a group that an audit found to be without its row is so
// still: it is parked for that, or neither a worker nor a change of its row has come
// to it since.
func (e *Engine) stillGone(ctx context.Context, m Missed) (parked, still bool, err error) {
	g, err := e.db.Group(ctx, m.ID)
	switch {
	case errors.Is(err, store.ErrNoGroup):
		return false, false, nil
	case err != nil:
		return false, false, err
	case g.State == store.Parked:
		return true, strings.HasPrefix(g.Reason, store.DeletionUnseen), nil
	}
	changed := g.TouchedAt.After(m.At) && g.Cause.Means() == ""
	return false, !g.DeleteSeen && !changed && !g.SyncedAt.After(m.At), nil
}

// resyncMissing takes the deletion of the rows of all groups as observed that
// are parked since nobody saw it, if they are as many as a person says.
func (e *Engine) resyncMissing(ctx context.Context, r Resync) error {
	sync, want := r.Sync, r.Missing
	if sync == "" || want < 1 {
		return errors.New("resync of deleted rows needs the sync, and the key of one group or the number of all that are parked since their row is gone (Missing)")
	}
	if _, err := e.definition(sync); err != nil {
		return err
	}
	if err := e.ready(ctx); err != nil {
		return err
	}
	var touches []store.Touch
	for after := (ID{}); ; {
		groups, err := e.db.Groups(ctx, sync, store.Parked, after, maxRecord)
		if err != nil {
			return err
		}
		if len(groups) == 0 {
			break
		}
		after = groups[len(groups)-1].ID
		gone, err := e.rowsGone(ctx, sync, groups)
		if err != nil {
			return err
		}
		touches = append(touches, gone...)
	}
	if len(touches) != want {
		return fmt.Errorf("%s: of the groups that are parked since their row is gone, and nobody saw it go, there are %d, not %d; nothing was changed: look at them with upkeep status %s --state parked, and say how many you mean", sync, len(touches), want, sync)
	}
	if err := e.intervene(ctx, r.intervention("")); err != nil {
		return err
	}
	return e.db.Append(ctx, nil, touches)
}

// rowsGone are touches, as deleted, of those groups that are parked since their
// row was not there, and whose row still is not.
func (e *Engine) rowsGone(ctx context.Context, sync string, parked []Group) ([]store.Touch, error) {
	var keys []string
	for _, g := range parked {
		if strings.HasPrefix(g.Reason, store.DeletionUnseen) {
			keys = append(keys, g.Key)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	var gone []store.Touch
	for len(keys) > 0 {
		found, rest, err := e.db.Load(ctx, e.shape(sync), keys)
		if err != nil {
			return nil, fmt.Errorf("look for the rows: %w", err)
		}
		for _, key := range keys {
			if _, there := found[key]; !there && !slices.Contains(rest, key) {
				gone = append(gone, store.Touch{ID: store.ID{Sync: sync, Key: key}, Deleted: true})
			}
		}
		keys = rest
	}
	return gone, nil
}
