package upkeep

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A mere look (Explain, Forecast, Verify, an audit) calls the user's functions
// too, and takes nothing from the engine that is at work: it has a budget of
// its own, and does not begin again what is known not to end.

// look makes the representations of jobs, which are waited for. A group whose
// translation does not end is refused.
func (r *runner) look(ctx context.Context, jobs []*job) {
	rest := slices.DeleteFunc(slices.Clone(jobs), func(j *job) bool { return j.done })
	for len(rest) > 0 {
		name := rest[0].def.Name
		if !r.looks.enter(ctx, name) {
			break
		}
		if rest = r.unknown(ctx, rest); len(rest) == 0 || ctx.Err() != nil {
			r.looks.exit(name)
			break
		}
		p := &pass{jobs: rest, ended: make(chan struct{}), late: make(chan struct{}), next: *rest[0]}
		go p.run()
		if rest = rest[r.attend(ctx, p):]; len(rest) > 0 {
			r.looks.lose(&lost{id: rest[0].claim.ID, generation: rest[0].claim.Generation, ended: p.late, look: true}, ctx.Err() == nil)
		}
		r.looks.exit(name)
		if len(rest) > 0 && ctx.Err() == nil {
			r.log.Error("a translation does not end; the look at its group is given up, and it goes on in the background until the process ends", "sync", name, "key", rest[0].claim.Key)
			rest[0].refuse(r.overdue(rest[0]))
			rest = rest[1:]
		}
	}
	for _, j := range rest { // a stop: nobody is to blame
		j.finish(store.Result{Outcome: store.Released})
	}
}

// unknown refuses the groups whose translation is known not to end, and all when
// too many do not, and returns the others. One that an earlier look had no time
// for is waited for first.
func (r *runner) unknown(ctx context.Context, jobs []*job) (rest []*job) {
	for _, j := range jobs {
		l := r.looks.known(j.claim)
		for w := r.newWatch(r.cfg.TranslateLimit); l != nil && !l.givenUp.Load() && ctx.Err() == nil; {
			if w.step(ctx, l.ended) {
				l = nil
			} else if w.over() {
				l.givenUp.Store(true)
			}
		}
		switch {
		case l != nil && l.givenUp.Load():
			j.refuse(r.overdue(j))
		case r.looks.full(j.def.Name):
			j.refuse(fmt.Sprintf("translate: %d looks at groups of sync %s do not end in this process, and no more are begun: mend what loops or waits in its functions, and start the process again", mostStuck, j.def.Name))
		default:
			rest = append(rest, j)
		}
	}
	return rest
}

// columnsRead is what a suspect's fields are made of; nil when finding that
// out does not end, since it gives the functions values that they may not know.
func (r *runner) columnsRead(ctx context.Context, j *job) []string {
	if r.looks.full(j.def.Name) {
		return nil
	}
	try, columns, done := *j, []string(nil), make(chan struct{})
	go func() {
		defer close(done) // also when a function ends the goroutine
		columns = try.reads(try.changed)
	}()
	for w := r.newWatch(r.cfg.TranslateLimit); !w.over() && ctx.Err() == nil; {
		if w.step(ctx, done) {
			return columns
		}
	}
	r.looks.lose(&lost{id: store.ID{Sync: j.def.Name}, ended: done, look: true}, true) // of no group: it may well be translated
	return nil
}

// lost is a call of the user's functions for a group that nobody waits for.
type lost struct {
	id         store.ID
	generation int64 // of what it is given; zero: it is not known
	ended      <-chan struct{}
	look       bool        // of a look, not of the engine at work
	givenUp    atomic.Bool // it had its time
}

// looks are the turns of those that look, one at a time for each sync, and what
// is known not to end in this process.
type looks struct {
	mu    sync.Mutex
	turns map[string]chan struct{}
	lost  []*lost
}

func newLooks() *looks { return &looks{turns: map[string]chan struct{}{}} }

// enter waits for the turn of a sync; false: ctx has ended.
func (l *looks) enter(ctx context.Context, sync string) bool {
	l.mu.Lock()
	if l.turns[sync] == nil {
		l.turns[sync] = make(chan struct{}, 1)
	}
	turn := l.turns[sync]
	l.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *looks) exit(sync string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	<-l.turns[sync]
}

func (l *looks) lose(one *lost, givenUp bool) {
	one.givenUp.Store(givenUp)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
	l.lost = append(l.lost, one)
}

// known is a call for the group as it is that has not ended; nil: there is none.
func (l *looks) known(c store.Claim) *lost {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
	for _, one := range l.lost {
		if one.id == c.ID && (one.generation == c.Generation || one.generation == 0 || c.Generation == 0) {
			return one
		}
	}
	return nil
}

// full says whether so many looks at a sync do not end that no more are begun.
func (l *looks) full(sync string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
	n := 0
	for _, one := range l.lost {
		if one.look && one.id.Sync == sync {
			n++
		}
	}
	return n >= mostStuck
}

// forget drops what has ended after all.
func (l *looks) forget() {
	l.lost = slices.DeleteFunc(l.lost, func(one *lost) bool {
		select {
		case <-one.ended:
			return true
		default:
			return false
		}
	})
}
