package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/faulttest"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/internal/prove/provetest"
	"github.com/upkeep-sync/upkeep/internal/prove/sandbox"
	"github.com/upkeep-sync/upkeep/internal/prove/worker"
)

// remotes are those of the real connectors.
var remotes = []string{sandbox.NetSuite, sandbox.Salesforce, sandbox.HTTP, sandbox.Lookup, sandbox.Warehouse, sandbox.File}

// harm is what happens to a real connector's remote, and to who speaks to it.
type harm struct {
	name   string
	inject func(*world)
	both   bool // on both databases; in the short form on one, and the others are left out
}

// harms of a remote over HTTP.
var harms = []harm{
	{name: "kill -9 of a worker", inject: killAtRemote},
	{name: "never answers", inject: metBy(faulttest.Fault{Kind: faulttest.Hang})},
	{name: "applies after the timeout", inject: metBy(faulttest.Fault{Kind: faulttest.Late})},
	{name: "resets after applying", inject: metBy(faulttest.Fault{Kind: faulttest.Reset, Applied: true})},
	{name: "502 after applying", inject: metBy(faulttest.Fault{Kind: faulttest.Status, Status: http.StatusBadGateway, Applied: true})},
	{name: "503 before applying", inject: metBy(faulttest.Fault{Kind: faulttest.Status, Status: http.StatusServiceUnavailable})},
	{name: "HTML with status 200, applied", inject: metBy(faulttest.Fault{Kind: faulttest.HTML, Applied: true})},
	{name: "all at once", inject: allAtOnce, both: true},
}

// ofWarehouses are those of a database.
var ofWarehouses = []harm{
	{name: "kill -9 of a worker", inject: killAtRemote},
	{name: "cut off from the workers", inject: cutRemote},
	{name: "silent, and late to hear it", inject: silentAndLate},
	{name: "breaks off at COMMIT, done or not", inject: breakAtCommit},
	{name: "all at once", both: true, inject: func(w *world) { killAtRemote(w); cutRemote(w); silentAndLate(w); breakAtCommit(w) }},
}

// harmsOf are those of a kind of remote.
func harmsOf(kind string) []harm {
	switch kind {
	case sandbox.Warehouse:
		return ofWarehouses
	case sandbox.File: // there is no way to it that could be cut
		return ofWarehouses[:1]
	}
	return harms
}

// TestRealConnectors is the nemesis with the connectors that there are, each to its
// own sandbox: the short form has all faults of most of them at once, on SQLite,
// where it takes seconds.
func TestRealConnectors(t *testing.T) {
	header()
	for i, kind := range remotes {
		for j, h := range harmsOf(kind) {
			for k, driver := range []string{worker.Postgres, worker.SQLite} {
				name := kind + ": " + h.name
				long := (*only == name || *rounds > 1) && (h.both || k == (i+j)%2)
				if (*only == "" || *only == name) && (long || h.both && driver == worker.SQLite && kind != sandbox.HTTP) {
					t.Run(name+", "+driver, func(t *testing.T) {
						t.Parallel() // it waits most of the time
						h.suffer(t, driver, kind, uint64(2000+100*i+2*j+k))
					})
				}
			}
		}
	}
}

// suffer is one line of the table.
func (h harm) suffer(t *testing.T, driver, kind string, n uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute+time.Duration(*rounds)*20*time.Second)
	defer cancel()
	w := &world{t: t, ctx: ctx, rand: rand.New(rand.NewPCG(*seed, n))}
	w.openReal(driver, kind)
	stop := w.write()
	for range processes {
		w.start()
	}
	w.settles()
	for range *rounds {
		w.net.Mend()
		w.ready()
		h.inject(w)
	}
	w.place.Sandbox.Heal()
	stop()
	w.end()
	v := w.judge()
	fmt.Fprintf(os.Stderr, "%-44s %-9s %-7s %8d %7d %7d %6d %11d %8s %10d %6d\n", kind+": "+h.name, w.config.Driver, "", *rounds, w.writes, v.Groups,
		v.Lost, v.Duplicates, "-", v.AppErrors, v.Other())
	if err := v.Err(); err != nil {
		t.Errorf("%v\nagain: go test ./internal/prove/nemesis -run TestRealConnectors -fault %q -rounds %d -seed %d", err, kind+": "+h.name, *rounds, *seed)
	}
}

// openReal is open with a real connector's remote.
func (w *world) openReal(driver, kind string) {
	class := connector.Upsert
	if kind == sandbox.Lookup {
		class = connector.Lookup
	}
	w.openAt(driver, w.newDatabase(driver), class, false)
	// What is late lands when all is healed, and not after the doubt about it.
	w.config.Quiet, w.place.Worker.Quiet = 10*time.Minute, 10*time.Minute
	w.place.Writer.Lasting = true // most remotes refuse to delete a customer that has orders
	var err error
	url := ""
	switch kind {
	case sandbox.Warehouse, sandbox.File:
		if url = "sqlite:" + w.newDatabase(worker.SQLite); kind == sandbox.Warehouse {
			url = w.newDatabase(worker.Postgres)
			// A transaction takes longer than a request, where others work too.
			w.config.Timeout, w.config.Lease = 3*time.Second, 6*time.Second
			w.place.Worker.Timeout = w.config.Timeout
		}
		w.place.Sandbox, err = sandbox.OpenWarehouse(url)
	default:
		if w.place.Sandbox, err = sandbox.Open(kind, *seed); err == nil {
			url = w.place.Sandbox.URL
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.place.Sandbox.Close)
	w.config.Kind, w.place.Worker.Kind = kind, kind
	w.place.Worker.Remote, w.config.Remote = url, url
	if kind == sandbox.File {
		return
	}
	host := strings.TrimPrefix(url, "http://")
	if _, after, is := strings.Cut(url, "@"); is {
		host, _, _ = strings.Cut(after, "/")
	}
	w.net = w.way(host)
	w.config.Remote = strings.Replace(url, host, w.net.Addr(), 1)
}

// newDatabase is one more, empty.
func (w *world) newDatabase(driver string) string {
	if driver == worker.SQLite {
		return filepath.Join(w.t.TempDir(), "new.db")
	}
	return strings.Replace(pgtest.New(w.t), "postgres@", "postgres:"+provetest.Password+"@", 1)
}

// metBy is a fault that three requests in ten meet until it struck often enough.
func metBy(f faulttest.Fault) func(*world) {
	f.Probability = 0.3
	return func(w *world) { w.meets(f) }
}

func (w *world) meets(f faulttest.Fault) {
	if err := w.place.Sandbox.Fail(f); err != nil {
		w.t.Fatal(err)
	}
	w.strikes(8)
	w.place.Sandbox.Heal()
	w.settles()
}

// strikes waits until faults struck so many times more.
func (w *world) strikes(times int) {
	was := w.place.Sandbox.Struck()
	w.fed("faults to strike", func() bool { return w.place.Sandbox.Struck() >= was+times })
}

// settles waits until more has changed at the remote.
func (w *world) settles() {
	was := w.changed(0)
	w.fed("progress", func() bool { return w.changed(was) >= 5 })
}

// fed is until, and makes new customers after a while: where records can only be
// looked up, all that is written to may be in doubt by now, and is left alone until
// nothing of it can be under way.
func (w *world) fed(what string, ok func() bool) {
	next := time.Now().Add(time.Second)
	w.until(what, func() bool {
		if w.config.Kind == sandbox.Lookup && time.Now().After(next) {
			next = time.Now().Add(200 * time.Millisecond)
			w.exec(fmt.Sprintf("insert into customers(id, name) values (%d, 'new')", w.fresh()))
		}
		return ok()
	})
}

// killOne kills a worker and starts another one.
func (w *world) killOne() {
	p := w.alive()
	p.Signal(syscall.SIGKILL)
	<-p.Done()
	w.start()
}

// killAtRemote kills workers as soon as more has changed at the remote.
func killAtRemote(w *world) {
	for range 3 {
		w.settles()
		w.killOne()
	}
	w.settles()
}

// silentAndLate lets nothing through to a database for longer than anybody waits.
// What was on its way arrives then: also what ends a transaction.
func silentAndLate(w *world) {
	w.net.Freeze()
	end := time.Now().Add(w.config.Timeout * 3 / 2)
	w.until("the timeout", func() bool { return time.Now().After(end) })
	w.net.Mend()
	w.progress(10)
}

// breakAtCommit takes the connection away from whoever ends a transaction: for a while
// once the database has heard of it, and then before, until the way is mended, when
// the application is done. No later write covers up what was lost.
func breakAtCommit(w *world) {
	for _, arrives := range []bool{true, false} {
		was := w.net.Broke()
		w.net.BreakAt("COMMIT\x00", arrives) // as a statement of its own
		w.until("COMMITs to break off", func() bool { return w.net.Broke() > was+3 })
	}
}

// allAtOnce kills workers while the remote does everything wrong, and mostly what
// is the worst: it applies what nobody expects any more.
func allAtOnce(w *world) {
	for _, f := range []faulttest.Fault{
		{Kind: faulttest.Late, Probability: 0.1}, {Kind: faulttest.Late, Drop: true, Probability: 0.1},
		{Kind: faulttest.Reset, Applied: true}, {Kind: faulttest.Status, Status: http.StatusBadGateway, Applied: true},
		{Kind: faulttest.Status, Status: http.StatusServiceUnavailable}, {Kind: faulttest.HTML, Applied: true},
	} {
		f.Probability = max(f.Probability, 0.05)
		if err := w.place.Sandbox.Fail(f); err != nil {
			w.t.Fatal(err)
		}
	}
	for range 3 {
		w.killOne()
		w.strikes(7)
	}
	w.place.Sandbox.Heal()
	w.settles()
}

// changed is how many changes the remote has applied, as far as it tells.
func (w *world) changed(since int) int {
	s := w.place.Sandbox
	switch {
	case s == nil:
		return len(w.place.Remote.Applied(since))
	case w.config.Kind == sandbox.Warehouse || w.config.Kind == sandbox.File:
		return w.synced() - since
	}
	return s.Changes() - since
}

// synced is how much the registry has recorded, where the remote tells nothing.
func (w *world) synced() (n int) {
	list, err := w.known()
	if err != nil {
		return 0
	}
	for _, g := range list {
		n += int(g.SyncedGeneration)
	}
	return n
}
