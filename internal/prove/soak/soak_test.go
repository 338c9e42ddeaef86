package soak

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/prove/ledger"
	"github.com/upkeep-sync/upkeep/internal/prove/oracle"
	"github.com/upkeep-sync/upkeep/internal/prove/provetest"
	"github.com/upkeep-sync/upkeep/internal/prove/worker"
	"github.com/upkeep-sync/upkeep/internal/store"
)

var (
	turns = flag.Int("turns", 6, "of changes and faults, with a look at the process after each")
	seed  = flag.Uint64("seed", 1, "of the rows and the faults")
)

// changesPerTurn is enough for each kind of fault to strike a few times.
const changesPerTurn = 60

func TestMain(m *testing.M) {
	worker.Main()
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// faults are what befalls the remote in a turn, each by chance.
var faults = []ledger.Fault{
	{Kind: ledger.Delay, For: 20 * time.Millisecond, Chance: 0.2},
	{Kind: ledger.Reset, Chance: 0.04},
	{Kind: ledger.Reset, Applied: true, Chance: 0.04},
	{Kind: ledger.Status, Status: 500, Chance: 0.04},
	{Kind: ledger.Status, Status: 429, Chance: 0.02},
	{Kind: ledger.HTML, Applied: true, Chance: 0.03},
	{Kind: ledger.Malformed, Applied: true, Chance: 0.03},
	{Kind: ledger.Late, For: 100 * time.Millisecond, Chance: 0.01},
	{Kind: ledger.Gigantic, Applied: true, Chance: 0.01},
	{Kind: ledger.Hang, Times: 1},
	{Kind: ledger.Short, Times: 1},
}

func TestSoak(t *testing.T) {
	for i, driver := range []string{worker.SQLite, worker.Postgres} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			soak(t, driver, *seed+uint64(i))
		})
	}
}

func soak(t *testing.T, driver string, seed uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute+time.Duration(*turns)*30*time.Second)
	defer cancel()
	p := provetest.New(t, driver, connector.Upsert, seed)
	c := p.Worker
	c.Timeout = 500 * time.Millisecond
	c.Vitals = filepath.Join(t.TempDir(), "vitals")
	w, err := worker.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { w.Signal(syscall.SIGKILL); <-w.Done() }()
	db, err := worker.Open(ctx, c, &worker.Points{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var errs []error
	var told []worker.Vitals
	chance := rand.New(rand.NewPCG(seed, 3))
	for turn := range *turns {
		p.Remote.Fail(faults...)
		for range changesPerTurn {
			if err := p.Writer.Any(ctx); err != nil {
				errs = append(errs, err)
			}
		}
		if turn%3 == 2 {
			if err := p.SendAll(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if driver == worker.Postgres && chance.IntN(2) == 0 { // its connections are gone
			_, _ = p.App.ExecContext(ctx, "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and application_name like 'upkeep%'")
		}
		calm(ctx, t, db, w)
		p.Remote.Heal()
		p.Remote.Land()
		calm(ctx, t, db, w)
		v, err := w.Vitals(ctx, c.Vitals)
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, v)
	}
	w.Signal(syscall.SIGTERM)
	if _, err := w.Wait(); err != nil {
		t.Error(err)
	}
	_, _ = p.Logs.Write([]byte(w.Log()))
	if err := p.Heal(ctx); err != nil {
		t.Fatal(err)
	}
	verdict, err := p.Judge(ctx, errs...)
	if err == nil {
		err = verdict.Err()
	}
	if err != nil {
		t.Error(err)
	}
	grown(t, driver, told)
}

// calm waits until nothing is to be done now: what is in doubt rests.
func calm(ctx context.Context, t *testing.T, db upkeep.Database, w *worker.Process) {
	t.Helper()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		n, err := db.Pending(ctx, 1)
		groups, err2 := oracle.Groups(ctx, db)
		if err == nil && err2 == nil && n == 0 && len(groups) > 0 && !slices.ContainsFunc(groups, func(g store.Group) bool {
			return g.Holder != "" || !g.DueAt.IsZero() && g.State != store.Parked && g.DueAt.Before(time.Now().Add(500*time.Millisecond))
		}) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("never calm: %d in the log, %v, %v\n%+v", n, err, err2, groups)
		case <-w.Done():
			t.Fatalf("the worker ended:\n%s", w.Log())
		case <-time.After(pause):
		}
	}
}

// grown compares the first half of the turns, without those in which a process
// comes to its size, with the second half.
func grown(t *testing.T, driver string, told []worker.Vitals) {
	// What comes and goes (a connection, what is collected next) shows in the middle of
	// a few turns, and not in that of many.
	noise := 1
	if len(told) < 30 {
		noise = 3
	}
	warm := told[min(len(told)/6+1, len(told)-2):]
	first, last := warm[:len(warm)/2], warm[len(warm)/2:]
	for _, what := range []struct {
		name  string
		of    func(worker.Vitals) int
		slack int
	}{
		{"heap, KB", func(v worker.Vitals) int { return int(v.Heap >> 10) }, 512},
		{"goroutines", func(v worker.Vitals) int { return v.Goroutines }, 6},
		{"open files", func(v worker.Vitals) int { return v.Files }, 6},
	} {
		a, b := middle(first, what.of), middle(last, what.of)
		fmt.Fprintf(os.Stderr, "soak  %-8s  turns %4d  %-10s  first half %6d  second half %6d\n", driver, len(told), what.name, a, b)
		if b > a+noise*what.slack {
			t.Errorf("%s grow: %d in the first half, %d in the second: %+v", what.name, a, b, told)
		}
	}
}

func middle(vs []worker.Vitals, of func(worker.Vitals) int) int {
	var all []int
	for _, v := range vs {
		all = append(all, of(v))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
