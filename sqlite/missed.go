package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// NoteMissed implements [store.Audits].
func (d *DB) NoteMissed(ctx context.Context, found []store.Missed) error {
	return d.update(ctx, "note missed changes", func(tx *sql.Tx) error {
		for _, m := range found {
			fields, err1 := json.Marshal(append([]string{}, m.Fields...))
			columns, err2 := json.Marshal(append([]string{}, m.Columns...))
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO upkeep_missed (sync, key, at, fields, columns) VALUES (?1, ?2, ?3, ?4, ?5)`,
				m.Sync, m.Key, d.now(), string(fields), string(columns))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Missed implements [store.Audits].
func (d *DB) Missed(ctx context.Context, limit int) (found []store.Missed, err error) {
	err = d.view(ctx, "read missed changes", func(tx *sql.Tx) error {
		found = nil
		rows, err := tx.QueryContext(ctx, `SELECT sync, key, at, fields, columns FROM upkeep_missed ORDER BY id DESC LIMIT ?1`, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var m store.Missed
			var at int64
			var fields, columns []byte
			if err := rows.Scan(&m.Sync, &m.Key, &at, &fields, &columns); err != nil {
				return err
			}
			if err := errors.Join(json.Unmarshal(fields, &m.Fields), json.Unmarshal(columns, &m.Columns)); err != nil {
				return err
			}
			m.At = time.UnixMicro(at).UTC()
			found = append(found, m)
		}
		return rows.Err()
	})
	return found, err
}

func (d *DB) pruneMissed(ctx context.Context, before int64) error {
	return d.exec(ctx, "prune missed changes", `DELETE FROM upkeep_missed WHERE at < ?1`, before)
}
