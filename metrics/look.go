package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep"
)

const (
	// longest a look may take: less than a scrape's usual limit of ten seconds,
	// so that it is told that the database does not answer.
	longest = 8 * time.Second
	// fresh is how long the answer of a quick look is good for.
	fresh = 5 * time.Second
	// share of the time that looks may take is one part in so many, whoever
	// scrapes how often; but no answer is older than oldest.
	share  = 10
	oldest = time.Minute
)

type statusFunc func(context.Context) (*upkeep.Status, error)

// look asks how things stand, once for all who want to know at about the same time.
type look struct {
	status statusFunc
	now    func() time.Time

	mu    sync.Mutex // held while it is looked: who comes then waits for that answer
	until time.Time  // the answer is good
	last  *upkeep.Status
	err   error
}

// take is the answer of a look that is fresh enough, or of a new one.
func (l *look) take() (*upkeep.Status, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	began := l.now()
	if began.Before(l.until) {
		return l.last, l.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	l.last, l.err = l.status(ctx)
	ended := l.now()
	l.until = ended.Add(max(fresh, min(share*ended.Sub(began), oldest)))
	return l.last, l.err
}
