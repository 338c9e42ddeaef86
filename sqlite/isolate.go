package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A sync whose touches can't be resolved, since a table was dropped or altered,
// keeps no other sync's from being. What is in the log for it asks for a sweep,
// which waits until the sync's tables can be read again: upkeep_syncs.failure
// says why they can't. What the log itself says of root rows is taken from
// there meanwhile: a sweep can't tell that a row was deleted.

// unresolvable says whether a statement that resolves touches failed because the
// tables are not as it has them: one was renamed or dropped, or a column was.
func unresolvable(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_ERROR && !errors.Is(explain("", err), store.ErrNotInstalled)
}

// unresolved is why touches of syncs could not be resolved, by sync.
type unresolved map[string]string

// leave notes an error of a sync's touches, and returns any other.
func (u unresolved) leave(sync string, err error) error {
	if err == nil || sync == "" || !unresolvable(err) {
		return err
	}
	u[sync] = err.Error()
	return nil
}

// sweepAgain begins a sweep of each sync that the log asks for. One that is
// under way begins anew: it goes no further before touches are resolved again.
func (u unresolved) sweepAgain(ctx context.Context, tx *sql.Tx) error {
	for _, sync := range slices.Sorted(maps.Keys(u)) {
		_, err := tx.ExecContext(ctx, `INSERT INTO upkeep_syncs (sync, phase, run, sweep, failure) VALUES (?1, 'rows', 1, 1, ?2)
			ON CONFLICT (sync) DO UPDATE SET phase = CASE WHEN phase <> '' AND force THEN 'forced' ELSE 'rows' END, cursor = '',
				run = run + 1, sweep = 1, force = CASE WHEN phase <> '' THEN force ELSE 0 END, done = 0, total = 0,
				failure = excluded.failure`, sync, u[sync])
		if err != nil {
			return err
		}
	}
	return nil
}

// probe tries whether touches of a sync can be resolved again: it has the
// statements that do it explained.
func probe(ctx context.Context, tx *sql.Tx, s *store.Shape) error {
	p := &planner{byName: map[string]*job{}}
	p.everything(s, 0)
	ways(s, func(path string, way []*store.Member) {
		if len(way) > 1 {
			p.job(s, path, func() string { return upward(s, way) })
		}
	})
	for _, j := range p.jobs {
		rows, err := tx.QueryContext(ctx, "EXPLAIN "+j.query, "[]", "", 0)
		if err != nil {
			return err
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	return nil
}
