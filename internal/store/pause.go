package store

import (
	"context"
	"time"
)

// Pauses are made by a person, and end only when a person ends them. Touches
// go on being folded meanwhile. They have nothing to do with [Limits.Pause],
// which a remote asks for and which ends by itself.
type Pauses interface {
	// PauseByHand pauses a remote or a sync. A second pause of the same one
	// changes the reason, if it gives one, and keeps Since. Claim hands out nothing of a paused
	// sync; to leave a paused remote alone is the caller's part.
	PauseByHand(ctx context.Context, p Pause) error
	// ResumeByHand ends a pause; false if there was none. p's Reason and
	// Since do not matter.
	ResumeByHand(ctx context.Context, p Pause) (bool, error)
	// PausedByHand lists all pauses, remotes before syncs, by name.
	PausedByHand(ctx context.Context) ([]Pause, error)
}

// Pause is a pause that a person made, of a remote or of a sync.
type Pause struct {
	Remote string // one of the two is empty
	Sync   string
	Reason string
	Since  time.Time
}

// Subject is the kind of what is paused, "remote" or "sync", and its name.
func (p Pause) Subject() (kind, name string) {
	if p.Remote != "" {
		return "remote", p.Remote
	}
	return "sync", p.Sync
}

// PauseOf undoes Subject.
func PauseOf(kind, name string) Pause {
	if kind == "remote" {
		return Pause{Remote: name}
	}
	return Pause{Sync: name}
}
