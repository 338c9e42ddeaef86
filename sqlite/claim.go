package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// postponements is how often one Claim looks again because what it found may
// not be handed out yet.
const postponements = 20

// Claim leases due groups. It looks without the write lock first, so that an
// idle worker is in nobody's way.
// It implements [store.Registry].
func (d *DB) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claim, error) {
	const what = "claim groups"
	if r.Limit <= 0 || len(r.Syncs) == 0 {
		return nil, nil
	}
	due := false
	err := d.view(ctx, what, func(tx *sql.Tx) error {
		found, err := dueGroups(ctx, tx, r, d.now(), 1)
		due = len(found) > 0
		return err
	})
	if err != nil || !due {
		return nil, err
	}
	var claims []store.Claim
	err = d.update(ctx, what, func(tx *sql.Tx) error {
		claims = nil
		now := d.now()
		for range postponements {
			found, err := dueGroups(ctx, tx, r, now, r.Limit-len(claims))
			if err != nil || len(found) == 0 {
				return err
			}
			postponed, err := postpone(ctx, tx, r, found, now)
			if err != nil {
				return err
			}
			got, err := lease(ctx, tx, r, found, now)
			if err != nil {
				return err
			}
			claims = append(claims, got...)
			if len(claims) >= r.Limit || !postponed {
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(claims, func(a, b store.Claim) int { return flag(a.Backfill) - flag(b.Backfill) })
	return claims, nil
}

// dueGroup is a group with something to do: to be claimed, its lease to be
// ended, its doubt to be settled.
type dueGroup struct {
	store.ID
	quiet   int64 // of its sync, in microseconds
	place   int
	epoch   int64
	expired bool // somebody's lease ran out
	held    bool // back, because it must not be handed out while in doubt
}

// dueGroups finds due groups, live ones first, then by due time. Each sync and
// lane is one range of the index.
func dueGroups(ctx context.Context, tx *sql.Tx, r store.ClaimRequest, now int64, limit int) ([]dueGroup, error) {
	var ranges []string
	args := []any{now, limit, r.Plan}
	for i, s := range r.Syncs {
		args = append(args, s.Sync)
		for lane := range 2 {
			if s.Lane == store.LiveLane && lane == 1 || s.Lane == store.BackfillLane && lane == 0 {
				continue
			}
			ranges = append(ranges, fmt.Sprintf(`SELECT * FROM (SELECT %[1]d AS i, sync, key, backfill, due_at, holder, in_doubt_until, remote_id, epoch
				FROM upkeep_groups WHERE sync = ?%[2]d AND backfill = %[3]d AND due_at <= ?1
					AND NOT EXISTS (SELECT 1 FROM upkeep_pauses WHERE kind = 'sync' AND name = ?%[2]d) ORDER BY due_at LIMIT ?2)`, i, len(args), lane))
		}
	}
	rows, err := tx.QueryContext(ctx, `SELECT i, sync, key, holder IS NOT NULL, coalesce(in_doubt_until, 0), remote_id IS NULL, epoch FROM (`+
		strings.Join(ranges, " UNION ALL ")+`)
		WHERE ?3 = '' OR ?3 = (SELECT value FROM upkeep_settings WHERE name = 'plan') ORDER BY backfill, due_at, key LIMIT ?2`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []dueGroup
	for rows.Next() {
		var g dueGroup
		var sync int
		var doubt int64
		var absent bool
		if err := rows.Scan(&sync, &g.Sync, &g.Key, &g.expired, &doubt, &absent, &g.epoch); err != nil {
			return nil, err
		}
		g.place = len(found)
		g.quiet = r.Syncs[sync].Quiet.Microseconds()
		if g.expired {
			doubt = max(doubt, now+g.quiet)
		}
		g.held = (r.Syncs[sync].Rest || r.Syncs[sync].HoldInDoubt && absent) && doubt > now
		found = append(found, g)
	}
	return found, rows.Err()
}

// listDue is the JSON of the groups that are, or are not, held back.
func listDue(found []dueGroup, held bool) (string, int, error) {
	list := [][]any{}
	for _, g := range found {
		if g.held == held {
			list = append(list, []any{g.Sync, g.Key, g.quiet})
		}
	}
	b, err := json.Marshal(list)
	return string(b), len(list), err
}

// postpone ends leases of groups that are held back, and makes them due when
// their doubt is over.
func postpone(ctx context.Context, tx *sql.Tx, r store.ClaimRequest, found []dueGroup, now int64) (bool, error) {
	list, n, err := listDue(found, true)
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE upkeep_groups SET
			epoch = epoch + (holder IS NOT NULL),
			in_doubt_until = CASE WHEN holder IS NOT NULL THEN max(coalesce(in_doubt_until, 0), ?2 + j.quiet) ELSE in_doubt_until END,
			due_at = CASE WHEN holder IS NOT NULL THEN max(coalesce(in_doubt_until, 0), ?2 + j.quiet) ELSE in_doubt_until END,
			holder = NULL, lease_until = NULL
		FROM (SELECT value->>0 AS s, value->>1 AS k, value->>2 AS quiet FROM json_each(?1)) AS j
		WHERE sync = j.s AND upkeep_groups.key = j.k`, list, now)
	return true, err
}

// settled is the condition that a group's doubt is over. An expired lease
// begins a new doubt.
const settled = `(holder IS NULL AND in_doubt_until <= ?2)`

// lift is by how much the first lease of a group raises it: above all groups that were
// forgotten, one of which may have had its key.
const lift = `CASE WHEN epoch = 0 THEN coalesce((SELECT max(forgotten) FROM upkeep_syncs), 0) ELSE 0 END`

// leaseSQL hands groups out. A doubt that is over is settled: the group is
// raised, and that generation is forced; it is noted as settled at it, unless it
// was forced already by something else.
const leaseSQL = `UPDATE upkeep_groups SET
		epoch = max(epoch + 1, ?2),
		in_doubt_until = CASE WHEN holder IS NOT NULL THEN max(coalesce(in_doubt_until, 0), ?2 + j.quiet)
			WHEN in_doubt_until <= ?2 THEN NULL ELSE in_doubt_until END,
		generation = CASE WHEN ` + settled + ` THEN generation + 1 ELSE generation + ` + lift + ` END,
		forced_generation = CASE WHEN ` + settled + ` THEN generation + 1 WHEN forced_generation > 0 THEN forced_generation + ` + lift + ` ELSE 0 END,
		deleted_generation = CASE WHEN deleted_generation > 0 THEN deleted_generation + ` + lift + ` ELSE deleted_generation END,
		settled_generation = CASE WHEN ` + settled + ` AND (forced_generation <= synced_generation OR forced_generation = settled_generation)
			THEN generation + 1 ELSE settled_generation END,
		cause = CASE WHEN ` + settled + ` AND generation = synced_generation THEN ?5 ELSE cause END,
		touched_at = CASE WHEN ` + settled + ` AND generation = synced_generation THEN ?2 ELSE touched_at END,
		dirty_since = CASE WHEN ` + settled + ` AND generation = synced_generation THEN ?2 ELSE dirty_since END,
		holder = ?3, lease_until = ?4, due_at = ?4
	FROM (SELECT value->>0 AS s, value->>1 AS k, value->>2 AS quiet FROM json_each(?1)) AS j
	WHERE sync = j.s AND upkeep_groups.key = j.k
	RETURNING sync, key, generation, epoch, forced_generation > synced_generation,
		forced_generation > synced_generation AND forced_generation <> settled_generation, in_doubt_until IS NOT NULL,
		deleted_generation > 0, granted, skip, skipped, backfill, coalesce(remote_id, ''), coalesce(external_id, ''), digests, attempts,
		coalesce(refs, ''), touched_at`

// lease leases the groups that are not held back.
func lease(ctx context.Context, tx *sql.Tx, r store.ClaimRequest, found []dueGroup, now int64) ([]store.Claim, error) {
	list, n, err := listDue(found, false)
	if err != nil || n == 0 {
		return nil, err
	}
	cause := causeJSON(store.Cause{Op: "settle", At: time.UnixMicro(now).UTC()})
	rows, err := tx.QueryContext(ctx, leaseSQL, list, now, r.Holder, now+r.Lease.Microseconds(), cause)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	place, before := map[store.ID]int{}, map[store.ID]int64{}
	for _, g := range found {
		place[g.ID], before[g.ID] = g.place, g.epoch
	}
	var claims []store.Claim
	for rows.Next() {
		var c store.Claim
		var refs string
		var touched sql.NullInt64
		if err := rows.Scan(&c.Sync, &c.Key, &c.Generation, &c.Epoch, &c.Forced, &c.Whole, &c.InDoubt, &c.DeleteSeen, &c.Granted, &c.Skip, &c.Skipped, &c.Backfill,
			&c.RemoteID, &c.ExternalID, &c.Digests, &c.Attempts, &refs, &touched); err != nil {
			return nil, err
		}
		if c.Refs, err = readIDs(refs); err != nil {
			return nil, err
		}
		c.TouchedAt, c.Before = timeAt(touched), before[c.ID]
		claims = append(claims, c)
	}
	slices.SortFunc(claims, func(a, b store.Claim) int { return place[a.ID] - place[b.ID] })
	return claims, rows.Err()
}

// idsJSON is a list of groups as the registry stores it.
func idsJSON(ids []store.ID) string {
	list := make([][2]string, len(ids))
	for i, id := range ids {
		list[i] = [2]string{id.Sync, id.Key}
	}
	b, _ := json.Marshal(list) // strings can always be encoded
	return string(b)
}

// readIDs undoes idsJSON.
func readIDs(s string) ([]store.ID, error) {
	if s == "" {
		return nil, nil
	}
	var list [][2]string
	if err := json.Unmarshal([]byte(s), &list); err != nil {
		return nil, fmt.Errorf("stored references: %w", err)
	}
	var ids []store.ID
	for _, p := range list {
		ids = append(ids, store.ID{Sync: p[0], Key: p[1]})
	}
	return ids, nil
}
