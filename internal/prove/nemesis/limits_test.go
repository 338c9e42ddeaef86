package nemesis

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

// turnstile counts the requests under way on their way to a remote, and holds
// each up a little, so that there are many.
type turnstile struct {
	next http.Handler

	mu         sync.Mutex
	busy, most int
	lately     int // the most since somebody looked
}

func (s *turnstile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.busy++
	s.most, s.lately = max(s.most, s.busy), max(s.lately, s.busy)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.busy--
		s.mu.Unlock()
	}()
	time.Sleep(15 * time.Millisecond) // the latency of the remote
	s.next.ServeHTTP(w, r)
}

// look returns the most requests at once, ever and since the last look.
func (s *turnstile) look() (most, lately int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lately, s.lately = s.lately, 0
	return s.most, lately
}

// The limit of a remote holds over all processes, and goes on holding when one
// that has a share of it is killed; its share comes free when its time is over.
func TestLimitOverProcesses(t *testing.T) {
	server := pgtest.Start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	w := &world{t: t, ctx: ctx, server: server, rand: rand.New(rand.NewPCG(*seed, 77))}
	w.open(connector.Upsert, false)
	gate := &turnstile{next: w.remote()}
	front := httptest.NewServer(gate)
	t.Cleanup(front.Close)
	const limit = 2 // fewer than processes: one of them has to go without
	w.config.Remote, w.config.Concurrency, w.config.Batch = front.URL, limit, 1
	stop := w.write()
	for range processes {
		w.start()
	}
	w.progress(30)
	full := func(who string) {
		gate.look()
		w.until("the whole limit to be used by "+who, func() bool { _, lately := gate.look(); return lately == limit })
	}
	full("three processes")
	for left := processes - 1; left > 0; left-- {
		p := w.alive()
		p.Signal(syscall.SIGKILL)
		<-p.Done()
		w.progress(10) // the others go on with their share
	}
	// The clock of the registry, past the time for which the dead hold theirs.
	w.place.Hurried = true
	if err := w.place.Advance(ctx, time.Minute); err != nil {
		t.Fatal(err)
	}
	full("the one that is left")
	stop()
	w.end()
	if most, _ := gate.look(); most > limit {
		t.Errorf("%d requests at once, the limit is %d", most, limit)
	}
	if err := w.judge().Err(); err != nil {
		t.Error(err)
	}
}

// remote passes requests on to the ledger.
func (w *world) remote() http.Handler {
	w.t.Helper()
	remote, err := url.Parse(w.place.Worker.Remote)
	if err != nil {
		w.t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(remote)
	network := &http.Transport{}
	w.t.Cleanup(network.CloseIdleConnections)
	proxy.Transport = network
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) } // a killed worker's
	return proxy
}

// meter notes when requests come in on their way to a remote.
type meter struct {
	next http.Handler

	mu    sync.Mutex
	times []time.Time
}

func (m *meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.times = append(m.times, time.Now())
	m.mu.Unlock()
	m.next.ServeHTTP(w, r)
}

// most returns the requests of the window that is furthest over, or nearest to,
// a bucket that holds burst tokens and gets rate a second, and what the bucket
// gives in it. A process that takes a token may use it a while later.
func (m *meter) most(rate float64, burst int, late time.Duration) (requests int, allowed float64, window time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	worst := math.Inf(-1)
	for i := range m.times {
		for j := i; j < len(m.times); j++ {
			d := m.times[j].Sub(m.times[i])
			may := float64(burst) + rate*(d+late).Seconds()
			if over := float64(j-i+1) - may; over > worst {
				worst, requests, allowed, window = over, j-i+1, may, d
			}
		}
	}
	return requests, allowed, window
}

func (m *meter) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.times)
}

// The rate of a remote holds over all processes in every window of time, while
// processes are killed by chance and others start in their place: one that
// starts has no bucket of its own.
func TestRateOverProcesses(t *testing.T) {
	server := pgtest.Start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	w := &world{t: t, ctx: ctx, server: server, rand: rand.New(rand.NewPCG(*seed, 78))}
	w.open(connector.Upsert, false)
	at := &meter{next: w.remote()}
	front := httptest.NewServer(at)
	t.Cleanup(front.Close)
	const (
		rate, burst = 40, 10
		// A token is of use for a second after it was taken (gate.go), and a
		// request needs a moment to come here.
		late = 1500 * time.Millisecond
	)
	w.config.Remote, w.config.Rate, w.config.Burst, w.config.Concurrency, w.config.Batch = front.URL, rate, burst, 60, 1
	stop := w.write()
	for range processes {
		w.start()
	}
	w.progress(rate)
	for range 5 * *rounds {
		p := w.alive()
		p.Signal(syscall.SIGKILL)
		<-p.Done()
		w.start()
		was := at.count()
		w.until("requests", func() bool { return at.count() >= was+2*rate })
	}
	requests, allowed, window := at.most(rate, burst, late)
	t.Logf("%d requests in all; the fullest window has %d in %s, where %.0f may be", at.count(), requests, window.Round(time.Millisecond), allowed)
	if float64(requests) > allowed {
		t.Errorf("%d requests in %s, where the limit allows %.0f", requests, window, allowed)
	}
	// The clock of the registry, past the time for which the dead hold what they had.
	w.place.Hurried = true
	if err := w.place.Advance(ctx, time.Minute); err != nil {
		t.Fatal(err)
	}
	stop()
	w.end()
	if err := w.judge().Err(); err != nil {
		t.Error(err)
	}
}
