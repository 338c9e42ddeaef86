package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A key that the application's index takes may be too long for ours, which have
// the sync's name beside it: its row can have no group, and holds no other. The
// statements that make groups leave long keys out and answer them; those that our
// indexes take, since they can be made shorter there, get their groups after
// that. Of a sync that has met others, upkeep.syncs.overlong_at says so.

// short is the SQL of whether the text of a sync's key is surely taken.
func short(s *store.Shape, key string) string {
	return fmt.Sprintf("octet_length(%s) <= %d", key, longestGroup-len(s.Sync))
}

// grouped is the SQL of whether there is a group of the sync $1 with a key, else
// NULL. It is no EXISTS: of that the planner may make a scan of all groups.
func grouped(key string) string {
	return "(SELECT true FROM upkeep.groups g WHERE g.sync = $1 AND g.key = " + key + ")"
}

// taken parts keys that are long into those that our indexes take, and others. It
// tries the widest of the indexes, and leaves nothing there.
func taken(ctx context.Context, tx pgx.Tx, sync string, keys []string) (fit, overlong []string, err error) {
	for _, key := range keys {
		try, err := tx.Begin(ctx) // a savepoint
		if err != nil {
			return nil, nil, err
		}
		_, failed := try.Exec(ctx, `INSERT INTO upkeep.attempts (sync, key, at, epoch, action, outcome, status, message, fields, took_us)
			VALUES ($1, $2, upkeep.clock(), 0, '', '', 0, '', '{}', 0)`, sync, key)
		if err := try.Rollback(ctx); err != nil {
			return nil, nil, err
		}
		switch {
		case failed == nil:
			fit = append(fit, key)
		case code(failed) == "54000":
			overlong = append(overlong, key)
		default:
			return nil, nil, failed
		}
	}
	return fit, overlong, nil
}

// raiseLong raises what [folding.raise] has left out, and notes what can have no
// group. A touch by hand of such a key comes to nothing.
func (f *folding) raiseLong(ctx context.Context, tx pgx.Tx, s *store.Shape, sources []*source, long []string) error {
	fit, overlong, err := taken(ctx, tx, s.Sync, long)
	if err != nil {
		return err
	}
	if len(fit) > 0 {
		sql, args := resolve(s, sources, fit)
		var raised, saved int64
		if err := tx.QueryRow(ctx, sql, args...).Scan(&raised, &saved, nil, nil, nil, nil); err != nil {
			return err
		}
		f.add(s.Sync, raised, saved)
	}
	if len(overlong) == 0 {
		return nil
	}
	var ids []int64
	for _, o := range sources {
		if o.hand {
			ids = append(ids, o.ids...)
		}
	}
	rows, err := tx.Query(ctx, "SELECT DISTINCT key FROM upkeep.touch WHERE id = ANY($1) AND key = ANY($2)", ids, overlong)
	if err != nil {
		return err
	}
	byHand, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, key := range byHand {
		f.done.Unfit = append(f.done.Unfit, store.ID{Sync: s.Sync, Key: key})
	}
	if len(byHand) < len(overlong) && !slices.Contains(f.done.Overlong, s.Sync) {
		f.done.Overlong = append(f.done.Overlong, s.Sync)
	}
	return nil
}
