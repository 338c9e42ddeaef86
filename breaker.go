package upkeep

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/moment"
)

// leave ends a call that began then, and learns from its answer.
func (g *gate) leave(ctx context.Context, began time.Time, err error) {
	g.mu.Lock()
	if i := slices.Index(g.calls, began); i >= 0 { // of two at one time either
		g.calls = slices.Delete(g.calls, i, i+1)
	}
	g.lastUse = g.cfg.Clock.Now()
	g.signal()
	g.mu.Unlock()
	if err == nil {
		g.wellAgain(ctx)
		return
	}
	e := connector.AsError(err)
	switch e.Kind {
	case connector.RateLimited:
		g.pause(ctx, e)
	case connector.Unknown, connector.Unavailable, connector.Unauthorized:
		if ctx.Err() == nil { // a call that we cut off says nothing of the remote
			g.failed(ctx, e)
		}
	default: // it answered, and means this record only
		g.wellAgain(ctx)
	}
}

// wellAgain notes an answer: the breaker closes.
func (g *gate) wellAgain(ctx context.Context) {
	g.mu.Lock()
	was := g.broken
	g.failures, g.throttled = 0, 0
	g.broken, g.probing, g.breaks = false, false, 0
	say := g.unsaid == 0
	if was {
		g.turned()
	}
	g.mu.Unlock()
	if !was {
		return
	}
	g.telling.Lock()
	defer g.telling.Unlock()
	defer g.told()
	if g.isBroken() {
		return
	}
	if err := g.db.Mend(ctx, g.remote.Name); err != nil {
		g.log.Error("mend breaker", "remote", g.remote.Name, "error", err)
		return
	}
	if say {
		g.log.Info("the remote answers again", "remote", g.remote.Name)
	}
}

// longestAsked is for how long a remote, or a record of it, is left alone at most
// because it was asked for: then one try says whether it is still so. A quota of a
// day costs some tries until the day is over, and a slip of the remote's ("in
// three years") an hour.
const longestAsked = time.Hour

// asked is how long to wait as an error says, zero if it does not, and what to
// tell of the error: with what was asked for, where that is more.
func asked(e *connector.Error) (wait time.Duration, text string) {
	text = cut(e.Error(), maxMessage)
	if e.RetryAfter <= longestAsked {
		return max(e.RetryAfter, 0), text
	}
	return longestAsked, fmt.Sprintf("%s (it asked to be left alone for %s; it is tried again after %s)", text, moment.Span(e.RetryAfter), moment.Span(longestAsked))
}

// pause leaves the remote alone for as long as it asked, or, when it did not
// say, for a growing time.
func (g *gate) pause(ctx context.Context, e *connector.Error) {
	g.mu.Lock()
	d, text := asked(e)
	now := g.cfg.Clock.Now()
	if !g.pausedUntil.After(now) { // one step for all calls that were refused together
		g.throttled++
	}
	if d <= 0 {
		d = min(200*time.Millisecond<<min(g.throttled, 10), longestOff)
		d = time.Duration(float64(d) * (0.5 + g.cfg.Random()))
	}
	if end := now.Add(d); end.After(g.pausedUntil) {
		g.pausedUntil = end
	}
	g.probed = false // it told nothing: after the pause another one may
	g.signal()
	g.mu.Unlock()
	if err := g.db.Pause(ctx, g.remote.Name, d, text); err != nil {
		g.log.Error("pause remote", "remote", g.remote.Name, "error", err)
	}
}

// failed counts a failure of the remote and opens the breaker after some in a
// row, or when a probe failed.
func (g *gate) failed(ctx context.Context, e *connector.Error) {
	g.mu.Lock()
	g.failures++
	after, first, longest := breakAfter, time.Second, longestOff
	if e.Kind == connector.Unauthorized {
		// It is as likely to be refused again, and a remote may lock a user
		// out who comes with wrong credentials too often.
		after, first, longest = lockedOutAfter, 5*time.Second, longestLockOut
	}
	open := g.failures >= after || g.probing
	if !open || (g.broken && !g.probing) { // already open: an answer that was under way
		g.mu.Unlock()
		return
	}
	d := min(first<<min(g.breaks, 10), longest)
	d = time.Duration(float64(d) * (0.5 + g.cfg.Random()))
	g.breaks++
	g.broken, g.probing = true, false
	g.nextProbe = g.cfg.Clock.Now().Add(d)
	g.turned()
	g.signal()
	unsaid, say := g.say()
	g.mu.Unlock()
	if say {
		g.log.Warn("the remote fails; its breaker is open", "remote", g.remote.Name, "probe_in", d, "error", cut(e.Error(), maxMessage), "opened_since_told", unsaid)
	}
	g.telling.Lock()
	defer g.telling.Unlock()
	defer g.told()
	if !g.isBroken() { // another call was answered meanwhile
		return
	}
	if err := g.db.Break(ctx, g.remote.Name, d, cut(e.Error(), maxMessage)); err != nil {
		g.log.Error("open breaker", "remote", g.remote.Name, "error", err)
	}
}

// say says whether to tell the log that the breaker opens, and how often it did so
// untold: a remote that fails for some records only opens it every second. The caller
// holds mu.
func (g *gate) say() (unsaid int, yes bool) {
	now := g.cfg.Clock.Now()
	if !g.said.IsZero() && now.Sub(g.said) < sayEvery {
		g.unsaid++
		return 0, false
	}
	unsaid, g.unsaid, g.said = g.unsaid, 0, now
	return unsaid, true
}

func (g *gate) isBroken() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.broken
}

// turned notes that the breaker has opened or closed here, until [gate.told] says
// that the database was told: what [gate.look] reads meanwhile is older. The caller
// holds mu.
func (g *gate) turned() {
	g.turns++
	g.untold++
}

// told ends what turned began.
func (g *gate) told() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.untold--
}
