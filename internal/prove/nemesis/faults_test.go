package nemesis

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/prove/ledger"
)

const upsert, lookup, blind = connector.Upsert, connector.Lookup, connector.Blind

// faults are all that is suffered, one after the other.
var faults = []fault{
	{name: "kill -9 of a worker", class: lookup, times: 3, named: 500, filed: true, inject: kill},
	{name: "SIGSTOP past the lease, SIGCONT", class: upsert, times: 1, filed: true, inject: stopPastLease},
	{name: "SIGSTOP past the doubt, SIGCONT", class: lookup, times: 1, long: true, inject: stopPastDoubt},
	{name: "SIGTERM under load, a new worker", class: lookup, times: 3, named: 100, inject: deploy},
	{name: "another mapping beside the old one", class: upsert, times: 4, inject: deployAnother},
	{name: "pg_terminate_backend of all", class: upsert, times: 3, served: true, inject: terminate},
	{name: "PostgreSQL dies and recovers", class: lookup, times: 1, served: true, inject: killPostgres},
	{name: "database cut off from the workers", class: upsert, times: 2, served: true, inject: cutDatabase},
	{name: "database silent for the workers", class: lookup, times: 1, served: true, inject: freezeDatabase},
	{name: "remote cut off from the workers", class: lookup, times: 2, inject: cutRemote},
	{name: "remote silent for the workers", class: lookup, times: 1, inject: freezeRemote},
	{name: "long transaction, committed last", class: upsert, times: 2, served: true, inject: longTransaction},
	{name: "prepared transaction, committed later", class: upsert, times: 2, served: true, inject: prepared},
	{name: "hot groups, and in opposite orders", class: upsert, times: 1, served: true, inject: crossing},
	{name: "two faults at once", class: lookup, times: 3, inject: twoAtOnce},
	restored("registry restored from a dump", false, atWork(dump)),
	long(restored("registry restored from a dump, no worker", false, stopped(dump))),
	restored("registry restored in place", false, atWork(copies)),
	long(restored("registry restored in place, no worker", false, stopped(copies))),
	restored("failover that loses commits", true, failover),
	insecure("certificate of nobody's", untrusted),
	insecure("certificate has expired", expired),
	insecure("handshake breaks off", brokenOff),
	insecure("the server speaks none", plain),
	remote("never answers", lookup, ledger.Fault{Kind: ledger.Hang}),
	remote("applies after the timeout", lookup, ledger.Fault{Kind: ledger.Late}),
	remote("applies after the timeout, in time", upsert, ledger.Fault{Kind: ledger.Late, For: 300 * time.Millisecond}),
	remote("resets before applying", lookup, ledger.Fault{Kind: ledger.Reset}),
	remote("resets after applying", lookup, ledger.Fault{Kind: ledger.Reset, Applied: true}),
	remote("resets after applying, no look-up", blind, ledger.Fault{Kind: ledger.Reset, Applied: true}),
	remote("500 before applying", lookup, ledger.Fault{Kind: ledger.Status, Status: http.StatusInternalServerError}),
	remote("502 after applying", lookup, ledger.Fault{Kind: ledger.Status, Status: http.StatusBadGateway, Applied: true}),
	remote("429 with Retry-After", upsert, ledger.Fault{Kind: ledger.Status, Status: http.StatusTooManyRequests, Times: 2}),
	remote("401", upsert, ledger.Fault{Kind: ledger.Status, Status: http.StatusUnauthorized, Times: 2}),
	remote("HTML with status 200, applied", lookup, ledger.Fault{Kind: ledger.HTML, Applied: true}),
	remote("half an answer, applied", lookup, ledger.Fault{Kind: ledger.Malformed, Applied: true}),
	remote("64 MB of answer, applied", upsert, ledger.Fault{Kind: ledger.Gigantic, Applied: true, Times: 2}),
	remote("redirects elsewhere", lookup, ledger.Fault{Kind: ledger.Redirect, To: "http://127.0.0.1:1/"}),
	remote("short answer to a batch", lookup, ledger.Fault{Kind: ledger.Short, Times: 2}),
	remote("reordered answer to a batch", upsert, ledger.Fault{Kind: ledger.Reordered, Times: 2}),
	{name: "remote resets after a create", class: lookup, times: 1, named: 1000 / creates, many: creates, long: true, inject: loseCreates},
	{name: "remote 5xx to a third, for a while", class: lookup, times: 1, inject: failOften},
	{name: "remote limits its rate, and more is sent", class: upsert, times: 1, inject: throttle},
	{name: "remote refuses one of a hundred for good", class: upsert, times: 1, inject: poison},
	{name: "jobs: kill -9 of a worker", class: upsert, times: 1, jobs: true, inject: killInJobs},
	ofJobs("no answer about one", ledger.Fault{Kind: ledger.Hang, Verb: ledger.AskJob}),
	long(ofJobs("runs, and nobody was told", ledger.Fault{Kind: ledger.Reset, Verb: ledger.RunJob, Applied: true})),
	long(ofJobs("results of a half, the other late", ledger.Fault{Kind: ledger.Untold})),
	long(ofJobs("forgotten", ledger.Fault{Kind: ledger.Forget})),
	long(ofJobs("ended half-way", ledger.Fault{Kind: ledger.Halt})),
}

// long leaves a fault out of the short form.
func long(f fault) fault {
	f.long = true
	return f
}

// remote is a fault that strikes a third of the requests until it struck often
// enough.
func remote(name string, class connector.Class, f ledger.Fault) fault {
	times := 5
	if f.Times > 0 {
		times = f.Times
	}
	f.Chance, f.Times = 0.3, 1
	return fault{name: "remote " + name, class: class, times: times, inject: func(w *world) {
		was := w.place.Remote.Struck(f.Kind)
		w.place.Remote.Fail(f)
		w.struck(f.Kind, was)
	}}
}

// struck waits until a kind of fault struck once more. Where records can't be
// looked up, all that is written to may be parked for a person by now, and nothing
// be sent for it any more: so new customers come.
func (w *world) struck(kind string, was int) {
	w.t.Helper()
	next := time.Now().Add(time.Second)
	w.until("the fault to strike", func() bool {
		if w.place.Worker.Class == connector.Blind && time.Now().After(next) {
			next = time.Now().Add(200 * time.Millisecond)
			w.exec(fmt.Sprintf("insert into customers(id, name) values (%d, 'new')", w.fresh()))
		}
		return w.place.Remote.Struck(kind) > was
	})
}

func kill(w *world) {
	p := w.alive()
	p.Signal(syscall.SIGKILL)
	<-p.Done()
	w.start()
	w.progress(10)
}

// discarded counts the answers that came when another worker had their groups.
func (w *world) discarded() (n int) {
	for _, p := range w.workers {
		n += strings.Count(p.Log(), "it was discarded")
	}
	return n
}

// stopPastLease lets a worker sleep with requests under way until others took
// its groups, and wakes it: what it says then is of no interest.
func stopPastLease(w *world) {
	w.place.Remote.Fail(ledger.Fault{Kind: ledger.Delay, For: 100 * time.Millisecond})
	was := w.discarded()
	for w.discarded() == was && w.ctx.Err() == nil {
		p := w.alive()
		p.Signal(syscall.SIGSTOP)
		end := time.Now().Add(w.config.Lease * 3 / 2)
		w.until("the lease to end", func() bool { return time.Now().After(end) })
		p.Signal(syscall.SIGCONT)
		w.written(50)
	}
	w.place.Remote.Heal()
}

// stopPastDoubt lets a worker sleep with groups claimed and not yet sent, until
// nobody reckons with it any more. It must send nothing when it wakes.
func stopPastDoubt(w *world) {
	w.config.Concurrency, w.config.Batch = processes, 1 // so that most of what is claimed waits for its call
	for _, p := range w.workers {
		p.Signal(syscall.SIGTERM)
		<-p.Done()
	}
	for range processes {
		w.start()
	}
	w.place.Remote.Fail(ledger.Fault{Kind: ledger.Delay, For: 200 * time.Millisecond})
	w.progress(20)
	p := w.alive()
	p.Signal(syscall.SIGSTOP)
	const stall = 10 * time.Second // that the engine reckons with
	end := time.Now().Add(w.config.Lease + w.config.Quiet + stall + 2*time.Second)
	w.until("the doubt to end", func() bool { return time.Now().After(end) })
	p.Signal(syscall.SIGCONT)
	w.place.Remote.Heal()
	w.written(50)
}

func deploy(w *world) {
	p := w.alive()
	p.Signal(syscall.SIGTERM)
	w.start()
	<-p.Done()
	w.progress(10)
}

func terminate(w *world) {
	w.exec("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'prove-worker'")
	w.progress(10)
}

func killPostgres(w *world) {
	w.mu.Lock()
	w.down = true
	w.mu.Unlock()
	w.server.Stop()
	w.server.Start(w.t)
	w.until("the database", func() bool { _, err := w.place.App.ExecContext(w.ctx, "select 1"); return err == nil })
	w.mu.Lock()
	w.down = false
	w.mu.Unlock()
	w.progress(10)
}

func cutDatabase(w *world) {
	w.db.Cut()
	w.written(100)
	w.db.Mend()
	w.progress(10)
}

func freezeDatabase(w *world) {
	w.db.Freeze()
	w.written(200)
	w.db.Mend()
	w.progress(10)
}

func cutRemote(w *world) {
	w.net.Cut()
	w.written(100)
	w.net.Mend()
	w.progress(10)
}

func freezeRemote(w *world) {
	w.net.Freeze()
	w.written(100)
	w.net.Mend()
	w.progress(10)
}

// longTransaction writes, lets others commit after it, and commits.
func longTransaction(w *world) {
	tx, err := w.place.App.BeginTx(w.ctx, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := tx.ExecContext(w.ctx, fmt.Sprintf("insert into customers(id, name) values (%d, 'long')", w.fresh())); err != nil {
		w.t.Fatal(err)
	}
	w.progress(20)
	if err := tx.Commit(); err != nil {
		w.t.Fatal(err)
	}
}

// prepared is the same in two phases.
func prepared(w *world) {
	conn, err := w.place.App.Conn(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	for _, sql := range []string{"begin", fmt.Sprintf("insert into customers(id, name) values (%d, 'prepared')", w.fresh()), "prepare transaction 'prove'"} {
		if _, err := conn.ExecContext(w.ctx, sql); err != nil {
			w.t.Fatal(err)
		}
	}
	w.progress(20)
	if _, err := conn.ExecContext(w.ctx, "commit prepared 'prove'"); err != nil {
		w.t.Fatal(err)
	}
}

// twoAtOnce lets the remote go wrong while something happens to a process, the
// network or the database, by chance.
func twoAtOnce(w *world) {
	ofRemotes := []ledger.Fault{
		{Kind: ledger.Status, Status: http.StatusTooManyRequests}, {Kind: ledger.Status, Status: http.StatusBadGateway, Applied: true},
		{Kind: ledger.Reset, Applied: true}, {Kind: ledger.Reset}, {Kind: ledger.Malformed, Applied: true},
		{Kind: ledger.Late, For: 300 * time.Millisecond}, {Kind: ledger.Hang}, {Kind: ledger.Delay, For: 200 * time.Millisecond},
	}
	others := []func(*world){kill, deploy, terminate, killPostgres, cutDatabase, freezeDatabase, cutRemote, freezeRemote, longTransaction}
	if w.filed() {
		others = []func(*world){kill, deploy, cutRemote, freezeRemote}
	}
	f := ofRemotes[w.rand.IntN(len(ofRemotes))]
	f.Chance, f.Times = 0.4, 4
	was := w.place.Remote.Struck(f.Kind)
	w.place.Remote.Fail(f)
	others[w.rand.IntN(len(others))](w)
	w.struck(f.Kind, was)
	w.place.Remote.Heal()
}

func (w *world) exec(sql string) {
	w.t.Helper()
	if _, err := w.place.App.ExecContext(w.ctx, sql); err != nil {
		w.t.Fatal(err)
	}
}
