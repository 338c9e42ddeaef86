package nemesis

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/internal/prove/oracle"
	"github.com/upkeep-sync/upkeep/internal/prove/provetest"
	"github.com/upkeep-sync/upkeep/internal/prove/worker"
)

var (
	rounds = flag.Int("rounds", 1, "how many times as many faults are injected")
	seed   = flag.Uint64("seed", 1, "of all chances")
	every  = flag.Bool("every", false, "all faults with every class of remote; else each with the class that it is hardest for")
	named  = flag.Bool("named", false, "some faults at least as often as docs/promises.md names, with the class that they are hardest for")
	only   = flag.String("fault", "", "one fault")
)

func TestMain(m *testing.M) {
	worker.Main()
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// fault is one kind of harm.
type fault struct {
	name  string
	class connector.Class
	times int
	// named is how often it is suffered at least, when asked for; many is how many
	// faults one injection is (zero: one).
	named, many int
	// inject does it once and returns when it was really suffered. It leaves
	// nothing broken that heal does not mend.
	inject func(*world)
	heal   func(*world)
	// secure: the workers speak TLS to the remote. certain: nothing may be in
	// doubt afterwards. own: on a server of its own. restored: the registry is
	// of another time.
	// long: only when asked for, or with more rounds than one. jobs: what is
	// backfilled goes in bulk jobs. served: only a database that is a server, or
	// has several writers at once, can suffer it. filed: on a file in the short
	// form too.
	secure, certain, own, restored, long, jobs, served, filed bool
}

// world is a database, a remote, workers and an application that writes.
type world struct {
	t      *testing.T
	ctx    context.Context
	server *pgtest.Server // nil: the database is a file
	name   string         // of the database
	place  *provetest.Place
	store  upkeep.Database // the registry, to look at
	rand   *rand.Rand
	db     *Proxy // between workers and database; nil: a file
	net    *Proxy // between workers and remote
	front  *front // speaks TLS before the remote; nil: nobody does

	config  worker.Config
	last    int // customer that a fault made
	workers []*worker.Process

	between sync.Mutex // held during a transaction of the application
	mu      sync.Mutex
	writes  int
	down    bool // the database is killed: writes may fail
	errs    []error
}

const processes = 3

// TestNemesis prints a line for each fault.
func TestNemesis(t *testing.T) {
	server := pgtest.Start(t)
	header()
	for i, f := range faults {
		if chosen(f) && (!f.long || *only != "" || *rounds > 1) {
			f.each(t, server, 3*i)
		}
	}
}

// TestNemesisOnAFile is the same on SQLite, where the processes share a file.
func TestNemesisOnAFile(t *testing.T) {
	header()
	for i, f := range faults {
		if chosen(f) && !f.served && (f.filed || *only != "" || *rounds > 1) {
			f.each(t, nil, 1000+3*i)
		}
	}
}

var classNames = map[connector.Class]string{connector.Upsert: "upsert", connector.Lookup: "lookup", connector.Blind: "blind"}

func header() {
	fmt.Fprintf(os.Stderr, "%-44s %-9s %-7s %8s %7s %7s %6s %11s %8s %10s %6s\n",
		"fault", "database", "remote", "injected", "writes", "groups", "lost", "duplicated", "deleted", "app errors", "other")
}

func chosen(f fault) bool { return *only == "" || *only == f.name }

// each suffers a fault with each class of remote, or the one that it is hardest for.
func (f fault) each(t *testing.T, server *pgtest.Server, n int) {
	classes := []connector.Class{f.class}
	if *every && !f.jobs { // jobs are for remotes with a key that is unique
		classes = []connector.Class{connector.Upsert, connector.Lookup, connector.Blind}
	}
	for _, class := range classes {
		ok := t.Run(f.name+", "+classNames[class], func(t *testing.T) { suffer(t, server, f, class, uint64(n)+uint64(class)) })
		if !ok && t.Failed() {
			t.Logf("again: go test ./internal/prove/nemesis -run %s -fault %q -rounds %d -seed %d -every=%t", t.Name(), f.name, *rounds, *seed, *every)
		}
	}
}

// count is how often a fault is injected with a class of remote.
func (f fault) count(class connector.Class) int {
	n := f.times * *rounds
	if *named && class == f.class {
		n = max(n, f.named)
	}
	return n
}

// suffer is one line of the table.
func suffer(t *testing.T, server *pgtest.Server, f fault, class connector.Class, n uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute+time.Duration(f.count(class))*10*time.Second)
	defer cancel()
	if f.own {
		server = pgtest.Start(t)
	}
	w := &world{t: t, ctx: ctx, server: server, rand: rand.New(rand.NewPCG(*seed, n))}
	w.open(class, f.secure)
	if f.jobs {
		w.withJobs()
	}
	stop := w.write()
	for range processes {
		w.start()
	}
	w.progress(10)
	injected := 0
	for range f.count(class) {
		w.ready()
		f.inject(w)
		injected += max(1, f.many)
	}
	if f.heal != nil {
		f.heal(w)
	}
	w.place.Remote.Heal()
	stop()
	w.end()
	if f.restored {
		w.release()
	}
	v := w.judge()
	// What goes out when a lease has ended is in doubt, whatever became of it: a
	// machine with too much to do makes a worker sleep as [stopPastLease] does.
	if f.certain && v.Parked > 0 && w.discarded() == 0 {
		v.Unsettled += v.Parked
		t.Errorf("%d groups are parked, and no request went out: %s", v.Parked, w.groups())
	}
	fmt.Fprintf(os.Stderr, "%-44s %-9s %-7s %8d %7d %7d %6d %11d %8d %10d %6d\n", f.name, w.config.Driver, classNames[class], injected, w.writes, v.Groups,
		v.Lost, v.Duplicates, v.Deletes, v.AppErrors, v.Other())
	if err := v.Err(); err != nil {
		t.Error(err)
	}
}

// open makes a database, and the ways to it and to the remote.
func (w *world) open(class connector.Class, secure bool) {
	if w.server == nil {
		w.openAt(worker.SQLite, filepath.Join(w.t.TempDir(), "shop.db"), class, secure)
	} else {
		w.openAt(worker.Postgres, w.database(), class, secure)
	}
}

func (w *world) openAt(driver, database string, class connector.Class, secure bool) {
	w.place = provetest.At(w.t, driver, database, class, *seed)
	w.config = w.place.Worker
	if !w.filed() {
		host := database[strings.Index(database, "@")+1:]
		host = host[:strings.Index(host, "/")]
		w.db = w.way(host)
		w.config.Database = strings.Replace(database, host, w.db.Addr(), 1)
	}
	remote := strings.TrimPrefix(w.config.Remote, "http://")
	if secure {
		remote = w.secure(remote)
	}
	w.net = w.way(remote)
	w.config.Remote = "http://" + w.net.Addr()
	if secure {
		w.config.Remote = "https://" + w.net.Addr()
		w.config.Roots = string(w.front.good.pem) + string(w.front.old.pem)
	}
	w.config.Timeout, w.config.Lease, w.config.Quiet = 600*time.Millisecond, 1500*time.Millisecond, time.Second
	w.config.Concurrency = 12
	w.place.Worker.Timeout = w.config.Timeout
}

// filed says whether the database is a file.
func (w *world) filed() bool { return w.config.Driver == worker.SQLite }

// way is one that can be cut.
func (w *world) way(to string) *Proxy {
	p, err := OpenProxy(to)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(p.Close)
	return p
}

// fresh is the key of a customer that nobody else makes.
func (w *world) fresh() int {
	w.last++
	return 1000 + w.last
}

// database makes one, dropped in the end.
func (w *world) database() string {
	name := fmt.Sprintf("nemesis_%d", w.rand.Uint32())
	w.name = name
	admin := provetest.Connect(w.t, w.server.URL())
	if _, err := admin.ExecContext(w.ctx, "create database "+name); err != nil {
		w.t.Fatal(err)
	}
	return strings.Replace(w.server.Database(name), "postgres@", "postgres:"+provetest.Password+"@", 1)
}

// start starts a worker.
func (w *world) start() *worker.Process {
	p, err := worker.Start(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.workers = append(w.workers, p)
	w.t.Cleanup(func() { p.Signal(syscall.SIGKILL); <-p.Done() })
	return p
}

// ready waits until no worker is only starting: a process that finds no
// database then ends, and is for its supervisor to start again.
func (w *world) ready() {
	for _, p := range w.workers {
		w.until("a worker to start", func() bool {
			select {
			case <-p.Done():
				return true
			default:
				return p.Says(worker.Ready)
			}
		})
	}
}

// alive is a worker that has not ended, by chance.
func (w *world) alive() *worker.Process {
	for {
		p := w.workers[w.rand.IntN(len(w.workers))]
		select {
		case <-p.Done():
		default:
			return p
		}
		if w.ctx.Err() != nil {
			w.t.Fatal("no worker is alive")
		}
	}
}

// end asks the workers to stop, and kills those that do not in time.
func (w *world) end() {
	if w.db != nil {
		w.db.Mend()
	}
	w.net.Mend()
	for _, p := range w.workers {
		p.Signal(syscall.SIGCONT)
	}
	w.ready() // one that is only starting would not hear that it is to stop
	for _, p := range w.workers {
		p.Signal(syscall.SIGTERM)
	}
	for _, p := range w.workers {
		select {
		case <-p.Done():
		case <-time.After(20 * time.Second):
			w.t.Error("a worker does not end on SIGTERM")
			p.Signal(syscall.SIGKILL)
		}
		if _, err := p.Wait(); err != nil {
			w.t.Errorf("a worker ended by itself: %v", err)
		}
		_, _ = w.place.Logs.Write([]byte(p.Log()))
	}
}

// judge heals and asks.
func (w *world) judge() *oracle.Verdict {
	if err := w.place.Heal(w.ctx); err != nil {
		w.t.Fatalf("heal: %v", err)
	}
	v, err := w.place.Judge(w.ctx, w.errs...)
	if err != nil {
		w.t.Fatalf("judge: %v", err)
	}
	return v
}

// write lets the application write until stop.
func (w *world) write() (stop func()) {
	ctx, cancel := context.WithCancel(w.ctx)
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			w.mu.Lock()
			down := w.down
			w.mu.Unlock()
			w.between.Lock()
			err := w.place.Writer.Any(context.WithoutCancel(ctx))
			w.between.Unlock()
			w.mu.Lock()
			if err == nil {
				w.writes++
			} else if !down && !w.down {
				w.errs = append(w.errs, err)
			}
			w.mu.Unlock()
			select {
			case <-time.After(4 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	return func() { cancel(); done.Wait() }
}

// until waits for a condition.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	// To look more and more seldom leaves the machine to what is waited for.
	for pause := 3 * time.Millisecond; !ok(); pause = min(pause*3/2, 25*time.Millisecond) {
		select {
		case <-w.ctx.Done():
			w.t.Fatalf("waited in vain for %s; of the groups are %s", what, w.groups())
		case <-time.After(pause):
		}
	}
}

// progress waits until the remote applied n more changes, or until only a person
// can go on: at a remote that can't look anything up enough faults make every
// record one that may have been made.
func (w *world) progress(n int) {
	w.t.Helper()
	was := w.changed(0)
	seen, wrote := 0, w.wrote()
	w.until("progress", func() bool {
		applied := w.changed(was)
		if applied != seen {
			seen, wrote = applied, w.wrote()
		}
		return applied >= n || w.nothingKnown() || w.wrote()-wrote >= idle && w.mayBeMade()
	})
}

// idle is how many writes without a change at the remote show that only a person
// can go on, where a record is known that is left as it is: each row is written
// several times.
const idle = 300

// wrote is how often the application has written.
func (w *world) wrote() int { w.mu.Lock(); defer w.mu.Unlock(); return w.writes }

// written waits until the application wrote n more times.
func (w *world) written(n int) {
	w.t.Helper()
	was := w.wrote()
	w.until("writes", func() bool { return w.wrote() >= was+n })
}
