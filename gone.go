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

// goneFindings are one for each sync with records whose rows nobody saw go,
// which stand the newest first.
func goneFindings(gone []Missed) (findings []Finding) {
	var syncs []string
	for _, m := range gone {
		if !slices.Contains(syncs, m.Sync) {
			syncs = append(syncs, m.Sync)
		}
	}
	slices.Sort(syncs)
	for _, sync := range syncs {
		own := slices.DeleteFunc(slices.Clone(gone), func(m Missed) bool { return m.Sync != sync })
		findings = append(findings, Finding{Severity: Problem, Subject: sync,
			Message: fmt.Sprintf("rows are not there, and no trigger saw them go: %d, found until %s, such as %s; their records are left alone, and their groups parked", len(own), moment.Of(own[0].At), own[0].ID),
			Fix: "rows go unseen with DETACH PARTITION and DROP TABLE, while triggers are off, in a restore, or behind row-level security; if they were deleted, see what is parked with upkeep status " + sync +
				" --state parked, and say how many: upkeep resync " + sync + " --deleted --missing N"})
	}
	return findings
}

// parkedUnseen says whether groups of a sync are parked since nobody saw their rows
// go, as far as a look at some shows.
func (e *Engine) parkedUnseen(ctx context.Context, c Counts) (bool, error) {
	if c.Parked == 0 {
		return false, nil
	}
	groups, err := e.db.Groups(ctx, c.Sync, store.Parked, "", maxRecord)
	return slices.ContainsFunc(groups, func(g Group) bool { return strings.HasPrefix(g.Reason, unseen) }), err
}

// resyncMissing takes the deletion of the rows of all groups as observed that
// are parked since nobody saw it, if they are as many as a person says.
func (e *Engine) resyncMissing(ctx context.Context, sync string, want int) error {
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
	for after := ""; ; {
		groups, err := e.db.Groups(ctx, sync, store.Parked, after, maxRecord)
		if err != nil {
			return err
		}
		if len(groups) == 0 {
			break
		}
		after = groups[len(groups)-1].Key
		gone, err := e.rowsGone(ctx, sync, groups)
		if err != nil {
			return err
		}
		touches = append(touches, gone...)
	}
	if len(touches) != want {
		return fmt.Errorf("%s: of the groups that are parked since their row is gone, and nobody saw it go, there are %d, not %d; nothing was changed: look at them with upkeep status %s --state parked, and say how many you mean", sync, len(touches), want, sync)
	}
	return e.db.Append(ctx, nil, touches)
}

// rowsGone are touches, as deleted, of those groups that are parked since their
// row was not there, and whose row still is not.
func (e *Engine) rowsGone(ctx context.Context, sync string, parked []Group) ([]store.Touch, error) {
	var keys []string
	for _, g := range parked {
		if strings.HasPrefix(g.Reason, unseen) {
			keys = append(keys, g.Key)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	found, err := e.db.Load(ctx, e.shape(sync), keys)
	if err != nil {
		return nil, fmt.Errorf("look for the rows: %w", err)
	}
	var gone []store.Touch
	for _, key := range keys {
		if _, there := found[key]; !there {
			gone = append(gone, store.Touch{ID: store.ID{Sync: sync, Key: key}, Deleted: true})
		}
	}
	return gone, nil
}
