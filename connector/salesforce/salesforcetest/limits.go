package salesforcetest

import (
	"fmt"
	"sync"
	"time"
)

// budget counts the requests of the last 24 hours.
type budget struct {
	mu     sync.Mutex
	limit  int
	byHour map[int64]int // since 1970
}

func (b *budget) used(now time.Time) int {
	n, hour := 0, now.Unix()/3600
	for h, k := range b.byHour {
		if h <= hour-24 {
			delete(b.byHour, h)
			continue
		}
		n += k
	}
	return n
}

func (b *budget) add(now time.Time, n int) {
	if b.byHour == nil {
		b.byHour = map[int64]int{}
	}
	b.byHour[now.Unix()/3600] += n
}

// spend takes one request; false when there is none left. The real org lets
// some more pass now and then.
func (b *budget) spend(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used(now) >= b.limit {
		return false
	}
	b.add(now, 1)
	return true
}

// info is the header Sforce-Limit-Info.
func (b *budget) info(now time.Time) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprintf("api-usage=%d/%d", b.used(now), b.limit)
}

// Usage is how many requests were made in the last 24 hours, and how many may
// be.
func (s *Server) Usage() (used, limit int) {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	return s.budget.used(s.now()), s.budget.limit
}

// SetUsage makes it so: as if others had used the rest.
func (s *Server) SetUsage(used, limit int) {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	clear(s.budget.byHour)
	s.budget.add(s.now(), used)
	s.budget.limit = limit
}

func (s *Server) serveLimits(*call) (*reply, *apiError) {
	used, limit := s.Usage()
	return jsonReply(200, map[string]any{
		"DailyApiRequests":                  map[string]int{"Max": limit, "Remaining": max(0, limit-used)},
		"DailyBulkV2QueryJobs":              map[string]int{"Max": 10000, "Remaining": 10000},
		"DailyBulkApiBatches":               map[string]int{"Max": 15000, "Remaining": 15000},
		"ConcurrentAsyncGetReportInstances": map[string]int{"Max": 200, "Remaining": 200},
	}), nil
}

// running are the requests under way: only some may take long.
type running struct {
	mu    sync.Mutex
	since map[*call]time.Time
}

func (r *running) begin(c *call, most int, long time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, now := 0, time.Now()
	for _, at := range r.since {
		if now.Sub(at) >= long {
			n++
		}
	}
	if n >= most {
		return false
	}
	r.since[c] = now
	return true
}

func (r *running) end(c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.since, c)
}
