package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// appendTouches passes touches as JSON text, which every driver can.
const appendTouches = `SELECT upkeep.touch(t.sync, t.key, t.register, t.force, t.deleted)
	FROM pg_catalog.jsonb_to_recordset($1::jsonb) AS t(sync text, key text, register boolean, force boolean, deleted boolean)`

// Append implements [store.Log]. tx may be a pgx.Tx, a *sql.Tx of any driver
// on this database, or nil.
func (db *DB) Append(ctx context.Context, tx any, touches []store.Touch) error {
	if len(touches) == 0 {
		return nil
	}
	type row struct {
		Sync     string `json:"sync"`
		Key      string `json:"key"`
		Register bool   `json:"register"`
		Force    bool   `json:"force"`
		Deleted  bool   `json:"deleted"`
	}
	rows := make([]row, len(touches))
	for i, t := range touches {
		rows[i] = row{clean(t.Sync), clean(t.Key), t.Register, t.Force, t.Deleted}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	switch tx := tx.(type) {
	case nil:
		_, err = db.pool.Exec(ctx, appendTouches, string(text))
	case pgx.Tx:
		_, err = tx.Exec(ctx, appendTouches, string(text))
	case *sql.Tx:
		_, err = tx.ExecContext(ctx, appendTouches, string(text))
	default:
		return fmt.Errorf("a touch goes into a pgx.Tx or a *sql.Tx, not into %T", tx)
	}
	if err != nil {
		return fmt.Errorf("append touches: %w", installed(err))
	}
	return nil
}

// reference raises the next piece of the groups that refer to one, or wait
// for it. The position is in path (sync) and cursor (key).
func (f *folding) reference(ctx context.Context, tx pgx.Tx, e entry) error {
	var n int
	var sync, key *string
	path := ""
	if e.path != nil {
		path = *e.path
	}
	err := tx.QueryRow(ctx, `
		WITH clock AS MATERIALIZED (SELECT upkeep.clock() AS now),
		target AS (SELECT replace(replace(sync, '%', '%25'), '/', '%2F') || '/' || key AS ref, * FROM upkeep.touch WHERE id = $1),
		page AS MATERIALIZED (
			SELECT g.sync, g.key FROM upkeep.groups g
			WHERE (g.refs <> '{}' AND g.refs @> ARRAY[(SELECT ref FROM target)]
				OR g.waits_for <> '{}' AND g.waits_for @> ARRAY[(SELECT ref FROM target)])
				AND (g.sync, g.key) > ($2, $3)
			ORDER BY g.sync, g.key LIMIT $4),
		raised AS (`+raisingInto+`
			SELECT p.sync, p.key, 0, 0, clock.now, false,
				ROW(t.sync, t.key, t.op, NULL, NULL, t.at)::upkeep.cause, t.at, t.at
			FROM clock CROSS JOIN page p CROSS JOIN target t ORDER BY p.sync, p.key`+raising+`
			RETURNING 1)
		SELECT (SELECT count(*) FROM raised), l.sync, l.key
		FROM (SELECT sync, key FROM page ORDER BY sync DESC, key DESC LIMIT 1) l RIGHT JOIN (SELECT) one ON true`,
		e.id, path, e.cursor, piece).Scan(&n, &sync, &key)
	if err != nil || n < piece {
		f.done.Groups += n
		return err
	}
	f.done.Groups += n
	f.done.More = true
	_, err = tx.Exec(ctx, `INSERT INTO upkeep.touch (at, xid, op, sync, key, more)
		SELECT at, xid, op, sync, key, jsonb_build_object('path', $2::text, 'cursor', $3::text) FROM upkeep.touch WHERE id = $1`, e.id, sync, key)
	return err
}
