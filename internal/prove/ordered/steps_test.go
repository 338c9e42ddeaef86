package ordered

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"pgregory.net/rapid"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// step is one thing that happens.
func (o *ordering) step() {
	s := rapid.SampledFrom(o.sessions).Draw(o.T, "session")
	if o.alone != nil {
		s = o.alone
	}
	do := rapid.SampledFrom([]string{"transaction", "transaction", "transaction", "transaction", "change", "change", "change", "end", "end",
		"finish", "start", "stop", "kill", "fault", "settle", "resync", "skip"}).Draw(o.T, "step")
	if o.alone != nil && do != "change" {
		do = "end"
	}
	switch do {
	case "transaction":
		if s.open {
			s.end(o)
		}
		for range rapid.IntRange(1, 3).Draw(o.T, "changes") {
			s.change(o)
		}
		s.end(o)
	case "change":
		s.change(o)
	case "end":
		s.end(o)
	case "finish":
		o.finish()
	case "start":
		o.start()
	case "stop", "kill":
		o.stop(do == "kill")
	case "fault":
		o.fault()
	case "settle":
		o.settle()
	case "skip":
		o.skip()
	case "resync":
		o.ok(o.control.Resync(o.ctx, upkeep.Resync{Sync: rapid.SampledFrom([]string{"every", "latest"}).Draw(o.T, "sync"), Force: rapid.Bool().Draw(o.T, "force")}))
	}
}

// change is a change in a transaction, which it begins if there is none.
func (s *session) change(o *ordering) {
	if !s.open {
		s.snapshot = !o.total && rapid.IntRange(0, 7).Draw(o.T, "snapshot") == 7
		s.open, s.truncated, s.crowded, s.immediate, s.began, s.at, s.seen, s.same, s.points = true, false, false, false, o.commits, o.steps(), map[string]bool{}, map[string]bool{}, nil
		o.Logf("%s begins, snapshot %v", s.name(), s.snapshot)
		s.run("begin" + map[bool]string{true: " isolation level repeatable read"}[s.snapshot])
	}
	switch rapid.IntRange(0, 11).Draw(o.T, "before") {
	case 9:
		s.run(fmt.Sprint("savepoint s", len(s.points)))
		s.points = append(s.points, maps.Clone(s.seen))
		o.Log(s.name(), "savepoint", len(s.points)-1)
	case 10:
		if len(s.points) > 0 {
			s.back(o, rapid.IntRange(0, len(s.points)-1).Draw(o.T, "back to"))
		}
	case 11:
		if o.quiet(s) {
			s.run("set constraints all immediate")
			o.alone, s.immediate = s, true
			o.Log(s.name(), "immediate")
		}
	}
	for _, sql := range o.draw(o.T) {
		truncates := strings.HasPrefix(sql, "truncate")
		if truncates && !o.quiet(s) {
			return
		}
		if truncates && o.worker != nil {
			// To who has a snapshot from before it, a truncated table is empty: the
			// server says so of TRUNCATE. No worker reads meanwhile.
			o.stop(false)
			o.paused = true
		}
		before, rows := o.read(s)
		if err := s.exec(sql); err != nil {
			o.Logf("%s %s -> %v", s.name(), sql, err)
			if len(s.points) > 0 {
				s.back(o, len(s.points)-1)
				return
			}
			s.rollback(o)
			return
		}
		after, rowsAfter := o.read(s)
		o.Logf("%s %s", s.name(), sql)
		if truncates {
			o.alone, s.truncated = s, true
			if s.immediate { // versions were read, with rows that are gone
				clear(s.seen)
			}
			continue
		}
		changed := map[string]bool{}
		for _, m := range []map[string]version{before, after} {
			for k := range m {
				if before[k] != after[k] {
					changed[k], s.seen[k] = true, true
				}
			}
		}
		for k, was := range rows {
			if is, there := rowsAfter[k]; there && was != is && !changed[k] {
				s.same[k] = true
			}
		}
		s.crowded = s.crowded || len(changed) > crowd && (strings.Contains(sql, "customers") || strings.Contains(sql, "regions"))
	}
}

func (s *session) name() string { return fmt.Sprint("connection ", slices.Index(s.o.sessions, s)) }

// back goes back to a savepoint.
func (s *session) back(o *ordering, n int) {
	s.run(fmt.Sprint("rollback to s", n))
	s.seen, s.points = maps.Clone(s.points[n]), s.points[:n+1]
	o.Log(s.name(), "back to savepoint", n)
}

// quiet tells whether no other transaction is open.
func (o *ordering) quiet(s *session) bool {
	return len(o.prepared) == 0 && !slices.ContainsFunc(o.sessions, func(other *session) bool { return other.open && other != s })
}

func (s *session) rollback(o *ordering) {
	s.run("rollback")
	o.Log(s.name(), "rolls back")
	s.done(o)
}

func (s *session) done(o *ordering) {
	s.open = false
	if o.alone == s {
		o.alone = nil
	}
	if o.paused {
		o.paused = false
		o.start()
	}
}

// end ends a transaction, if there is one.
func (s *session) end(o *ordering) {
	if !s.open {
		return
	}
	ends := []string{"commit", "commit", "commit", "commit", "commit", "commit", "rollback"}
	if o.alone != s && !o.total && len(o.prepared) < 3 {
		ends = append(ends, "prepare")
	}
	how := rapid.SampledFrom(ends).Draw(o.T, "end")
	var saw map[string]version
	if s.snapshot || how == "prepare" {
		saw, _ = o.read(s)
	}
	switch how {
	case "rollback":
		s.rollback(o)
	case "commit":
		err := s.exec("commit")
		o.Log(s.name(), "commits", err)
		s.done(o)
		if err != nil && o.total && strings.Contains(err.Error(), "lock timeout") {
			return // the application's own trigger waited for another's lock
		}
		o.ok(err)
		o.committed(s, saw, nil)
	case "prepare":
		o.names++
		p := &prepared{session: *s, name: fmt.Sprintf("%s %d", o.schema, o.names), saw: saw, at: o.steps()}
		err := s.exec("prepare transaction '" + p.name + "'")
		o.Logf("%s prepares %q: %v", s.name(), p.name, err)
		o.ok(err)
		s.done(o)
		o.prepared = append(o.prepared, p)
	}
}

// finish ends a prepared transaction.
func (o *ordering) finish() {
	if len(o.prepared) == 0 {
		return
	}
	i := rapid.IntRange(0, len(o.prepared)-1).Draw(o.T, "which")
	p := o.prepared[i]
	o.prepared = slices.Delete(o.prepared, i, i+1)
	how := rapid.SampledFrom([]string{"commit", "commit", "rollback"}).Draw(o.T, "end of the prepared")
	o.Logf("%s prepared %q", how, p.name)
	o.observer.run(how + " prepared '" + p.name + "'")
	if how == "commit" {
		o.committed(&p.session, p.saw, func(k string) (int, bool) { return p.at[k], len(pastOf(o.every, k).steps) > p.at[k] })
	}
}

func (o *ordering) endAll() {
	for _, s := range o.sessions {
		s.end(o)
	}
	for len(o.prepared) > 0 {
		o.finish()
	}
}

// mortal is a database whose process may be killed: then nothing that it did
// is recorded, and it does no more.
type mortal struct {
	upkeep.Database
	dead *atomic.Bool
}

var errKilled = errors.New("the process was killed")

func (m mortal) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claim, error) {
	if m.dead.Load() {
		return nil, errKilled
	}
	return m.Database.Claim(ctx, r)
}

func (m mortal) Record(ctx context.Context, results []store.Result, byHand []string) ([]store.ID, error) {
	if m.dead.Load() {
		return nil, errKilled
	}
	return m.Database.Record(ctx, results, byHand)
}

type worker struct {
	names  []string // of its engines
	cancel context.CancelFunc
	dead   *atomic.Bool
	done   chan error
}

func (o *ordering) start() {
	if o.worker != nil {
		return
	}
	o.Log("a worker starts")
	ctx, cancel := context.WithCancel(o.ctx)
	w := &worker{nil, cancel, new(atomic.Bool), make(chan error, 1)}
	ended := make(chan error, o.engines)
	for range o.engines {
		e := o.engine(mortal{o.db, w.dead})
		w.names = append(w.names, e.Name())
		go func() { ended <- e.Run(ctx) }()
	}
	go func() { // one that ends takes the others with it
		var errs []error
		for range o.engines {
			errs = append(errs, <-ended)
			cancel()
		}
		w.done <- errors.Join(errs...)
	}()
	o.worker = w
}

func (o *ordering) stop(kill bool) {
	if o.worker == nil {
		return
	}
	o.Log("the worker stops, killed:", kill)
	w := o.worker
	o.worker = nil
	w.dead.Store(kill)
	w.cancel()
	if err := <-w.done; err != nil && !kill {
		o.Errorf("run: %v", err)
	}
}

// fault lets one of the next calls fail.
func (o *ordering) fault() {
	f := memory.Fault{
		On:    rapid.SampledFrom([]memory.Verb{memory.Create, memory.Update, memory.Update, memory.Delete}).Draw(o.T, "verb"),
		After: rapid.IntRange(0, 2).Draw(o.T, "after"),
	}
	kind := rapid.SampledFrom([]string{"busy", "unknown", "applied", "late", "refused"}).Draw(o.T, "fault")
	switch kind {
	case "busy":
		f.Err = memory.Err(connector.Busy)
	case "unknown":
		f.Err = memory.Err(connector.Unknown)
	case "applied":
		f.Err, f.Applied = memory.Err(connector.Unknown), true
	case "late":
		f.Late, o.tardy = true, true
	case "refused": // until the next look
		o.remote.FailWhen(func(q memory.Request) *memory.Fault {
			if string(q.Fields["state"]) == `"bad"` {
				return &memory.Fault{Err: memory.Err(connector.Rejected)}
			}
			return nil
		})
	}
	o.Log("fault", kind, f.On, f.After)
	if kind != "refused" {
		o.remote.Fail(f)
	}
}

// skip is a person who lets the oldest version of a group be left out.
func (o *ordering) skip() {
	key := fmt.Sprint(rapid.IntRange(1, shopTables[0].ids).Draw(o.T, "skipped"))
	said := func() string {
		return o.observer.ask("select count(*)::text from upkeep.attempts where action = 'skip' and key = '" + key + "'")
	}
	was := said()
	c, err := o.control.Skip(o.ctx, "every", key)
	o.Log("skip", key, c.Number, err)
	switch {
	case err == nil && said() == was:
		o.Fatalf("the version %d of %s was skipped, and its history does not say so", c.Number, key)
	case err == nil && c.Number == 0: // it was the state: to be sent all the same
		if err := o.control.Resync(o.ctx, upkeep.Resync{Sync: "every", Key: key, Force: true}); err != nil {
			o.Fatal(err)
		}
	case err == nil:
		pastOf(o.every, key).skips++
	case !errors.Is(err, upkeep.ErrNothingToSkip) && !errors.Is(err, upkeep.ErrClaimed) && !errors.Is(err, upkeep.ErrNoGroup):
		o.Fatal(err)
	}
}

// settle mends the remote, waits until all is delivered, and compares.
func (o *ordering) settle() {
	o.Helper()
	if o.alone != nil {
		return
	}
	o.Log("all is to be delivered")
	o.start()
	o.remote.Heal()
	_, err := o.control.Retry(o.ctx, "", "")
	o.ok(err)
	began, calls, moved, again := time.Now(), 0, time.Now(), false
	for {
		st, err := o.control.Status(o.ctx)
		if err != nil {
			o.Fatalf("not delivered: %v\n%s", err, o.lane())
		}
		left := st.Pending
		for _, c := range st.Syncs {
			left += int(c.Groups - c.Clean - c.Gone + c.Commands)
			if c.Backfill.Running {
				left++
			}
		}
		if left == 0 {
			break
		}
		select {
		case err := <-o.worker.done:
			o.worker.done <- err
			o.Fatalf("the worker ended: %v", err)
		case <-time.After(time.Until(began.Add(time.Minute))):
			o.Fatalf("not delivered: %+v\n%s", st, o.lane())
		case <-time.After(3 * time.Millisecond):
		}
		if n := o.remote.Calls(memory.Any); n > calls {
			calls, moved = n, time.Now()
		}
		if time.Since(moved) > 150*time.Millisecond { // what waits, waits for the clock
			o.remote.Land(-1)
			if o.later() && !again { // what was refused just before is known by now
				_, err := o.control.Retry(o.ctx, "", "")
				o.ok(err)
				again = true
			}
			moved = time.Now()
		}
	}
	o.compare()
}

// later lets an hour pass for the database, unless the worker is at something: a
// process that lives does not stall for that long, so no lease may run out on it,
// however long it takes where the machine has much else to do.
func (o *ordering) later() bool {
	o.observer.run("begin; lock table upkeep.groups in share row exclusive mode")
	idle := o.observer.ask(fmt.Sprintf(`select count(*)::text from upkeep.groups where holder = any ('{"%s"}')`, strings.Join(o.worker.names, `","`))) == "0"
	if idle {
		o.hours++
		o.observer.run(fmt.Sprintf(`create or replace function upkeep.clock() returns timestamptz language sql volatile as
			'select pg_catalog.clock_timestamp() + %d * interval ''1 hour'''`, o.hours))
	}
	o.observer.run("commit")
	return idle
}
