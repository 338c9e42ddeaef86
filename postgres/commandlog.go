package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

const commandColumns = `c.sync, c.key, c.number, c.at, c.xid::text, c.payload IS NULL, c.unordered, c.refused, c.refused_version`

// late says of a command c whether another that was delivered ended the group's
// record, and was not committed yet when c was read. A transaction that this
// server has not come to yet is one of another, whose copy the registry is.
const late = `EXISTS (SELECT FROM upkeep.groups g WHERE g.sync = c.sync AND g.key = c.key
	AND g.ended_xid < pg_snapshot_xmax(pg_current_snapshot()) AND NOT pg_visible_in_snapshot(g.ended_xid, c.snapshot))`

func scanCommand(row pgx.CollectableRow) (store.Command, error) {
	var c store.Command
	err := row.Scan(&c.Sync, &c.Key, &c.Number, &c.At, &c.Tx, &c.Deleted, &c.Unordered, &c.Refused, &c.RefusedVersion, &c.Late, &c.Payload)
	c.At = c.At.UTC()
	return c, err
}

// NextCommands implements [store.Commands].
func (db *DB) NextCommands(ctx context.Context, ids []store.ID) (map[store.ID]store.Command, error) {
	found := map[store.ID]store.Command{}
	if len(ids) == 0 {
		return found, nil
	}
	syncs, keys := splitIDs(ids)
	err := db.queryByKey(ctx, func(rows pgx.Rows) error {
		commands, err := pgx.CollectRows(rows, scanCommand)
		for _, c := range commands {
			found[c.ID] = c
		}
		return err
	}, `SELECT `+commandColumns+`, `+late+`, c.payload FROM unnest($1::text[], $2::text[]) AS a(sync, key)
		CROSS JOIN LATERAL (
			SELECT * FROM upkeep.commands c WHERE c.sync = a.sync AND c.key = a.key ORDER BY c.number LIMIT 1) c`, syncs, keys)
	if err != nil {
		return nil, fmt.Errorf("look for commands: %w", installed(err))
	}
	return found, nil
}

// WaitingCommands implements [store.Commands].
func (db *DB) WaitingCommands(ctx context.Context, id store.ID, limit int) ([]store.Command, error) {
	rows, err := db.pool.Query(ctx, `SELECT `+commandColumns+`, false, NULL::jsonb FROM upkeep.commands c
		WHERE c.sync = $1 AND c.key = $2 ORDER BY c.number LIMIT $3`, clean(id.Sync), clean(id.Key), limit)
	if err != nil {
		return nil, installed(err)
	}
	commands, err := pgx.CollectRows(rows, scanCommand)
	return commands, installed(err)
}

// AppendCommand implements [store.Commands]. The version is read when tx
// commits, as those of the triggers are.
func (db *DB) AppendCommand(ctx context.Context, tx any, shape *store.Shape, key string) error {
	parts, err := store.SplitKey(key, len(shape.Root.Key))
	if err != nil {
		return err
	}
	root := map[string]string{}
	for i, c := range shape.Root.Key {
		root[c.Name] = clean(parts[i])
	}
	text, err := json.Marshal(root)
	if err != nil {
		return err
	}
	const append = `SELECT upkeep.command($1, $2, $3::jsonb), upkeep.touch($1, $2, true)`
	args := []any{clean(shape.Sync), clean(key), string(text)}
	switch tx := tx.(type) {
	case nil:
		err = pgx.BeginTxFunc(ctx, db.pool, plain, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, append, args...)
			return err
		})
	case pgx.Tx:
		_, err = tx.Exec(ctx, append, args...)
	case *sql.Tx:
		_, err = tx.ExecContext(ctx, append, args...)
	default:
		return fmt.Errorf("a command goes into a pgx.Tx or a *sql.Tx, not into %T", tx)
	}
	if err != nil {
		return fmt.Errorf("append a command: %w", installed(err))
	}
	return nil
}

// SkipCommand implements [store.Commands].
func (db *DB) SkipCommand(ctx context.Context, id store.ID, number int64) (store.Command, error) {
	var skipped store.Command
	err := db.tx(ctx, byKey, func(tx pgx.Tx) error {
		var held bool
		err := tx.QueryRow(ctx, `SELECT holder IS NOT NULL FROM upkeep.groups WHERE sync = $1 AND key = $2 FOR UPDATE`,
			clean(id.Sync), clean(id.Key)).Scan(&held)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("%w: %s", store.ErrNoGroup, id)
		case err != nil:
			return err
		case held:
			return fmt.Errorf("%w: %s", store.ErrClaimed, id)
		}
		rows, err := tx.Query(ctx, `DELETE FROM upkeep.commands c WHERE c.sync = $1 AND c.key = $2 AND c.number = $3
				AND c.number = (SELECT min(number) FROM upkeep.commands WHERE sync = $1 AND key = $2)
			RETURNING `+commandColumns+`, false, c.payload`, clean(id.Sync), clean(id.Key), number)
		if err != nil {
			return err
		}
		skipped, err = pgx.CollectExactlyOneRow(rows, scanCommand)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("%w: %s", store.ErrNoCommand, id)
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, wakeGroup, clean(id.Sync), clean(id.Key)); err != nil {
			return err
		}
		return noteSkip(ctx, tx, id, store.SkippedMessage(skipped))
	})
	return skipped, err
}

// noteSkip writes into a group's history what was skipped of it.
func noteSkip(ctx context.Context, tx pgx.Tx, id store.ID, note string) error {
	_, err := tx.Exec(ctx, `INSERT INTO upkeep.attempts (sync, key, at, epoch, action, outcome, status, message, fields, took_us)
		SELECT sync, key, upkeep.clock(), epoch, 'skip', 'ok', 0, $3, '{}', 0 FROM upkeep.groups WHERE sync = $1 AND key = $2`,
		clean(id.Sync), clean(id.Key), clean(note))
	return err
}

// wakeGroup makes one group dirty and due.
const wakeGroup = `UPDATE upkeep.groups g SET parked = false, waits_for = '{}', attempts = 0, reason = '',
	generation = greatest(generation, synced_generation + 1),
	due_at = CASE WHEN holder IS NOT NULL THEN due_at ELSE (SELECT upkeep.clock()) END,
	dirty_since = coalesce(dirty_since, upkeep.clock())
	WHERE sync = $1 AND key = $2`

// Gaps implements [store.Commands].
func (db *DB) Gaps(ctx context.Context, sync, key string, limit int) ([]store.Gap, error) {
	rows, err := db.pool.Query(ctx, `SELECT sync, coalesce(key, ''), at, xid::text, reason FROM upkeep.command_gaps
		WHERE sync = $1 AND ($2 = '' OR key = $2 OR key IS NULL) ORDER BY id DESC LIMIT $3`, clean(sync), clean(key), limit)
	if err != nil {
		return nil, installed(err)
	}
	gaps, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.Gap, error) {
		var g store.Gap
		err := r.Scan(&g.Sync, &g.Key, &g.At, &g.Tx, &g.Reason)
		g.At = g.At.UTC()
		return g, err
	})
	return gaps, installed(err)
}

// finishCommands does to commands what their results say: one that was
// delivered goes, one that was passed over leaves a gap, one that was refused keeps why. It runs in the transaction
// that records the results, for those that were applied.
func finishCommands(ctx context.Context, tx runner, fresh []store.Result) error {
	type done struct {
		Sync    string `json:"sync"`
		Key     string `json:"key"`
		Number  int64  `json:"number"`
		Refused string `json:"refused"`
		Version string `json:"version"`
		Passed  string `json:"passed"`
		Ends    bool   `json:"ends"`
	}
	var delivered, passed, refused []done
	for _, r := range fresh {
		d := done{Sync: clean(r.Sync), Key: clean(r.Key), Number: r.Command, Ends: r.Ends}
		switch {
		case r.Command == 0:
		case r.PassedOver != "":
			d.Passed = clean(r.PassedOver)
			passed = append(passed, d)
		case r.Outcome == store.Synced || r.Outcome == store.Removed:
			delivered = append(delivered, d)
		case r.Outcome == store.Refused:
			d.Refused, d.Version = clean(r.Reason), clean(r.Version)
			refused = append(refused, d)
		}
	}
	const these = `jsonb_to_recordset($1::jsonb) AS d(sync text, key text, number bigint, refused text, version text, passed text, ends boolean)
		WHERE c.sync = d.sync AND c.key = d.key AND c.number = d.number`
	for _, part := range []struct {
		rows []done
		sql  string
	}{
		{delivered, `WITH gone AS (DELETE FROM upkeep.commands c USING ` + these + ` RETURNING c.sync, c.key, c.xid, d.ends)
			UPDATE upkeep.groups g SET ended_xid = gone.xid FROM gone WHERE gone.ends AND g.sync = gone.sync AND g.key = gone.key`},
		{passed, `WITH passed AS (DELETE FROM upkeep.commands c USING ` + these + ` RETURNING c.sync, c.key, c.xid, d.passed)
			INSERT INTO upkeep.command_gaps (sync, key, xid, reason) SELECT * FROM passed`},
		{refused, `UPDATE upkeep.commands c SET refused = d.refused, refused_version = d.version FROM ` + these},
	} {
		if len(part.rows) == 0 {
			continue
		}
		text, err := json.Marshal(part.rows)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, part.sql, string(text)); err != nil {
			return fmt.Errorf("finish commands: %w", err)
		}
	}
	return nil
}

func (db *DB) pruneGaps(ctx context.Context, keep time.Duration) error {
	if _, err := db.pool.Exec(ctx, `DELETE FROM upkeep.command_gaps
		WHERE at < (SELECT upkeep.clock()) - $1 * interval '1 microsecond'`, keep.Microseconds()); err != nil {
		return fmt.Errorf("prune gaps: %w", installed(err))
	}
	// Where each transaction is serializable each leaves a gap.
	if _, err := db.pool.Exec(ctx, `DELETE FROM upkeep.command_gaps g USING (
			SELECT id, row_number() OVER (PARTITION BY sync, reason, date_trunc('minute', at) ORDER BY id) AS nth
			FROM upkeep.command_gaps WHERE key IS NULL AND at > (SELECT upkeep.clock()) - interval '1 hour') a
		WHERE g.id = a.id AND a.nth > 1`); err != nil {
		return fmt.Errorf("prune gaps: %w", installed(err))
	}
	return nil
}

// pruneCommands drops commands that waited for longer than history is kept,
// and the oldest of a group that has too many. Each leaves a gap, and its
// group goes on with what is left.
func (db *DB) pruneCommands(ctx context.Context, keep time.Duration) error {
	for {
		var dropped int64
		err := db.tx(ctx, byKey, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, pruneCommands, keep.Microseconds(), piece, store.MostCommands).Scan(&dropped)
		})
		if err != nil {
			return fmt.Errorf("prune commands: %w", err)
		}
		if dropped < piece {
			return nil
		}
	}
}

const pruneCommands = `
	WITH clock AS MATERIALIZED (SELECT upkeep.clock() AS now),
	old AS MATERIALIZED (
		SELECT c.sync, c.key, c.number, 'waited for longer than history is kept' AS why FROM upkeep.commands c
		WHERE c.at < (SELECT now FROM clock) - $1 * interval '1 microsecond' ORDER BY c.at LIMIT $2),
	crowded AS MATERIALIZED (
		SELECT c.sync, c.key, count(*) - $3 AS over FROM upkeep.commands c GROUP BY 1, 2 HAVING count(*) > $3),
	most AS MATERIALIZED (
		SELECT m.sync, m.key, m.number, 'were more than ' || $3::text || ' for one group' AS why FROM crowded o CROSS JOIN LATERAL (
			SELECT c.sync, c.key, c.number FROM upkeep.commands c WHERE c.sync = o.sync AND c.key = o.key
			ORDER BY c.number LIMIT o.over) m LIMIT $2),
	too AS MATERIALIZED (SELECT sync, key, number, min(why) AS why FROM (SELECT * FROM old UNION ALL SELECT * FROM most) u GROUP BY 1, 2, 3),
	-- A command that a worker is sending stays.
	free AS MATERIALIZED (
		SELECT g.sync, g.key FROM upkeep.groups g JOIN (SELECT DISTINCT sync, key FROM too) t USING (sync, key)
		WHERE g.holder IS NULL ORDER BY g.sync, g.key FOR UPDATE OF g),
	gone AS (
		DELETE FROM upkeep.commands c USING too t JOIN free f USING (sync, key)
		WHERE c.sync = t.sync AND c.key = t.key AND c.number = t.number RETURNING c.sync, c.key, c.at, t.why),
	noted AS (
		INSERT INTO upkeep.command_gaps (sync, key, reason)
		SELECT sync, key, count(*) || ' commands from ' || to_char(min(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' to '
			|| to_char(max(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC were dropped: they ' || min(why)
		FROM gone GROUP BY 1, 2 RETURNING sync, key),
	woken AS (
		UPDATE upkeep.groups g SET parked = false, waits_for = '{}', attempts = 0, reason = '',
			generation = greatest(g.generation, g.synced_generation + 1), due_at = clock.now,
			dirty_since = coalesce(g.dirty_since, clock.now)
		FROM noted n, clock WHERE g.sync = n.sync AND g.key = n.key)
	SELECT count(*) FROM gone`
