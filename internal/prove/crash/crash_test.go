package crash

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/prove/provetest"
	"github.com/upkeep-sync/upkeep/internal/prove/worker"
)

var (
	seeds = flag.Int("seeds", 0, "how often each point is tried with each change and class, in turn at its first and its second hit; 1: with each change once, on each database, and another class with each; 0: once with each class, on one of the databases, and another change with each")
	seed  = flag.Uint64("seed", 1, "of the application's rows and changes")
	only  = flag.String("at", "", "one case: action/point:hit, such as update/send.after:1")
)

func TestMain(m *testing.M) {
	worker.Main()
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// changes are what is under way when the process dies.
var changes = []string{"create", "update", "delete", "batch"}

// fewer connections for each process: a new one costs PostgreSQL more than all that most
// of these processes do before they die.
const fewer = "&pool_max_conns=2"

var classes = map[connector.Class]string{connector.Upsert: "upsert", connector.Lookup: "lookup", connector.Blind: "blind"}

// TestCrashPoints dies at every point, with every change, at the first hit or
// the second one (few changes come to a third), and inside a stage at its second,
// fourth, and so on to the tenth statement. Each case goes on where the one before it left the database.
func TestCrashPoints(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{worker.SQLite, worker.Postgres} {
		var runs []*run
		t.Cleanup(func() { // a run that is not long has few changes for each class: together they come everywhere
			if slices.ContainsFunc(runs, func(r *run) bool { return r.tried == 0 }) {
				return // only some were asked for
			}
			for i, point := range worker.All(driver) {
				if *only == "" && !t.Failed() && !elsewhere(driver, i, point) && !slices.ContainsFunc(runs, func(r *run) bool { return r.reached[point] }) {
					t.Errorf("%s: no process died at %s", driver, point)
				}
			}
		})
		for class, name := range classes {
			r := &run{points: worker.All(driver), reached: map[string]bool{}}
			runs = append(runs, r)
			t.Run(driver+"/"+name, func(t *testing.T) {
				t.Parallel()
				r.t, r.place = t, provetest.New(t, driver, class, *seed)
				r.place.Worker.Rate = 1000 // enough: it is to be asked for
				if driver == worker.Postgres {
					r.place.Worker.Database += fewer
				}
				r.all()
				r.print(driver + ", " + name)
			})
		}
	}
}

// TestOrderedCrashPoints dies at every point of a process that delivers every version:
// each goes out, once it is its turn, in the order of the commits.
func TestOrderedCrashPoints(t *testing.T) {
	t.Parallel()
	r := &run{t: t, place: provetest.New(t, worker.Postgres, connector.Upsert, *seed), points: worker.Ordered(), reached: map[string]bool{}}
	r.place.Worker.Every, r.place.Worker.Rate = true, 1000
	r.place.Worker.Database += fewer
	r.place.Writer.Lasting = true // a version of an order can't go out any more once its customer is gone
	r.versions = &versions{}
	r.all()
	r.print("postgres, ordered")
}

// run is the cases on one database.
type run struct {
	t      *testing.T
	place  *provetest.Place
	points []string
	// versions are compared, too; nil: the state at the end is all that is promised.
	versions *versions

	tried, died, lost, duplicated, deleted, other int
	reached                                       map[string]bool
}

func (r *run) all() {
	// The first start installs, backfills and creates all.
	for i, point := range r.points {
		for n := range max(1, *seeds) {
			for j, change := range changes {
				if r.leaves(i, j, point) {
					continue
				}
				hit := n%2 + 1
				if strings.HasSuffix(point, ".sql") { // the first is the one that begins the transaction
					hit = 2 * (n%5 + 1)
				}
				r.one(change, fmt.Sprintf("%s:%d", point, hit))
				if r.t.Failed() {
					return
				}
			}
		}
	}
	for _, point := range r.points {
		if *only == "" && (*seeds > 1 || *seeds == 1 && r.versions != nil) && !r.reached[point] {
			r.t.Errorf("no process died at %s", point)
		}
	}
}

// leaves says whether a run that is not long leaves a point with a change to another class,
// or database.
func (r *run) leaves(point, change int, name string) bool {
	class := int(r.place.Worker.Class)
	switch {
	case *only != "":
		return false
	case *seeds == 0 && r.versions == nil && elsewhere(r.place.Worker.Driver, point, name):
		return true
	case *seeds == 0:
		return (point+change)%len(changes) != class
	}
	return *seeds == 1 && r.versions == nil && (point+change)%len(classes) != class
}

// elsewhere: a short run tries a point that both databases have on one of them only.
func elsewhere(driver string, i int, point string) bool {
	return *seeds == 0 && *only == "" && (i%2 == 0) != (driver == worker.SQLite) &&
		slices.Contains(worker.All(worker.SQLite), point) && slices.Contains(worker.All(worker.Postgres), point)
}

// one makes a change, lets a worker die over it, heals and judges.
func (r *run) one(change, at string) {
	if *only != "" && *only != change+"/"+at {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	p := r.place
	fail := func(what string, err error) {
		r.t.Errorf("%s/%s: %s: %v\nagain: go test ./internal/prove/crash -run '%s' -seeds %d -seed %d", change, at, what, err, r.t.Name(), *seeds, *seed)
	}
	for range r.commits() {
		if err := r.change(ctx, change); err != nil {
			fail("the application", err)
			return
		}
		if r.versions == nil || r.versions.last == nil {
			continue
		}
		if err := r.versions.commit(ctx, p); err != nil {
			fail("read the versions", err)
			return
		}
	}
	if strings.HasPrefix(at, "backfill") {
		if err := p.Sweep(ctx); err != nil {
			fail("sweep", err)
			return
		}
	}
	if err := r.die(at); err != nil {
		fail("the worker", err)
		return
	}
	r.heal(ctx, fail)
	if r.versions == nil || r.t.Failed() {
		return
	}
	if r.versions.last == nil { // the first start has installed all
		if err := r.versions.begin(ctx, p); err != nil {
			fail("read the versions", err)
		}
		return
	}
	if err := r.versions.compare(p); err != nil {
		r.other++
		fail("the versions", err)
	}
}

// commits is how often a change is made before the process dies: where versions are
// compared, a record is to have more than one.
func (r *run) commits() int {
	if r.versions != nil {
		return 6
	}
	return 1
}

// die lets a worker run until it dies at a point, or finds nothing to do.
func (r *run) die(at string) error {
	c := r.place.Worker
	c.DieAt, c.UntilQuiet = at, true
	w, err := worker.Start(c)
	if err != nil {
		return err
	}
	killed, err := w.Wait()
	_, _ = r.place.Logs.Write([]byte(w.Log()))
	if err != nil {
		return err
	}
	r.tried++
	if killed {
		r.died++
		r.reached[strings.Split(at, ":")[0]] = true
	}
	return nil
}

// heal brings all to rest and asks the oracle.
func (r *run) heal(ctx context.Context, fail func(string, error)) {
	p := r.place
	if err := p.Heal(ctx); err != nil {
		fail("heal", err)
		return
	}
	v, err := p.Judge(ctx)
	// A person looks, and then there is no excuse: but who waited for a parked record
	// may only then be found to be one of which nobody knows.
	for looks := 0; err == nil && v.Err() == nil && v.Parked > 0; looks++ {
		if looks == 3 {
			err = fmt.Errorf("still parked: %v", p.Parked(ctx))
			break
		}
		v, err = p.Say(ctx)
	}
	if err != nil {
		fail("judge", err)
		return
	}
	r.lost, r.duplicated, r.deleted = r.lost+v.Lost, r.duplicated+v.Duplicates, r.deleted+v.Deletes
	r.other += v.Other() + v.AppErrors
	if err := v.Err(); err != nil {
		fail("judged", err)
	}
}

func (r *run) change(ctx context.Context, change string) error {
	w := r.place.Writer
	switch change {
	case "create":
		return w.Create(ctx)
	case "update":
		return w.Update(ctx)
	case "delete":
		return w.Delete(ctx)
	}
	return w.Batch(ctx)
}

func (r *run) print(name string) { r.printAs("crash points", "died", name) }

func (r *run) printAs(what, end, name string) {
	fmt.Fprintf(os.Stderr, "%-12s  %-18s points %2d  tried %4d  %s %4d  lost %d  duplicated %d  deleted %d  other %d\n",
		what, name, len(r.points), r.tried, end, r.died, r.lost, r.duplicated, r.deleted, r.other)
}
