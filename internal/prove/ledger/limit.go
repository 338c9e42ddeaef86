package ledger

import "time"

const (
	// peace is for how long who is over the limit is asked to let the remote be.
	peace = 2 * time.Second
	// spreads is how long it may take until all processes have heard of it: each
	// looks at the registry a few times a second, and has requests on their way.
	spreads = time.Second
)

// limit is how many requests the remote takes in a second, and what came of it.
type limit struct {
	most   int // zero: no limit
	window time.Time
	within int       // requests of the window
	asked  time.Time // when it asked for peace last, and was not in it
	told   Throttled
}

// Throttled counts requests since [Server.Limit] was called.
type Throttled struct {
	Calls    int
	Over     int // the limit
	Asked    int // times that the remote asked for peace
	Heedless int // that came when all had had the time to hear of it
}

// Limit is how many requests the remote takes in a second from now on; zero: any
// number. Those above get a 429 with Retry-After.
func (s *Server) Limit(most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit{most: most}
}

// Throttled tells what came of the limit.
func (s *Server) Throttled() Throttled {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limit.told
}

// over counts a request, and tells whether it is one too many.
func (l *limit) over(now time.Time) bool {
	if l.most == 0 {
		return false
	}
	if now.Sub(l.window) >= time.Second {
		l.window, l.within = now, 0
	}
	l.within++
	l.told.Calls++
	since := now.Sub(l.asked)
	if since > spreads && since < peace {
		l.told.Heedless++
	}
	if l.within <= l.most {
		return false
	}
	l.told.Over++
	if since >= peace {
		l.asked = now
		l.told.Asked++
	}
	return true
}

// Refuse has the remote refuse every create and update of some records, by type
// and external id, for good.
func (s *Server) Refuse(records ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range records {
		s.refused[r] = true
	}
}
