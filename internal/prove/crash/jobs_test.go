package crash

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/prove/ledger"
	"github.com/upkeep-sync/upkeep/internal/prove/provetest"
	"github.com/upkeep-sync/upkeep/internal/prove/worker"
)

// amiss is what befalls the first job besides the death, where it is the first
// hit that is died at: a process that lives on would wait for the end of
// doubts. The zero value: nothing.
var amiss = []ledger.Fault{
	{},
	{Kind: ledger.Untold},
	{Kind: ledger.Forget},
	{Kind: ledger.Reset, Verb: ledger.RunJob, Applied: true},
	{Kind: ledger.Halt},
	{Kind: ledger.Reset, Verb: ledger.RunJob},
	{Kind: ledger.Untold, Applied: true},
}

// TestJobCrashPoints dies around bulk jobs. Each case is a new edition of the
// syncs, so that jobs make, update and delete records, with a change of the
// application beside it. The short form tries each point on either database in
// turn.
func TestJobCrashPoints(t *testing.T) {
	t.Parallel()
	for i, driver := range []string{worker.SQLite, worker.Postgres} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			r := &run{t: t, place: provetest.New(t, driver, connector.Upsert, *seed)}
			r.place.Worker.Jobs = connector.Bulk{From: 2, Most: 100, Poll: 50 * time.Millisecond}
			for n, point := range worker.Jobs(driver) {
				if *seeds > 0 || *only != "" || n%2 == i || strings.HasSuffix(point, ".sql") {
					r.points = append(r.points, point)
				}
			}
			r.allJobs()
			r.print(driver + ", jobs")
		})
	}
}

func (r *run) allJobs() {
	r.reached = map[string]bool{}
	// The first edition is backfilled, and comes to rest.
	if r.place.Edit(); !r.healed("first") {
		return
	}
	cases := 0
	for i, point := range r.points {
		for n := range max(1, *seeds/2) {
			for j, change := range changes {
				if *seeds == 0 && j != i%len(changes) {
					continue
				}
				hit, fault := 1+(n+j)%3, ledger.Fault{}
				if *seeds == 0 {
					hit = 1
				}
				if hit == 1 {
					fault = amiss[cases%len(amiss)]
					cases++
				}
				r.job(change, fmt.Sprintf("%s:%d", point, hit), fault)
				if r.t.Failed() {
					return
				}
			}
		}
	}
	for _, point := range r.points {
		if *only == "" && !r.reached[point] {
			r.t.Errorf("no process died at %s", point)
		}
	}
	if running, made := r.place.Remote.Jobs(); running > 0 || made < len(r.points) {
		r.t.Errorf("%d jobs were made, and %d still run", made, running)
	}
}

// before is where the process before dies, so that another one comes to a point.
func before(point string) string {
	switch {
	case strings.HasPrefix(point, "job.abort"):
		return "job.run.before:1"
	case strings.HasPrefix(point, "job.take"):
		return "job.run.after:1"
	}
	return ""
}

// job is a case with jobs.
func (r *run) job(change, at string, fault ledger.Fault) {
	if *only != "" && *only != change+"/"+at {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	name := fmt.Sprintf("%s/%s, %q", change, at, fault.Kind)
	p := r.place
	p.Edit()
	if err := r.change(ctx, change); err != nil {
		r.failed(name, "the application", err)
		return
	}
	if fault.Kind != "" {
		fault.Times = 1
		p.Remote.Fail(fault)
	}
	for _, at := range []string{before(at), at} {
		if at == "" {
			continue
		}
		if err := r.die(at); err != nil {
			r.failed(name, "the worker", err)
			return
		}
		if err := p.Advance(ctx, time.Hour); err != nil {
			r.failed(name, "the clock", err)
			return
		}
	}
	p.Remote.Heal()
	r.heal(ctx, func(what string, err error) { r.failed(name, what, err) })
}

func (r *run) healed(name string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r.heal(ctx, func(what string, err error) { r.failed(name, what, err) })
	return !r.t.Failed()
}

func (r *run) failed(name, what string, err error) {
	r.t.Errorf("%s: %s: %v\nagain: go test ./internal/prove/crash -run '%s' -seeds %d -seed %d", name, what, err, r.t.Name(), *seeds, *seed)
}
