package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// lockRemote makes a remote's row and locks it until the transaction ends.
const lockRemote = `INSERT INTO upkeep.remotes (remote) VALUES ($1)
	ON CONFLICT (remote) DO UPDATE SET remote = excluded.remote`

// remote runs one statement on a remote's row, in one round trip. The lock is
// a statement of its own: the other then sees what the last holder of the
// lock wrote.
func (db *DB) remote(ctx context.Context, remote string, scan func(pgx.Row) error, sql string, args ...any) error {
	return installed(db.again(ctx, func() error {
		batch := &pgx.Batch{}
		batch.Queue(lockRemote, remote)
		batch.Queue(sql, append([]any{remote}, args...)...)
		results := db.pool.SendBatch(ctx, batch)
		_, err := results.Exec()
		if err == nil {
			err = scan(results.QueryRow())
		}
		return errors.Join(err, results.Close())
	}))
}

// Hold implements [store.Limits].
func (db *DB) Hold(ctx context.Context, remote, holder string, ask store.Ask) (held, others int, err error) {
	err = db.remote(ctx, remote, func(r pgx.Row) error { return r.Scan(&held, &others) }, `
		WITH clock AS MATERIALIZED (SELECT upkeep.clock() AS now),
		dead AS (DELETE FROM upkeep.slots s USING clock
			WHERE s.remote = $1 AND s.holder <> $2 AND (s.until <= clock.now OR NOT s.wants)),
		others AS (
			SELECT coalesce(sum(CASE WHEN starts_with(s.holder, $6) AND s.wants AND $4::int > 1 THEN greatest(s.held, 1) ELSE s.held END), 0) AS held,
				count(*) FILTER (WHERE s.wants AND NOT starts_with(s.holder, $6)) AS n FROM upkeep.slots s, clock
			WHERE s.remote = $1 AND s.holder <> $2 AND s.until > clock.now)
		INSERT INTO upkeep.slots AS s (remote, holder, held, wants, until, calls, oldest_call)
		SELECT $1, $2, greatest(least($3::int, $4::int - others.held), 0), $3::int > 0, clock.now + $5 * interval '1 microsecond',
			$7, CASE WHEN $7::int > 0 THEN clock.now - $8 * interval '1 microsecond' END
		FROM others, clock
		ON CONFLICT (remote, holder) DO UPDATE SET held = excluded.held, wants = excluded.wants, until = excluded.until,
			calls = excluded.calls, oldest_call = excluded.oldest_call
		RETURNING s.held, (SELECT n FROM others)`, holder, ask.Slots, ask.Limit, ask.TTL.Microseconds(), store.Spare, ask.Calls, ask.Oldest.Microseconds())
	return held, others, err
}

// Take implements [store.Limits]. Without a positive rate nothing is limited.
func (db *DB) Take(ctx context.Context, remote string, want int, rate float64, burst int) (got int, wait time.Duration, err error) {
	if want <= 0 {
		return 0, 0, nil
	}
	if rate <= 0 {
		return want, 0, nil
	}
	var us int64
	err = db.remote(ctx, remote, func(r pgx.Row) error { return r.Scan(&got, &us) }, `
		WITH clock AS MATERIALIZED (SELECT upkeep.clock() AS now),
		have AS (
			SELECT least($4::float8, coalesce(tokens, $4::float8)
				+ $3::float8 * greatest(extract(epoch FROM clock.now - coalesce(tokens_at, clock.now))::float8, 0)) AS tokens
			FROM upkeep.remotes, clock WHERE remote = $1),
		-- A hair's breadth off a whole token is a rounding of the clock.
		taken AS (SELECT tokens, least($2::int, floor(tokens + 1e-6)::int) AS n FROM have)
		UPDATE upkeep.remotes r SET tokens = greatest(taken.tokens - taken.n, 0), tokens_at = CASE WHEN r.tokens_at > clock.now + $5::bigint * interval '1 microsecond' THEN clock.now ELSE greatest(r.tokens_at, clock.now) END
		FROM taken, clock WHERE r.remote = $1
		RETURNING taken.n, CASE WHEN taken.n > 0 THEN 0 ELSE ceil((1 - taken.tokens) / $3::float8 * 1e6)::bigint END`,
		want, rate, max(burst, 1), store.SetBack.Microseconds())
	return got, time.Duration(us) * time.Microsecond, err
}

// Holders implements [store.Limits].
func (db *DB) Holders(ctx context.Context, remote string) ([]store.Holder, error) {
	rows, err := db.pool.Query(ctx, `
		WITH clock AS MATERIALIZED (SELECT upkeep.clock() AS now)
		SELECT s.holder, s.held, (extract(epoch FROM s.until - clock.now) * 1e6)::bigint, s.until,
			s.calls, coalesce(greatest(extract(epoch FROM clock.now - s.oldest_call) * 1e6, 0), 0)::bigint FROM upkeep.slots s, clock
		WHERE s.remote = $1 AND s.wants AND s.until > clock.now ORDER BY s.holder`, remote)
	if err != nil {
		return nil, installed(err)
	}
	holders, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.Holder, error) {
		var h store.Holder
		var left, oldest int64
		err := r.Scan(&h.Holder, &h.Slots, &left, &h.Until, &h.Calls, &oldest)
		h.OldestCall = time.Duration(oldest) * time.Microsecond
		h.Left, h.Until = time.Duration(left)*time.Microsecond, h.Until.UTC()
		return h, err
	})
	return holders, installed(err)
}

// Health implements [store.Limits].
func (db *DB) Health(ctx context.Context, remote string) (store.Health, error) {
	var h store.Health
	var paused, probe, oldest int64
	var metered *time.Time
	err := db.pool.QueryRow(ctx, `
		WITH clock AS MATERIALIZED (SELECT upkeep.clock() AS now)
		SELECT greatest(coalesce(extract(epoch FROM r.paused_until - clock.now) * 1e6, 0), 0)::bigint,
			coalesce(r.broken, false), CASE WHEN r.broken THEN greatest(coalesce(extract(epoch FROM r.probe_at - clock.now) * 1e6, 0), 0) ELSE 0 END::bigint,
			coalesce(r.failures, 0), coalesce(r.reason, ''), coalesce(q.used, 0), coalesce(q.allowed, 0), q.at,
			s.held, s.calls, s.oldest
		FROM clock LEFT JOIN upkeep.remotes r ON r.remote = $1 LEFT JOIN upkeep.quotas q ON q.remote = $1,
			LATERAL (SELECT coalesce(sum(held), 0)::int AS held, coalesce(sum(upkeep_slots.calls), 0)::int AS calls,
				coalesce(greatest(extract(epoch FROM clock.now - min(upkeep_slots.oldest_call)) * 1e6, 0), 0)::bigint AS oldest
				FROM upkeep.slots AS upkeep_slots WHERE remote = $1 AND until > clock.now) s`, remote).
		Scan(&paused, &h.Broken, &probe, &h.Failures, &h.Reason, &h.Quota.Used, &h.Quota.Limit, &metered, &h.Held, &h.Calls, &oldest)
	if metered != nil {
		h.Quota.At = metered.UTC()
	}
	h.PausedFor, h.ProbeIn = time.Duration(paused)*time.Microsecond, time.Duration(probe)*time.Microsecond
	h.OldestCall = time.Duration(oldest) * time.Microsecond
	if h.PausedFor == 0 && !h.Broken {
		h.Reason = ""
	}
	return h, installed(err)
}

// Pause implements [store.Limits].
func (db *DB) Pause(ctx context.Context, remote string, d time.Duration, reason string) error {
	_, err := db.pool.Exec(ctx, `
		INSERT INTO upkeep.remotes AS r (remote, paused_until, reason)
		VALUES ($1, upkeep.clock() + $2 * interval '1 microsecond', $3)
		ON CONFLICT (remote) DO UPDATE SET
			reason = CASE WHEN r.paused_until >= excluded.paused_until THEN r.reason ELSE excluded.reason END,
			paused_until = greatest(r.paused_until, excluded.paused_until)`,
		remote, d.Microseconds(), clean(reason))
	return installed(err)
}

// Break implements [store.Limits].
func (db *DB) Break(ctx context.Context, remote string, d time.Duration, reason string) error {
	_, err := db.pool.Exec(ctx, `
		INSERT INTO upkeep.remotes AS r (remote, broken, failures, probe_at, reason)
		VALUES ($1, true, 1, upkeep.clock() + $2 * interval '1 microsecond', $3)
		ON CONFLICT (remote) DO UPDATE SET broken = true, failures = r.failures + 1,
			probe_at = excluded.probe_at, reason = excluded.reason`, remote, d.Microseconds(), clean(reason))
	return installed(err)
}

// Mend implements [store.Limits].
func (db *DB) Mend(ctx context.Context, remote string) error {
	_, err := db.pool.Exec(ctx, `UPDATE upkeep.remotes SET broken = false, failures = 0, probe_at = NULL,
		reason = CASE WHEN paused_until > upkeep.clock() THEN reason ELSE '' END WHERE remote = $1`, remote)
	return installed(err)
}

// Meter implements [store.Limits].
func (db *DB) Meter(ctx context.Context, remote string, used, limit int64) error {
	_, err := db.pool.Exec(ctx, `
		INSERT INTO upkeep.quotas (remote, used, allowed, at) VALUES ($1, $2, $3, upkeep.clock())
		ON CONFLICT (remote) DO UPDATE SET used = excluded.used, allowed = excluded.allowed, at = excluded.at`,
		remote, used, limit)
	return installed(err)
}

// ProbeNow implements [store.Limits].
func (db *DB) ProbeNow(ctx context.Context, remote string) (bool, error) {
	tag, err := db.pool.Exec(ctx, `UPDATE upkeep.remotes SET probe_at = upkeep.clock() WHERE remote = $1 AND broken`, remote)
	return tag.RowsAffected() == 1, installed(err)
}

// Probe implements [store.Limits]. holder is for the reader of the call.
func (db *DB) Probe(ctx context.Context, remote, _ string, d time.Duration) (bool, error) {
	tag, err := db.pool.Exec(ctx, `UPDATE upkeep.remotes SET probe_at = upkeep.clock() + $2 * interval '1 microsecond'
		WHERE remote = $1 AND broken AND probe_at <= upkeep.clock()`, remote, d.Microseconds())
	return tag.RowsAffected() == 1, installed(err)
}
