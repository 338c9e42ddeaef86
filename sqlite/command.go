package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

const commandColumns = `c.sync, c.key, c.number, c.at, c.payload IS NULL, c.refused, c.refused_version`

func scanCommand(rows *sql.Rows) (store.Command, error) {
	var c store.Command
	var at int64
	var payload sql.NullString
	err := rows.Scan(&c.Sync, &c.Key, &c.Number, &at, &c.Deleted, &c.Refused, &c.RefusedVersion, &payload)
	c.At = time.UnixMicro(at).UTC()
	if payload.Valid {
		c.Payload = json.RawMessage(payload.String)
	}
	return c, err
}

func scanCommands(rows *sql.Rows) ([]store.Command, error) {
	defer rows.Close()
	var all []store.Command
	for rows.Next() {
		c, err := scanCommand(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// unfit says which syncs ask for what SQLite can't do: its triggers fire with
// each row, and none at the commit.
func unfit(shapes []*store.Shape) []store.Finding {
	var found []store.Finding
	for _, s := range shapes {
		if s.Every && !s.ByHand {
			found = append(found, store.Finding{Severity: store.Problem, Subject: s.Sync,
				Message: "it is to deliver every committed version, and SQLite has no trigger at the commit to see each of them",
				Fix:     "deliver: latest; or PostgreSQL; or register: hand (ByHand), and a Go program that appends commands with Engine.Command"})
		}
	}
	return found
}

// NextCommands finds the oldest command of each group.
// It implements [store.Commands].
func (d *DB) NextCommands(ctx context.Context, ids []store.ID) (map[store.ID]store.Command, error) {
	found := map[store.ID]store.Command{}
	if len(ids) == 0 {
		return found, nil
	}
	err := d.view(ctx, "look for commands", func(tx *sql.Tx) error {
		clear(found)
		rows, err := tx.QueryContext(ctx, `SELECT `+commandColumns+`, c.payload FROM json_each(?1) AS j
			CROSS JOIN upkeep_commands AS c ON c.number = (
				SELECT min(number) FROM upkeep_commands WHERE sync = j.value->>0 AND key = j.value->>1)`, idsJSON(ids))
		if err != nil {
			return err
		}
		all, err := scanCommands(rows)
		for _, c := range all {
			found[c.ID] = c
		}
		return err
	})
	return found, err
}

// WaitingCommands lists a group's commands.
// It implements [store.Commands].
func (d *DB) WaitingCommands(ctx context.Context, id store.ID, limit int) (all []store.Command, err error) {
	err = d.view(ctx, "list commands", func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT `+commandColumns+`, NULL FROM upkeep_commands AS c
			WHERE sync = ?1 AND key = ?2 ORDER BY number LIMIT ?3`, id.Sync, id.Key, limit)
		if err != nil {
			return err
		}
		all, err = scanCommands(rows)
		return err
	})
	return all, err
}

// AppendCommand reads the composite as it is in tx, now: what the transaction
// changes later is not in this command.
// It implements [store.Commands].
func (d *DB) AppendCommand(ctx context.Context, tx any, shape *store.Shape, key string) error {
	const what = "append a command"
	add := func(tx *sql.Tx) error {
		// The number first: it takes the write lock, so that nobody else's commit
		// comes between the reading and ours.
		var number int64
		if err := tx.QueryRowContext(ctx, `UPDATE upkeep_command_number SET last = last + 1 RETURNING last`).Scan(&number); err != nil {
			return err
		}
		l := &loader{ctx: ctx, tx: tx, limit: shape.MemberLimit}
		tops, all, err := l.roots(shape.Root, []string{key})
		if err != nil {
			return err
		}
		if err := l.members(shape.Root, all); err != nil {
			return err
		}
		var payload any
		if c := tops[key]; c != nil {
			if c.err != nil {
				return c.err
			}
			b, err := store.EncodePayload(shape, c.row)
			if err != nil {
				return err
			}
			payload = string(b)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO upkeep_commands (number, sync, key, at, payload) VALUES (?1, ?2, ?3, ?4, ?5)`,
			number, shape.Sync, key, d.now(), payload); err != nil {
			return err
		}
		return d.Append(ctx, tx, []store.Touch{{ID: store.ID{Sync: shape.Sync, Key: key}, Register: true}})
	}
	switch tx := tx.(type) {
	case nil:
		return d.update(ctx, what, add)
	case *sql.Tx:
		return explain(what, add(tx))
	}
	return fmt.Errorf("%s: a transaction on SQLite is a *sql.Tx, not a %T", what, tx)
}

// SkipCommand drops the oldest command of a group.
// It implements [store.Commands].
func (d *DB) SkipCommand(ctx context.Context, id store.ID, number int64) (skipped store.Command, err error) {
	err = d.update(ctx, "skip a command", func(tx *sql.Tx) error {
		var held bool
		err := tx.QueryRowContext(ctx, `SELECT holder IS NOT NULL FROM upkeep_groups WHERE sync = ?1 AND key = ?2`, id.Sync, id.Key).Scan(&held)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("%w: %s", store.ErrNoGroup, id)
		case err != nil:
			return err
		case held:
			return fmt.Errorf("%w: %s", store.ErrClaimed, id)
		}
		rows, err := tx.QueryContext(ctx, `SELECT `+commandColumns+`, c.payload FROM upkeep_commands AS c
			WHERE sync = ?1 AND key = ?2 ORDER BY number LIMIT 1`, id.Sync, id.Key)
		if err != nil {
			return err
		}
		all, err := scanCommands(rows)
		if err != nil {
			return err
		}
		if len(all) == 0 || all[0].Number != number {
			return fmt.Errorf("%w: %s", store.ErrNoCommand, id)
		}
		skipped = all[0]
		for _, step := range []struct {
			sql  string
			args []any
		}{
			{`DELETE FROM upkeep_commands WHERE number = ?1`, []any{skipped.Number}},
			{wakeGroups, []any{idsJSON([]store.ID{id}), d.now()}},
		} {
			if _, err := tx.ExecContext(ctx, step.sql, step.args...); err != nil {
				return err
			}
		}
		return noteSkip(ctx, tx, id, d.now(), store.SkippedMessage(skipped))
	})
	return skipped, err
}

// noteSkip writes into a group's history what was skipped of it.
func noteSkip(ctx context.Context, tx *sql.Tx, id store.ID, now int64, note string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO upkeep_attempts (sync, key, at, epoch, action, outcome, status, message, fields, took)
		SELECT sync, key, ?3, epoch, 'skip', 'ok', 0, ?4, '[]', 0 FROM upkeep_groups WHERE sync = ?1 AND key = ?2`, id.Sync, id.Key, now, note)
	return err
}

// wakeGroups makes groups dirty and due.
const wakeGroups = `UPDATE upkeep_groups SET parked = 0, waiting = 0, attempts = 0, reason = NULL,
		generation = max(generation, synced_generation + 1), due_at = CASE WHEN holder IS NULL THEN ?2 ELSE due_at END,
		dirty_since = coalesce(dirty_since, ?2)
	FROM (SELECT value->>0 AS s, value->>1 AS k FROM json_each(?1)) AS j WHERE sync = j.s AND upkeep_groups.key = j.k`

// TurnHolders implements [store.Commands]: one transaction writes at a time.
func (d *DB) TurnHolders(context.Context) ([]store.TurnHolder, error) { return nil, nil }

// Gaps lists versions that did not become commands.
// It implements [store.Commands].
func (d *DB) Gaps(ctx context.Context, sync, key string, limit int) (gaps []store.Gap, err error) {
	err = d.view(ctx, "list gaps", func(tx *sql.Tx) error {
		gaps = nil
		rows, err := tx.QueryContext(ctx, `SELECT sync, key, at, reason FROM upkeep_command_gaps
			WHERE sync = ?1 AND (?2 = '' OR key IN (?2, '')) ORDER BY id DESC LIMIT ?3`, sync, key, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var g store.Gap
			var at int64
			if err := rows.Scan(&g.Sync, &g.Key, &at, &g.Reason); err != nil {
				return err
			}
			g.At = time.UnixMicro(at).UTC()
			gaps = append(gaps, g)
		}
		return rows.Err()
	})
	return gaps, err
}

// passedCommand is one that is not delivered, and why.
type passedCommand struct {
	Number int64
	Why    string
}

// refusedCommand is one that was not taken, why, and by which mapping.
type refusedCommand struct {
	Number           int64
	Refused, Version string
}

// tidyCommands drops commands that nobody will deliver any more, with a gap.
func (d *DB) tidyCommands(ctx context.Context, tx *sql.Tx, shapes []*store.Shape) error {
	every := []string{}
	for _, s := range shapes {
		if s.Every {
			every = append(every, s.Sync)
		}
	}
	for _, sql := range []string{
		`INSERT INTO upkeep_command_gaps (sync, key, at, reason)
			SELECT sync, key, ?2, count(*) || ' commands waited when the sync was changed to deliver the latest version only'
			FROM upkeep_commands WHERE sync NOT IN (SELECT value FROM json_each(?1)) GROUP BY sync, key`,
		`DELETE FROM upkeep_commands WHERE sync NOT IN (SELECT value FROM json_each(?1)) AND ?2 = ?2`,
	} {
		if _, err := tx.ExecContext(ctx, sql, texts(every), d.now()); err != nil {
			return err
		}
	}
	return nil
}

func (d *DB) pruneGaps(ctx context.Context, before int64) error {
	return d.exec(ctx, "prune gaps", `DELETE FROM upkeep_command_gaps WHERE at < ?1`, before)
}

// pruneCommands drops commands that waited for longer than history is kept, and
// the oldest of a group that has too many; each group gets a gap, and goes on.
func (d *DB) pruneCommands(ctx context.Context, before int64) error {
	return d.update(ctx, "prune commands", func(tx *sql.Tx) error {
		for _, too := range []struct {
			where, why string
			arg        int64
		}{
			{`c.at < ?1`, "waited for longer than history is kept", before},
			// Counted only where there are many.
			{`(c.sync, c.key) IN (SELECT sync, key FROM upkeep_commands GROUP BY sync, key HAVING count(*) > ?1)
				AND (SELECT count(*) FROM upkeep_commands l WHERE l.sync = c.sync AND l.key = c.key AND l.number >= c.number) > ?1`,
				fmt.Sprintf("were more than %d for one group", store.MostCommands), store.MostCommands},
		} {
			// A command that a worker is sending stays.
			where := ` FROM upkeep_commands AS c JOIN upkeep_groups AS g ON g.sync = c.sync AND g.key = c.key
				WHERE g.holder IS NULL AND ` + too.where
			var ids sql.NullString
			err := tx.QueryRowContext(ctx, `SELECT json_group_array(json_array(sync, key)) FROM (SELECT DISTINCT c.sync, c.key`+where+`)`, too.arg).Scan(&ids)
			if err != nil {
				return err
			}
			if ids.String == "[]" {
				continue
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO upkeep_command_gaps (sync, key, at, reason)
				SELECT c.sync, c.key, ?2, count(*) || ' commands from ' || strftime('%Y-%m-%d %H:%M:%S', min(c.at) / 1000000, 'unixepoch')
					|| ' to ' || strftime('%Y-%m-%d %H:%M:%S', max(c.at) / 1000000, 'unixepoch') || ' UTC were dropped: they ' || ?3`+where+` GROUP BY c.sync, c.key`,
				too.arg, d.now(), too.why); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM upkeep_commands WHERE number IN (SELECT c.number`+where+`)`, too.arg); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, wakeGroups, ids.String, d.now()); err != nil {
				return err
			}
		}
		return nil
	})
}
