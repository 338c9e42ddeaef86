package nemesis

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

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
	// inject does it once and returns when it was really suffered. It leaves
	// nothing broken that heal does not mend.
	inject func(*world)
	heal   func(*world)
	// secure: the workers speak TLS to the remote. certain: nothing may be in
	// doubt afterwards. own: on a server of its own. restored: the registry is
	// of another time.
	// long: only when asked for, or with more rounds than one. jobs: what is
	// backfilled goes in bulk jobs.
	secure, certain, own, restored, long, jobs bool
}

// world is a database, a remote, workers and an application that writes.
type world struct {
	t      *testing.T
	ctx    context.Context
	server *pgtest.Server
	name   string // of the database
	place  *provetest.Place
	rand   *rand.Rand
	db     *Proxy // between workers and database
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
	fmt.Fprintf(os.Stderr, "%-44s %-7s %8s %7s %7s %6s %11s %8s %10s %6s\n",
		"fault", "remote", "injected", "writes", "groups", "lost", "duplicated", "deleted", "app errors", "other")
	for i, f := range faults {
		if *only != "" && *only != f.name || f.long && *only == "" && *rounds == 1 {
			continue
		}
		classes := []connector.Class{f.class}
		if *every && !f.jobs { // jobs are for remotes with a key that is unique
			classes = []connector.Class{connector.Upsert, connector.Lookup, connector.Blind}
		}
		for _, class := range classes {
			ok := t.Run(f.name, func(t *testing.T) { suffer(t, server, f, class, uint64(3*i)+uint64(class)) })
			if !ok && t.Failed() {
				t.Logf("again: go test ./internal/prove/nemesis -run TestNemesis -fault %q -rounds %d -seed %d -every=%t", f.name, *rounds, *seed, *every)
			}
		}
	}
}

// suffer is one line of the table.
func suffer(t *testing.T, server *pgtest.Server, f fault, class connector.Class, n uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute+time.Duration(*rounds*f.times)*10*time.Second)
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
	for range f.times * *rounds {
		w.ready()
		f.inject(w)
		injected++
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
	names := map[connector.Class]string{connector.Upsert: "upsert", connector.Lookup: "lookup", connector.Blind: "blind"}
	fmt.Fprintf(os.Stderr, "%-44s %-7s %8d %7d %7d %6d %11d %8d %10d %6d\n", f.name, names[class], injected, w.writes, v.Groups,
		v.Lost, v.Duplicates, v.Deletes, v.AppErrors, v.Other())
	if err := v.Err(); err != nil {
		t.Error(err)
	}
}

// open makes a database on the server, and the ways to it and to the remote.
func (w *world) open(class connector.Class, secure bool) {
	w.place = provetest.At(w.t, worker.Postgres, w.database(), class, *seed)
	var err error
	direct := w.place.Worker
	host := direct.Database[strings.Index(direct.Database, "@")+1:]
	host = host[:strings.Index(host, "/")]
	if w.db, err = OpenProxy(host); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.db.Close)
	remote := strings.TrimPrefix(direct.Remote, "http://")
	if secure {
		remote = w.secure(remote)
	}
	if w.net, err = OpenProxy(remote); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.net.Close)
	w.config = direct
	w.config.Database = strings.Replace(direct.Database, host, w.db.Addr(), 1)
	w.config.Remote = "http://" + w.net.Addr()
	if secure {
		w.config.Remote = "https://" + w.net.Addr()
		w.config.Roots = string(w.front.good.pem) + string(w.front.old.pem)
	}
	w.config.Timeout, w.config.Lease, w.config.Quiet = 600*time.Millisecond, 1500*time.Millisecond, time.Second
	w.config.Concurrency = 12
	w.place.Worker.Timeout = w.config.Timeout
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
	w.db.Mend()
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

// groups says how many groups are in which state, and how the remote stands, for a
// wait in vain.
func (w *world) groups() string {
	var text sql.NullString
	err := w.place.App.QueryRow(`select string_agg(n || ' ' || what, ', ') from (
		select count(*) n, concat_ws(' ', case when parked then 'parked: ' || reason end, case when holder is not null then 'claimed' end,
			case when due_at is not null then 'due' end, case when in_doubt_until is not null then 'in doubt' end,
			case when waits_for <> '{}' then 'waiting' end, case when remote_id <> '' then 'with a record' end, case when generation > synced_generation then 'dirty' else 'clean' end) what
		from upkeep.groups group by 2
		union all select held, concat('slots of ', holder, ' until ', until) from upkeep.slots
		union all select failures, concat('failures of the remote, now ', now(), ', probe at ', probe_at, ', paused until ', paused_until) from upkeep.remotes) as states`).Scan(&text)
	if err != nil {
		return "not known: " + err.Error()
	}
	for _, p := range w.workers {
		log := p.Log()
		text.String += "\n" + log[max(0, len(log)-2000):]
	}
	return text.String
}

// progress waits until the remote applied n more changes, or until only a person
// can go on: at a remote that can't look anything up enough faults make every
// record one that may have been made.
func (w *world) progress(n int) {
	w.t.Helper()
	was := len(w.place.Remote.Applied(0))
	seen, wrote := 0, w.wrote()
	w.until("progress", func() bool {
		applied := len(w.place.Remote.Applied(was))
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

// nothingKnown: no record is known to be there of which more can be sent, and
// some may have been made.
func (w *world) nothingKnown() bool {
	return w.ofBlind(`not bool_or(remote_id <> '' and not parked and waits_for = '{}') and bool_or(parked)`)
}

// mayBeMade: some may have been made.
func (w *world) mayBeMade() bool { return w.ofBlind("bool_or(parked)") }

// ofBlind says whether the remote can't look anything up and this is so of the groups.
func (w *world) ofBlind(so string) bool {
	if w.place.Worker.Class != connector.Blind {
		return false
	}
	var yes sql.NullBool
	err := w.place.App.QueryRowContext(w.ctx, "select "+so+" from upkeep.groups").Scan(&yes)
	return err == nil && yes.Bool
}

// wrote is how often the application has written.
func (w *world) wrote() int { w.mu.Lock(); defer w.mu.Unlock(); return w.writes }

// written waits until the application wrote n more times.
func (w *world) written(n int) {
	w.t.Helper()
	was := w.wrote()
	w.until("writes", func() bool { return w.wrote() >= was+n })
}
