package store

import (
	"context"
	"time"
)

// Origin tells a database from one that was restored from a backup, copied, or
// failed over to.
type Origin struct {
	// ID is another one after a restore, a copy or a failover. Its last part,
	// after the last colon, is the only one that a failover changes. Empty: not
	// known.
	ID string
	// Place grows with every commit while ID stays the same. Zero: not known.
	Place int64
	// PutBack: the registry's rows are not those that were written last, though
	// the database is the same.
	PutBack bool
	// Mark is another one whenever any of this may be, and is cheap to compare.
	// Empty: not known.
	Mark string
}

// Origins notices that a registry is not the one that it was: what it says of
// the remote may be old.
type Origins interface {
	// Origin reads the database's origin, and the ID that was noted last (empty:
	// none yet).
	Origin(ctx context.Context) (now Origin, noted string, err error)
	// NoteOrigin notes an ID. With restored, in one transaction, a forced sweep
	// of every sync begins, all deletes are held until [Deletes.AllowDeletes],
	// and Restored tells it from then on.
	// A sync that is in later is swept by force once more when so much time has
	// passed.
	NoteOrigin(ctx context.Context, id string, restored bool, later map[string]time.Duration) error
	// SweepLater begins those sweeps whose time has come, and returns of which
	// syncs.
	SweepLater(ctx context.Context) (syncs []string, err error)
	// Restored is when a restore was noted last; zero: never.
	Restored(ctx context.Context) (time.Time, error)
}
