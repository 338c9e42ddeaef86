package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// claiming reads the due groups of each sync and lane off the index of due_at,
// locks them past all that other workers have locked, and does to each what is
// to be done:
//   - a lease has run out: it ends, and the group is in doubt for quiet;
//   - the time of a doubt is over: generation+1, forced at that generation; it is
//     noted as settled at it, unless it was forced already by something else;
//   - dirty: leased, unless it is in doubt and nothing may be sent twice, or no
//     create; then it is due when the doubt is over;
//   - leased for the first time: raised above all groups that were forgotten, one of
//     which may have had its key.
//
// The clock is read once, as a subquery where it bounds the index scan. What is
// MATERIALIZED is so that its expressions are made ready once: the server would
// else put each of them in wherever it is used.
const claiming = `
WITH clock AS MATERIALIZED (SELECT upkeep.clock() AS now),
asked AS (
	SELECT * FROM unnest($3::text[], $4::bigint[], $5::boolean[], $7::boolean[], $8::boolean[]) AS a(sync, quiet_us, hold, lane, rest)
	WHERE NOT EXISTS (SELECT FROM upkeep.pauses p WHERE p.kind = 'sync' AND p.name = a.sync)
		AND ($9 = '' OR $9 = (SELECT ` + mark + ` FROM upkeep.settings WHERE one))
		AND ($10 = '' OR $10 = (SELECT plan FROM upkeep.settings WHERE one))),
due AS MATERIALIZED (
	SELECT d.*, a.hold, a.rest, clock.now,
		CASE WHEN d.held THEN greatest(d.in_doubt_until, clock.now + a.quiet_us * interval '1 microsecond')
			ELSE d.in_doubt_until END AS doubt_until
	FROM clock CROSS JOIN asked a CROSS JOIN (VALUES (false), (true)) AS lane(backfill)
	CROSS JOIN LATERAL (
		SELECT g.sync, g.key, g.backfill, g.due_at, g.holder IS NOT NULL AS held, g.in_doubt_until, g.generation,
			g.synced_generation, g.remote_id = '' AS unmade, g.epoch AS before
		FROM upkeep.groups g
		WHERE g.sync = a.sync AND g.backfill = lane.backfill AND lane.backfill = coalesce(a.lane, lane.backfill)
			AND g.due_at IS NOT NULL AND g.due_at <= (SELECT now FROM clock)
		ORDER BY g.due_at LIMIT $2 FOR UPDATE SKIP LOCKED) d),
settle AS MATERIALIZED (
	SELECT d.*, coalesce(d.doubt_until <= d.now, false) AS settled FROM due d),
wanted AS MATERIALIZED (
	SELECT s.*, CASE WHEN NOT s.settled THEN s.doubt_until END AS still, s.generation + s.settled::int AS next,
		s.generation + s.settled::int > s.synced_generation
			AND NOT (NOT s.settled AND s.doubt_until IS NOT NULL AND (s.rest OR s.hold AND s.unmade)) AS ready
	FROM settle s),
ranked AS (
	SELECT w.*, CASE WHEN w.ready AND w.before = 0 THEN (SELECT coalesce(max(forgotten), 0) FROM upkeep.syncs) ELSE 0 END AS lift,
		row_number() OVER (PARTITION BY w.ready ORDER BY w.backfill, w.due_at, w.sync, w.key) AS rank FROM wanted w),
claimed AS (
	UPDATE upkeep.groups g SET
		generation = r.next + r.lift,
		forced_generation = CASE WHEN r.settled THEN r.next WHEN g.forced_generation > 0 THEN g.forced_generation + r.lift ELSE 0 END,
		deleted_generation = CASE WHEN g.deleted_generation > 0 THEN g.deleted_generation + r.lift ELSE g.deleted_generation END,
		settled_generation = CASE WHEN r.settled AND (g.forced_generation <= g.synced_generation OR g.forced_generation = g.settled_generation)
			THEN r.next ELSE g.settled_generation END,
		cause = CASE WHEN r.settled THEN ROW(NULL, NULL, 'settle', NULL, NULL, r.now)::upkeep.cause ELSE g.cause END,
		dirty_since = CASE WHEN r.settled THEN coalesce(g.dirty_since, r.now) ELSE g.dirty_since END,
		in_doubt_until = r.still,
		-- Higher than in a registry that was restored to the past.
		epoch = CASE WHEN r.ready THEN greatest(g.epoch + 1, (extract(epoch FROM r.now) * 1000000)::bigint) ELSE g.epoch END,
		holder = CASE WHEN r.ready THEN $1 END,
		lease_until = CASE WHEN r.ready THEN r.now + $6 * interval '1 microsecond' END,
		due_at = CASE WHEN r.ready THEN r.now + $6 * interval '1 microsecond' ELSE r.still END
	FROM ranked r
	WHERE g.sync = r.sync AND g.key = r.key AND (NOT r.ready OR r.rank <= $2)
	RETURNING g.sync, g.key, g.generation, g.epoch, g.forced_generation > g.synced_generation AS forced,
		g.forced_generation > g.synced_generation AND g.forced_generation <> g.settled_generation AS whole,
		g.in_doubt_until IS NOT NULL AS in_doubt, g.deleted_generation > 0 AS deleted, g.granted, g.skip, g.skipped, g.backfill,
		g.remote_id, g.external_id, g.digests, g.attempts, g.refs,
		coalesce(g.touched_at, 'epoch') AS touched_at, r.before, r.ready, r.rank)
SELECT sync, key, generation, epoch, before, forced, whole, in_doubt, deleted, granted, skip, skipped, backfill, remote_id, external_id, digests,
	attempts, refs, touched_at
FROM claimed WHERE ready ORDER BY rank`

// Claim implements [store.Registry].
func (db *DB) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claim, error) {
	if r.Limit <= 0 || len(r.Syncs) == 0 {
		return nil, nil
	}
	syncs := make([]string, len(r.Syncs))
	quiet := make([]int64, len(r.Syncs))
	hold := make([]bool, len(r.Syncs))
	rest := make([]bool, len(r.Syncs))
	backfill := make([]*bool, len(r.Syncs)) // nil: both lanes
	for i, s := range r.Syncs {
		syncs[i], quiet[i], hold[i], rest[i] = s.Sync, s.Quiet.Microseconds(), s.HoldInDoubt, s.Rest
		if only := s.Lane == store.BackfillLane; s.Lane != store.BothLanes {
			backfill[i] = &only
		}
	}
	var claims []store.Claim
	err := db.again(ctx, func() error {
		return db.queryByKey(ctx, func(rows pgx.Rows) (err error) {
			claims, err = pgx.CollectRows(rows, scanClaim)
			return err
		}, claiming, r.Holder, r.Limit, syncs, quiet, hold, r.Lease.Microseconds(), backfill, rest, r.Mark, r.Plan)
	})
	if err == nil && len(claims) == 0 && r.Mark != "" { // nothing to do, or is it another registry?
		var now string
		err = db.pool.QueryRow(ctx, "SELECT "+mark+" FROM upkeep.settings WHERE one").Scan(&now)
		if err == nil && now != r.Mark {
			err = store.ErrMoved
		}
	}
	if err != nil {
		return nil, fmt.Errorf("claim: %w", installed(err))
	}
	return claims, nil
}

func scanClaim(row pgx.CollectableRow) (store.Claim, error) {
	var c store.Claim
	var refs []string
	err := row.Scan(&c.Sync, &c.Key, &c.Generation, &c.Epoch, &c.Before, &c.Forced, &c.Whole, &c.InDoubt, &c.DeleteSeen, &c.Granted, &c.Skip, &c.Skipped, &c.Backfill,
		&c.RemoteID, &c.ExternalID, &c.Digests, &c.Attempts, &refs, &c.TouchedAt)
	c.Refs, c.TouchedAt = idsOf(refs), c.TouchedAt.UTC()
	return c, err
}
