package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A sync whose touches can't be resolved, since a right was taken away or a
// table altered, keeps no other sync's from being. What is in the log for it
// asks for a sweep, which waits until the sync's tables can be read again:
// upkeep.syncs.failure says why they can't. Until then its touches are not tried.

// level is how much of a sync's touches is resolved.
type level int

const (
	resolves level = iota // all of it
	// knows: what the log itself says of the root's rows. That a row was deleted
	// must come from there: a sweep can't tell.
	knows
	asks // nothing; a sweep looks for all of it
)

// held is a sync whose touches could not be resolved.
type held struct {
	level  level
	reason string
}

// unresolved is an error of one sync's touches.
type unresolved struct {
	sync string
	err  error
}

func (u *unresolved) Error() string { return "fold touches of sync " + u.sync + ": " + u.err.Error() }

func (u *unresolved) Unwrap() error { return u.err }

// unresolvable says whether a touch can't be resolved as the tables are now:
// they were retyped, renamed or dropped, or can't be read, or a row can have no
// group. What concerns no one sync (the connection, memory, locks, a deadlock) is
// no such error.
func unresolvable(err error) bool {
	if errors.Is(err, store.ErrNotInstalled) {
		return false
	}
	c := code(err)
	switch c {
	case "42P01", "42703", "42883", "42804", "42501", "3F000": // table, column, operator, type, right, schema
		return true
	case "54000": // a limit of the server's; what is too long for an index is left out before: see [taken]
		return true
	}
	switch {
	case strings.HasPrefix(c, "22"), strings.HasPrefix(c, "23"): // a value that is not of the type, or that a constraint or a domain refuses
		return true
	}
	return strings.HasPrefix(c, "P0") // what a function of the user raises: of a domain, a type
}

// alone raises the groups of touches by hand one by one. Those that can be no
// group's come to nothing.
func (f *folding) alone(ctx context.Context, tx pgx.Tx, s *store.Shape, ids []int64) error {
	for _, id := range ids {
		err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { // a savepoint
			_, err := f.raise(ctx, tx, s, []*source{{hand: true, ids: []int64{id}}})
			return err
		})
		if err != nil && !unresolvable(err) {
			return err
		}
		if err != nil {
			unfit := store.ID{Sync: s.Sync}
			if err := tx.QueryRow(ctx, "SELECT key FROM upkeep.touch WHERE id = $1", id).Scan(&unfit.Key); err != nil {
				return err
			}
			f.done.Unfit = append(f.done.Unfit, unfit)
		}
	}
	return nil
}

// sweepAgain begins a sweep that the log asks for, of a sync that failed if there
// is a reason. One that is under way goes to its end first, so that a stream of
// such rows can't keep it at its start; one that has passed nothing yet will see
// it all.
func sweepAgain(ctx context.Context, tx pgx.Tx, sync, reason string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO upkeep.syncs AS s (sync, pass, sweep, started_at, failure) VALUES ($1, 'root', true, upkeep.clock(), $2)
		ON CONFLICT (sync) DO UPDATE SET pass = CASE WHEN s.pass = '' THEN 'root' ELSE s.pass END,
			again = s.pass <> '' AND (s.again OR NOT (`+unbegun+`)), sweep = s.sweep OR s.pass = '', force = s.force AND s.pass <> '',
			cursor = CASE WHEN s.pass <> '' THEN s.cursor END, done = CASE WHEN s.pass = '' THEN 0 ELSE s.done END,
			started_at = CASE WHEN s.pass = '' OR `+unbegun+` THEN excluded.started_at ELSE s.started_at END,
			failure = CASE WHEN $2 = '' THEN s.failure ELSE $2 END`, sync, clean(reason))
	return err
}

// unbegun is true of a sweep in upkeep.syncs s that has passed nothing yet.
const unbegun = `(s.pass = 'root' AND s.sweep AND s.cursor IS NULL)`

// Stumble implements [store.Registry].
func (db *DB) Stumble(ctx context.Context, sync, reason string) error {
	_, err := db.pool.Exec(ctx, "UPDATE upkeep.syncs SET failure = $2 WHERE sync = $1 AND pass <> '' AND failure <> $2", clean(sync), clean(reason))
	return installed(err)
}

// probe tries whether touches of the sync can be resolved again: the statement
// that does it, for none.
func probe(ctx context.Context, tx pgx.Tx, s *store.Shape) error {
	var sources []*source
	s.Root.Walk(func(path string, m, _ *store.Member) {
		sources = append(sources, &source{path: path, member: m, ids: []int64{}})
	})
	sql, args := resolve(s, sources, nil)
	_, err := tx.Exec(ctx, sql, args...)
	return err
}
