package store

import (
	"context"
	"time"
)

// DeleteHeld is the reason of a group that is parked because its sync's limit
// of deletes is reached.
const DeleteHeld = "its record is to be deleted, and the sync's limit of deletes in an hour is reached; look whether they are meant, then let them go with upkeep deletes"

// Deletes holds the deletes of records within a limit, over all processes, so
// that one wrong statement does not empty a remote.
type Deletes interface {
	// SpendDeletes asks for want deletes of a sync's records and returns how
	// many may go. most is the limit in an hour; zero means 100, or a tenth
	// of the sync's records if that is more. Once some were not granted, none
	// are until AllowDeletes, however much time goes by.
	SpendDeletes(ctx context.Context, sync string, want, most int) (Grant, error)
	// ReturnDeletes gives n back that were granted and did not go: as many may go
	// beside the limit, and as many groups that are parked with [DeleteHeld] are
	// made dirty and due. After a restore nothing is given back of what was
	// granted before: none goes then until AllowDeletes.
	ReturnDeletes(ctx context.Context, sync string, n int, granted Grant) error
	// AllowDeletes lets n deletes of a sync go, beside the limit, and makes up to
	// n groups that are parked with [DeleteHeld] dirty and due. It returns how
	// many these were. If more are parked so, deletes stay held beyond the n;
	// else the limit counts anew.
	AllowDeletes(ctx context.Context, sync string, n int) (int64, error)
	// FreeDeletes makes the groups dirty and due that are parked with
	// [DeleteHeld] though deletes of their sync are not held: a person allowed
	// them between the answer of SpendDeletes and its record. It returns how
	// many these were, of the syncs given.
	FreeDeletes(ctx context.Context, syncs []string) (int64, error)
	// HeldDeletes lists the syncs whose limit was reached, by name.
	HeldDeletes(ctx context.Context) ([]HeldDeletes, error)
}

// Grant is an answer of SpendDeletes.
type Grant struct {
	Deletes  int       // that may go
	Restored time.Time // what [Origins].Restored was
}

// HeldDeletes is a sync whose limit of deletes was reached.
type HeldDeletes struct {
	Sync  string
	Held  int64     // groups that are parked for it
	Later int64     // how many of these have later versions, which wait behind the deletion
	Since time.Time // when the first was not granted
}

const (
	// DeletePeriod is the time to which a limit of deletes applies.
	DeletePeriod = time.Hour
	// FewDeletes may go in that time whatever the size of the sync.
	FewDeletes = 100
)

// DeleteLimit is the limit of a sync with so many records at the remote.
func DeleteLimit(most int, records int64) int64 {
	if most > 0 {
		return int64(most)
	}
	return max(FewDeletes, records/10)
}
