package nemesis

import (
	"context"
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
	w.open(connector.Upsert)
	remote, err := url.Parse(w.place.Worker.Remote)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(remote)
	network := &http.Transport{}
	t.Cleanup(network.CloseIdleConnections)
	proxy.Transport = network
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) } // a killed worker's
	gate := &turnstile{next: proxy}
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
