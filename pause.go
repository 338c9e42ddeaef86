package upkeep

import (
	"context"
	"fmt"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/spelling"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Pause pauses a remote or a sync until [Engine.Resume]: p.Remote or p.Sync
// names it, p.Reason is for people. When it returns, [Engine.Run] of this engine
// claims nothing more there and begins no call; other engines, and reads such as
// those of [Engine.Verify], see it within a second. Calls that have begun by then
// end. Touches go on being folded, so that nothing is lost. A second pause of the
// same one changes the reason, if it gives one. ErrNotInstalled before anything is
// installed.
func (e *Engine) Pause(ctx context.Context, p Pause) error {
	if err := e.pausable(p); err != nil {
		return err
	}
	if err := e.intervene(ctx, Intervention{Did: "pause", Remote: p.Remote, Sync: p.Sync, Detail: p.Reason}); err != nil {
		return err
	}
	if err := e.db.PauseByHand(ctx, p); err != nil {
		return err
	}
	e.tell(p, true)
	return nil
}

// Resume ends a pause that [Engine.Pause] made; false if there was none, also where
// neither a remote nor a sync has that name. A name that is not declared is taken,
// since what has left the configuration may still be paused. Run of this engine
// goes on at once, others within a second. If the
// breaker of that remote, or of the sync's, is open, some process at work probes
// it at once: who says resume has mended what kept it.
func (e *Engine) Resume(ctx context.Context, p Pause) (bool, error) {
	if p.Remote != "" && p.Sync != "" || p.Remote == "" && p.Sync == "" {
		return false, errPauseOf
	}
	if err := e.intervene(ctx, Intervention{Did: "resume", Remote: p.Remote, Sync: p.Sync}); err != nil {
		return false, err
	}
	// What the configuration no longer names may still be paused.
	was, err := e.db.ResumeByHand(ctx, p)
	if err != nil {
		return was, err
	}
	e.tell(p, false)
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
	return fmt.Errorf("there is no remote %q%s; there are: %s", p.Remote, spelling.DidYouMean(p.Remote, names), strings.Join(names, ", "))
}

// tell has this engine's Run know at once of a pause that was made, or ended.
func (e *Engine) tell(p Pause, paused bool) {
	gates := e.gates.Load()
	if gates == nil { // it has not begun, and looks when it does
		return
	}
	for _, g := range *gates {
		g.hear(p, paused)
	}
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

// hear notes a pause that the database has, or has no more.
func (g *gate) hear(p Pause, paused bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.heldTurns++
	switch {
	case p.Sync != "":
		if g.held.syncs == nil {
			g.held.syncs = map[string]bool{}
		}
		g.held.syncs[p.Sync] = paused
	case p.Remote == g.remote.Name:
		g.held.remote = paused
	}
	g.signal() // who waits in enter looks again
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
