package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// NoteIntervention implements [store.Interventions]. The role is the one that logged in,
// whatever it has become since.
func (db *DB) NoteIntervention(ctx context.Context, i store.Intervention) error {
	_, err := db.pool.Exec(ctx, `INSERT INTO upkeep.interventions (at, by, role, did, remote, sync, key, detail)
		VALUES (upkeep.clock(), $1, session_user, $2, $3, $4, $5, $6)`,
		clean(i.By), clean(i.Did), clean(i.Remote), clean(i.Sync), clean(i.Key), clean(i.Detail))
	if err != nil {
		return fmt.Errorf("note what is done by hand: %w", installed(err))
	}
	return nil
}

// Interventions implements [store.Interventions].
func (db *DB) Interventions(ctx context.Context, sync, key string, limit int) ([]store.Intervention, error) {
	rows, err := db.pool.Query(ctx, `SELECT at, by, role, did, remote, sync, key, detail FROM upkeep.interventions
		WHERE ($1 = '' OR sync = $1) AND ($2 = '' OR key = $2) ORDER BY id DESC LIMIT $3`, clean(sync), clean(key), limit)
	if err != nil {
		return nil, installed(err)
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.Intervention, error) {
		var i store.Intervention
		err := r.Scan(&i.At, &i.By, &i.Role, &i.Did, &i.Remote, &i.Sync, &i.Key, &i.Detail)
		i.At = i.At.UTC()
		return i, err
	})
	return all, installed(err)
}

// PruneInterventions implements [store.Interventions].
func (db *DB) PruneInterventions(ctx context.Context) error {
	_, err := db.pool.Exec(ctx, `DELETE FROM upkeep.interventions WHERE id IN (SELECT id FROM upkeep.interventions
		WHERE at < (SELECT upkeep.clock()) - $1 * interval '1 microsecond' ORDER BY id LIMIT $2)`, store.InterventionsKept.Microseconds(), piece)
	if err != nil {
		return fmt.Errorf("prune what was done by hand: %w", installed(err))
	}
	return nil
}
