package upkeep

import (
	"context"

	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// tellingLocks has it logged when what is done under the context waits long for a
// lock: who has it, and what a person can do.
func (e *Engine) tellingLocks(ctx context.Context) context.Context {
	return store.TellLockWaits(ctx, func(w store.LockWait) {
		args := []any{"on", w.On, "for", moment.Span(w.For), "held_by", w.HeldBy(), "to_do", w.ToDo()}
		if w.Try > 0 {
			args = append(args, "application", "its statements wait "+moment.Span(w.Try)+" at most for it")
		}
		e.log.Warn("waiting for a lock", args...)
	})
}
