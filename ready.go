package upkeep

import (
	"errors"
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/moment"
)

// readyWithin is how long ago the log may have been looked at: several times in a
// second is usual, and a restart of the database, with the pauses between the
// tries, takes less.
const readyWithin = time.Minute

// Ready is nil while [Engine.Run] is at work in this engine and the database has
// answered it within the last minute; else it is an error that says in one
// sentence what is amiss. It asks nobody, so that it may be called at any time. A
// remote that fails is no matter of it, nor is what other processes do: see
// [Engine.Status]. The text has no key, no value and no address.
func (e *Engine) Ready() error {
	if !e.running.Load() {
		if e.failed.Load() != nil {
			return errors.New("Run has ended with an error, and nothing is sent by this process")
		}
		return errors.New("Run is not at work in this process")
	}
	at := e.reached.Load()
	if at == nil {
		return errors.New("Run has begun, and is not at work yet: it installs what is missing, or waits for the database")
	}
	if ago := e.cfg.Clock.Now().Sub(*at); ago > readyWithin {
		return fmt.Errorf("the log of changes was last looked at %s ago: the database does not answer, or refuses; the process's own log says why", moment.Span(ago))
	}
	return nil
}

// reach notes that a stage has worked: the fold is the one that always looks.
func (e *Engine) reach(stage string) {
	if stage == folding {
		now := e.cfg.Clock.Now()
		e.reached.Store(&now)
	}
}
