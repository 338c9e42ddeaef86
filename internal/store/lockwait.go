package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/moment"
)

// LockWait is a lock that [Capture.Install] or [Store.Uninstall] does not get,
// and goes on asking for.
type LockWait struct {
	On      string        // "table public.orders"
	For     time.Duration // how long it has waited by now
	Try     time.Duration // how long each try waits, and others behind it at most
	Holders []LockHolder  // the oldest first, three at most; none: short ones, one after the other
}

// LockHolder is who has a lock, as far as the connected role may see.
type LockHolder struct {
	Process int    // as pg_stat_activity has it; zero: a prepared transaction
	GID     string // of the prepared transaction
	Role    string
	Name    string    // what the application calls itself; or what else the process is
	State   string    // "idle in transaction"; empty: the role may not see it
	Since   time.Time // when the transaction began, or was prepared; zero: the role may not see it
	End     string    // the statement that ends it
}

// String is the holder for people. It has nothing of what it runs.
func (h LockHolder) String() string {
	var b strings.Builder
	if h.GID != "" {
		fmt.Fprintf(&b, "prepared transaction %s", h.GID)
	} else {
		fmt.Fprintf(&b, "process %d", h.Process)
	}
	if h.Role != "" {
		b.WriteString(" of " + h.Role)
	}
	if h.Name != "" {
		b.WriteString(" (" + h.Name + ")")
	}
	switch {
	case h.GID != "":
		b.WriteString(", prepared at " + moment.Of(h.Since))
	case h.State == "":
		b.WriteString(", whose state only a member of pg_read_all_stats sees")
	case h.Since.IsZero(): // no transaction
		b.WriteString(", " + h.State)
	default:
		b.WriteString(", " + h.State + ", its transaction open since " + moment.Of(h.Since))
	}
	return b.String()
}

// HeldBy names the holders.
func (w LockWait) HeldBy() string {
	var all []string
	for _, h := range w.Holders {
		all = append(all, h.String())
	}
	if len(all) == 0 {
		return "transactions that are short, one after the other"
	}
	return strings.Join(all, "; ")
}

// ToDo is what a person may do about it.
func (w LockWait) ToDo() string {
	var ends []string
	for _, h := range w.Holders {
		if h.End != "" {
			ends = append(ends, h.End)
		}
	}
	if len(ends) == 0 {
		return "nothing: it goes on by itself"
	}
	return "nothing, when that ends soon: it goes on by itself; or end it: " + strings.Join(ends, "; ")
}

// String says all of it for a person.
func (w LockWait) String() string {
	text := fmt.Sprintf("waiting for a lock on %s, for %s by now; held by %s. ", w.On, moment.Span(w.For), w.HeldBy())
	if w.Try > 0 {
		text += fmt.Sprintf("The application's statements wait %s at most for it: it asks again and again, and briefly. ", moment.Span(w.Try))
	}
	return text + "To do: " + w.ToDo()
}

// lockWaits is the key of who is told of waits for locks.
type lockWaits struct{}

// TellLockWaits returns a context under which tell is called by a call that
// waits for a lock for more than a second, and again each minute.
func TellLockWaits(ctx context.Context, tell func(LockWait)) context.Context {
	return context.WithValue(ctx, lockWaits{}, tell)
}

// WaitsForLock tells whom [TellLockWaits] named; nobody: nothing.
func WaitsForLock(ctx context.Context, w LockWait) {
	if tell, ok := ctx.Value(lockWaits{}).(func(LockWait)); ok {
		tell(w)
	}
}
