package crash

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/prove/provetest"
	"github.com/upkeep-sync/upkeep/internal/prove/worker"
)

// TestStopPoints has a process stand still at a point, with all that it holds on to
// there: its lease, and between two statements a transaction with its locks. Another
// one has to bring everything to rest while it does. It is killed then: what one does
// that wakes is nemesis' (SIGSTOP past the lease, and past the doubt).
//
// There is none of SQLite: a file has one writer at a time, and who stands still in
// the middle of a write keeps all others from theirs, the application too.
func TestStopPoints(t *testing.T) {
	t.Parallel()
	for class, name := range classes {
		if *seeds < 2 && class != connector.Lookup {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &run{t: t, place: provetest.New(t, worker.Postgres, class, *seed), reached: map[string]bool{}}
			r.place.Worker.Rate = 1000 // as in TestCrashPoints
			r.place.Worker.Database += fewer
			r.heal(t.Context(), func(what string, err error) { r.failed("the beginning", what, err) })
			for n, point := range worker.All(worker.Postgres) {
				inside := strings.HasSuffix(point, ".sql")
				if *seeds == 0 && *only == "" && !inside && n%4 > 0 {
					continue
				}
				r.points = append(r.points, point)
				for i, hit := range hits(inside) {
					r.still(changes[(n+i)%len(changes)], fmt.Sprintf("%s:%d", point, hit))
				}
				if *seeds > 0 && *only == "" && !t.Failed() && !r.reached[point] {
					t.Errorf("no process stopped at %s", point)
				}
				if t.Failed() {
					return
				}
			}
			r.printAs("stop points", "stopped", "postgres, "+name)
		})
	}
}

// hits are the comings to a point at which a process is stopped. The first statement
// inside a stage begins its transaction.
func hits(inside bool) []int {
	switch {
	case *seeds == 0 && !inside:
		return []int{1}
	case *seeds == 0:
		return []int{2, 5}
	case *seeds == 1 && inside:
		return []int{2, 5, 8, 11}
	case !inside:
		return []int{1, 1, 1, 1} // with each change
	}
	all := make([]int, 12)
	for i := range all {
		all[i] = i + 1
	}
	return all
}

// still makes a change, lets a worker stop over it, heals beside it and judges.
func (r *run) still(change, at string) {
	if *only != "" && *only != change+"/"+at {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	fail := func(what string, err error) { r.failed(change+"/"+at, what, err) }
	if err := r.change(ctx, change); err != nil {
		fail("the application", err)
		return
	}
	if strings.HasPrefix(at, "backfill") {
		if err := r.place.Sweep(ctx); err != nil {
			fail("sweep", err)
			return
		}
	}
	c := r.place.Worker
	c.StopAt, c.UntilQuiet = at, true
	w, err := worker.Start(c)
	if err != nil {
		fail("the worker", err)
		return
	}
	defer w.Signal(syscall.SIGKILL) // who is stopped does not notice that this process ends
	ended := false
	for !ended && !w.Says(worker.Stopped) {
		select {
		case <-w.Done():
			ended = true
		case <-ctx.Done():
			fail("the worker", ctx.Err())
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
	r.tried++
	if !ended {
		r.died++
		r.reached[strings.Split(at, ":")[0]] = true
	}
	r.heal(ctx, fail)
	w.Signal(syscall.SIGKILL)
	_, err = w.Wait()
	_, _ = r.place.Logs.Write([]byte(w.Log()))
	if err != nil {
		fail("the worker", err)
	}
}
