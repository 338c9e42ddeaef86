package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Hold gives a process slots of a remote.
// It implements [store.Limits].
func (d *DB) Hold(ctx context.Context, remote, holder string, ask store.Ask) (got, others int, err error) {
	err = d.update(ctx, "hold slots of "+remote, func(tx *sql.Tx) error {
		now := d.now()
		if _, err := tx.ExecContext(ctx, `DELETE FROM upkeep_slots WHERE remote = ?1 AND until <= ?2`, remote, now); err != nil {
			return err
		}
		var taken int
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(sum(CASE WHEN instr(holder, ?3) = 1 AND ?4 > 1 THEN max(held, 1) ELSE held END), 0),
				coalesce(sum(instr(holder, ?3) <> 1), 0) FROM upkeep_slots WHERE remote = ?1 AND holder <> ?2`, remote, holder, store.Spare, ask.Limit).Scan(&taken, &others); err != nil {
			return err
		}
		got = max(0, min(ask.Slots, ask.Limit-taken))
		if ask.Slots <= 0 {
			_, err := tx.ExecContext(ctx, `DELETE FROM upkeep_slots WHERE remote = ?1 AND holder = ?2`, remote, holder)
			return err
		}
		oldest := sql.NullInt64{Int64: now - ask.Oldest.Microseconds(), Valid: ask.Calls > 0}
		_, err := tx.ExecContext(ctx, `INSERT INTO upkeep_slots (remote, holder, held, until, calls, oldest_call) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
			ON CONFLICT (remote, holder) DO UPDATE SET held = excluded.held, until = excluded.until, calls = excluded.calls, oldest_call = excluded.oldest_call`,
			remote, holder, got, now+ask.TTL.Microseconds(), ask.Calls, oldest)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	return got, others, nil
}

// token is one request in the bucket, in the unit that is stored.
const token = 1_000_000

// Take takes requests out of the bucket, which begins full. A rate of zero or
// less is no limit.
// It implements [store.Limits].
func (d *DB) Take(ctx context.Context, remote string, want int, rate float64, burst int) (got int, wait time.Duration, err error) {
	if rate <= 0 || want <= 0 {
		return max(want, 0), 0, nil
	}
	full := int64(max(burst, 1)) * token
	err = d.update(ctx, "take requests of "+remote, func(tx *sql.Tx) error {
		now := d.now()
		var have, at sql.NullInt64
		err := tx.QueryRowContext(ctx, `SELECT tokens, refilled_at FROM upkeep_remotes WHERE remote = ?1`, remote).Scan(&have, &at)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		tokens := full
		if have.Valid {
			// Microseconds times requests a second are millionths of a request.
			grown := float64(max(now-at.Int64, 0)) * rate
			tokens = min(full, have.Int64+int64(min(grown, float64(full))))
		}
		got = int(min(int64(want), tokens/token))
		tokens -= int64(got) * token
		wait = 0
		if got == 0 {
			wait = time.Duration(float64(token-tokens)/rate*1000) + time.Microsecond
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO upkeep_remotes (remote, tokens, refilled_at) VALUES (?1, ?2, ?3)
			ON CONFLICT (remote) DO UPDATE SET tokens = excluded.tokens, refilled_at =
				CASE WHEN refilled_at > excluded.refilled_at + ?4 THEN excluded.refilled_at ELSE max(coalesce(refilled_at, 0), excluded.refilled_at) END`,
			remote, tokens, now, store.SetBack.Microseconds())
		return err
	})
	return got, wait, err
}

// Holders lists who holds slots or waits for some.
// It implements [store.Limits].
func (d *DB) Holders(ctx context.Context, remote string) ([]store.Holder, error) {
	var holders []store.Holder
	err := d.view(ctx, "read the slots of "+remote, func(tx *sql.Tx) error {
		holders = nil
		now := d.now()
		rows, err := tx.QueryContext(ctx, `SELECT holder, held, until, calls, coalesce(max(?2 - oldest_call, 0), 0) FROM upkeep_slots WHERE remote = ?1 AND until > ?2 ORDER BY holder`, remote, now)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var h store.Holder
			var until sql.NullInt64
			var oldest int64
			if err := rows.Scan(&h.Holder, &h.Slots, &until, &h.Calls, &oldest); err != nil {
				return err
			}
			h.OldestCall = time.Duration(oldest) * time.Microsecond
			h.Left, h.Until = time.Duration(until.Int64-now)*time.Microsecond, timeAt(until)
			holders = append(holders, h)
		}
		return rows.Err()
	})
	return holders, err
}

// Health reads a remote's state.
// It implements [store.Limits].
func (d *DB) Health(ctx context.Context, remote string) (store.Health, error) {
	var h store.Health
	err := d.view(ctx, "read the health of "+remote, func(tx *sql.Tx) error {
		h = store.Health{}
		now := d.now()
		var paused, probe int64
		var metered sql.NullInt64
		err := tx.QueryRowContext(ctx, `SELECT coalesce(paused_until, 0), coalesce(broken, 0), coalesce(probe_at, 0), coalesce(failures, 0),
				coalesce(reason, ''), coalesce(used, 0), coalesce(allowed, 0), at
			FROM (SELECT ?1 AS remote) LEFT JOIN upkeep_remotes USING (remote) LEFT JOIN upkeep_quotas USING (remote)`, remote).
			Scan(&paused, &h.Broken, &probe, &h.Failures, &h.Reason, &h.Quota.Used, &h.Quota.Limit, &metered)
		if err != nil {
			return err
		}
		h.Quota.At = timeAt(metered)
		h.PausedFor = time.Duration(max(paused-now, 0)) * time.Microsecond
		if h.Broken {
			h.ProbeIn = time.Duration(max(probe-now, 0)) * time.Microsecond
		} else if h.PausedFor == 0 {
			h.Reason = ""
		}
		var oldest sql.NullInt64
		err = tx.QueryRowContext(ctx, `SELECT coalesce(sum(held), 0), coalesce(sum(upkeep_slots.calls), 0), min(upkeep_slots.oldest_call) FROM upkeep_slots WHERE remote = ?1 AND until > ?2`, remote, now).
			Scan(&h.Held, &h.Calls, &oldest)
		if oldest.Valid {
			h.OldestCall = time.Duration(max(now-oldest.Int64, 0)) * time.Microsecond
		}
		return err
	})
	return h, err
}

// Pause stops all requests to a remote; the later end wins.
// It implements [store.Limits].
func (d *DB) Pause(ctx context.Context, remote string, pause time.Duration, reason string) error {
	return d.exec(ctx, "pause "+remote, `INSERT INTO upkeep_remotes (remote, paused_until, reason) VALUES (?1, ?2, ?3)
		ON CONFLICT (remote) DO UPDATE SET paused_until = excluded.paused_until, reason = excluded.reason
		WHERE excluded.paused_until > paused_until`, remote, d.now()+pause.Microseconds(), reason)
}

// Meter notes what a remote says of its quota.
// It implements [store.Limits].
func (d *DB) Meter(ctx context.Context, remote string, used, limit int64) error {
	return d.exec(ctx, "note the quota of "+remote, `INSERT INTO upkeep_quotas (remote, used, allowed, at) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (remote) DO UPDATE SET used = excluded.used, allowed = excluded.allowed, at = excluded.at`,
		remote, used, limit, d.now())
}

// Break opens the breaker.
// It implements [store.Limits].
func (d *DB) Break(ctx context.Context, remote string, pause time.Duration, reason string) error {
	return d.exec(ctx, "break "+remote, `INSERT INTO upkeep_remotes (remote, broken, probe_at, failures, reason) VALUES (?1, 1, ?2, 1, ?3)
		ON CONFLICT (remote) DO UPDATE SET broken = 1, probe_at = excluded.probe_at, failures = failures + 1, reason = excluded.reason`,
		remote, d.now()+pause.Microseconds(), reason)
}

// Mend closes the breaker.
// It implements [store.Limits].
func (d *DB) Mend(ctx context.Context, remote string) error {
	return d.exec(ctx, "mend "+remote, `UPDATE upkeep_remotes SET broken = 0, probe_at = 0, failures = 0 WHERE remote = ?1`, remote)
}

// ProbeNow lets the next probe of an open breaker go at once.
// It implements [store.Limits].
func (d *DB) ProbeNow(ctx context.Context, remote string) (bool, error) {
	var open bool
	err := d.update(ctx, "hasten the probe of "+remote, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE upkeep_remotes SET probe_at = ?2 WHERE remote = ?1 AND broken`, remote, d.now())
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		open = n == 1
		return err
	})
	return open, err
}

// Probe is true for the one that may probe an open breaker.
// It implements [store.Limits].
func (d *DB) Probe(ctx context.Context, remote, _ string, pause time.Duration) (bool, error) {
	var mine bool
	err := d.update(ctx, "probe "+remote, func(tx *sql.Tx) error {
		now := d.now()
		r, err := tx.ExecContext(ctx, `UPDATE upkeep_remotes SET probe_at = ?3 WHERE remote = ?1 AND broken AND probe_at <= ?2`,
			remote, now, now+pause.Microseconds())
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		mine = n == 1
		return err
	})
	return mine, err
}

// exec runs one statement in a transaction of its own.
func (d *DB) exec(ctx context.Context, what, query string, args ...any) error {
	return d.update(ctx, what, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
}
