package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// TurnHolders implements [store.Commands]. The locks are those of the function
// upkeep.lock_commands: of a sync, shared by those who then take the locks of
// their groups.
func (db *DB) TurnHolders(ctx context.Context) ([]store.TurnHolder, error) {
	rows, err := db.pool.Query(ctx, `SELECT s.sync, l.mode = 'ExclusiveLock', `+lockHolder+`
		FROM upkeep.syncs s JOIN pg_catalog.pg_locks l ON l.locktype = 'advisory' AND l.objsubid = 1
			AND l.classid::bigint << 32 | l.objid::bigint = pg_catalog.hashtextextended(s.sync, 8244229) `+lockHolders+`
			AND coalesce(a.xact_start, x.prepared) < clock_timestamp() - interval '2 seconds'
		ORDER BY 1, coalesce(a.xact_start, x.prepared)`)
	if err != nil {
		return nil, installed(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.TurnHolder, error) {
		var h store.TurnHolder
		err := row.Scan(&h.Sync, &h.Whole, &h.Process, &h.GID, &h.Role, &h.Name, &h.State, &h.Since)
		h.Since, h.End = h.Since.UTC(), endOf(h.LockHolder)
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("look who has the turn of groups: %w", installed(err))
	}
	return all, nil
}
