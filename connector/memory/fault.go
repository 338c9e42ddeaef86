package memory

import (
	"context"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// Fault is a disturbance of calls. What it holds of On, Type and ExternalID
// must match; the first fault that matches a call is used, oldest first.
type Fault struct {
	On         Verb   // [Any]: every verb
	Type       string // empty: every type
	ExternalID string // empty: every record
	// After lets so many matching calls pass undisturbed first.
	After int
	// Times is how many calls are disturbed. Zero means one, negative all.
	Times int

	// Err is what the call returns; see [Err]. Nil: the call goes on as
	// usual (after the latency).
	Err error
	// Applied: the request is applied before the call waits and fails.
	// Otherwise a call that fails changes nothing.
	Applied bool
	// Late: the call fails with Unknown (or Err) now, and is applied when
	// [Remote.Land] is called.
	Late bool

	// Latency is how long the call takes.
	Latency time.Duration
	// Until holds the call until it is closed. Nil: not held.
	Until <-chan struct{}
	// Hang holds the call until its context ends or its connection closes.
	Hang bool
}

// Err is an error of a kind, for [Fault]. RetryAfter may be set on it.
func Err(k connector.Kind) *connector.Error {
	return &connector.Error{Kind: k, Message: "the test remote was told to fail"}
}

// Fail adds a fault.
func (r *Remote) Fail(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, &f)
}

// FailWhen adds a rule that looks at each call before it is applied and
// answers with a fault, or nil for none: for random faults, or to refuse what
// a field holds. Only the fault's effect counts, not what it matches. Faults
// of [Remote.Fail] come first. The rule must not call the remote.
func (r *Remote) FailWhen(rule func(Request) *Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules = append(r.rules, rule)
}

// Heal forgets all faults and rules. Calls under way and late requests stay.
func (r *Remote) Heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults, r.rules = nil, nil
}

// Late returns the requests that were answered with Unknown and are still to
// land.
func (r *Remote) Late() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Request(nil), r.late...)
}

// Land applies the oldest n late requests (all: negative) and returns how
// many there were. One that can't be applied any more has no effect, as at a
// real remote.
func (r *Remote) Land(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n < 0 || n > len(r.late) {
		n = len(r.late)
	}
	for _, q := range r.late[:n] {
		_, _ = r.apply(q) // the caller went away long ago
	}
	r.late = append([]Request(nil), r.late[n:]...)
	return n
}

// match finds the fault for a call and uses it up.
func (r *Remote) match(q Request) *Fault {
	for i, f := range r.faults {
		if f.On != Any && f.On != q.Verb || f.Type != "" && f.Type != q.Type ||
			f.ExternalID != "" && f.ExternalID != q.ExternalID {
			continue
		}
		if f.After > 0 {
			f.After--
			continue
		}
		use := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				r.faults = append(r.faults[:i:i], r.faults[i+1:]...)
			}
		}
		return &use
	}
	for _, rule := range r.rules {
		if f := rule(q); f != nil {
			return f
		}
	}
	return nil
}

// hold waits as the fault says, and returns an error when ctx or the
// connection ended first.
func (f *Fault) hold(ctx context.Context) error {
	if f.Latency > 0 {
		t := time.NewTimer(f.Latency)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	until := f.Until
	if f.Hang {
		until = make(chan struct{})
	}
	if until == nil {
		return nil
	}
	select {
	case <-until:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
