package upkeep

import (
	"context"
	"fmt"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Pause pauses a remote or a sync until [Engine.Resume]: p.Remote or p.Sync
// names it, p.Reason is for people. All processes see it within a second and
// then claim and send nothing there; calls under way end. Touches go on being
// folded, so that nothing is lost. A second pause of the same one changes the
// reason, if it gives one. ErrNotInstalled before anything is installed.
func (e *Engine) Pause(ctx context.Context, p Pause) error {
	if err := e.pausable(p); err != nil {
		return err
	}
	return e.db.PauseByHand(ctx, p)
}

// Resume ends a pause that [Engine.Pause] made; false if there was none. If the
// breaker of that remote, or of the sync's, is open, some process at work probes
// it at once: who says resume has mended what kept it.
func (e *Engine) Resume(ctx context.Context, p Pause) (bool, error) {
	if p.Remote != "" && p.Sync != "" || p.Remote == "" && p.Sync == "" {
		return false, errPauseOf
	}
	// What the configuration no longer names may still be paused.
	was, err := e.db.ResumeByHand(ctx, p)
	if err != nil {
		return was, err
	}
	remote := p.Remote
	if d := e.byName[p.Sync]; d != nil {
		remote = d.To.Name
	}
	_, err = e.db.ProbeNow(ctx, remote)
	return was, err
}

var errPauseOf = fmt.Errorf("a pause is of a remote or of a sync: name one of them")

// pausable says what is wrong with the name of a pause.
func (e *Engine) pausable(p Pause) error {
	switch {
	case (p.Remote == "") == (p.Sync == ""):
		return errPauseOf
	case p.Sync != "":
		_, err := e.definition(p.Sync)
		return err
	}
	var names []string
	for _, r := range e.remotes {
		if r.Name == p.Remote {
			return nil
		}
		names = append(names, r.Name)
	}
	return fmt.Errorf("there is no remote %q; there are %v", p.Remote, names)
}

// pauseOf finds the pause that holds a sync back: its own, or its remote's.
func pauseOf(pauses []Pause, d *definition) *Pause {
	for _, p := range pauses {
		if p.Sync == d.Name || p.Remote != "" && p.Remote == d.To.Name {
			return &p
		}
	}
	return nil
}

// held is what people paused, as far as one remote is concerned.
type held struct {
	remote bool
	syncs  map[string]bool
}

func heldBy(pauses []store.Pause, remote string) held {
	h := held{syncs: map[string]bool{}}
	for _, p := range pauses {
		if p.Sync != "" {
			h.syncs[p.Sync] = true
		}
		h.remote = h.remote || p.Remote == remote
	}
	return h
}
