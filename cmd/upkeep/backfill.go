package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/screen"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type backfillCmd struct {
	Sync string `arg:"" optional:"" help:"The sync's name. Default: all of them."`
	JSON bool   `help:"Print as JSON."`
}

// backfillLook is how often the registry is asked how far it is.
const backfillLook = 100 * time.Millisecond

// Run passes over every row once, or follows the pass that is under way, until
// what it found is sent. It does the work itself, beside any upkeep run.
func (c *backfillCmd) Run(p *program) error {
	line := newProgress(p.err)
	log := slog.New(slog.NewTextHandler(line, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := p.openFor(c.Sync, setup.Options{Engine: upkeep.Config{Logger: log}})
	if err != nil {
		return err
	}
	defer s.Close()
	f := &filling{engine: s.Engine, syncs: s.Syncs(), line: line}
	f.waits = newWaits(s.Engine, func(text string) { fmt.Fprintln(line, text) })
	f.waits.ends = "Ctrl-C ends the wait, and upkeep run goes on with it"
	if c.Sync != "" {
		f.syncs = []string{c.Sync}
	}
	if err := f.start(p.ctx); err != nil {
		return err
	}
	err = f.work(p.ctx)
	line.done()
	if err != nil {
		if p.ctx.Err() != nil {
			if !f.passed.IsZero() {
				return errors.New("all rows were looked at; stopped before all was sent, or settled, which goes on with upkeep run")
			}
			return errors.New("stopped before the backfill was over; it goes on with upkeep run, or with upkeep backfill")
		}
		return err
	}
	if c.JSON {
		err = printJSON(p.out, f.forms())
	} else {
		err = f.print(p.out)
	}
	return errors.Join(err, f.left(p.err))
}

// filling is a backfill of some syncs.
type filling struct {
	engine *upkeep.Engine
	syncs  []string
	line   *progress
	waits  *waits
	last   []upkeep.Counts // of the syncs
	held   bool            // a pause keeps something back
	passed time.Time       // when the rows were seen to be passed over; zero: not yet
}

// start starts a backfill of the syncs that have none under way. A sync that
// is new gets its own by being installed.
func (f *filling) start(ctx context.Context) error {
	if err := f.installable(ctx); err != nil {
		return err
	}
	if err := f.engine.Install(ctx); err != nil {
		return err
	}
	if _, err := f.look(ctx); err != nil {
		return err
	}
	for _, c := range f.last {
		if !c.Backfill.Running {
			if err := f.engine.Resync(ctx, upkeep.Resync{Sync: c.Sync}); err != nil {
				return err
			}
		}
	}
	f.passed = time.Time{}
	return nil
}

// installable is an error where another configuration is installed: with this one
// every upkeep run that has the other would stop, which nobody asked for.
func (f *filling) installable(ctx context.Context) error {
	plan, err := f.engine.Plan(ctx)
	if err != nil {
		return err
	}
	by := map[string][]string{}
	for _, s := range plan.Syncs {
		by[s.Change] = append(by[s.Change], s.Sync)
	}
	if len(by["changed"]) == 0 && (len(by["new"]) == 0 || len(by[""]) == 0) {
		return nil
	}
	var differs []string
	for _, change := range []string{"changed", "new"} {
		if len(by[change]) > 0 {
			differs = append(differs, change+": "+strings.Join(by[change], ", "))
		}
	}
	return fmt.Errorf("this configuration is not the one that is installed (%s): see the difference with upkeep plan; to have this one, stop each upkeep run with the other and start it with this one, which sends what differs by itself", strings.Join(differs, "; "))
}

// work runs the engine until the backfill is over.
func (f *filling) work(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	over := false
	g.Go(func() error {
		defer stop()
		return f.engine.Run(ctx)
	})
	g.Go(func() error {
		defer stop()
		return repeat(ctx, backfillLook, func() (done bool, err error) {
			done, err = f.look(ctx)
			over = done
			return done, err
		})
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if !over {
		return errors.New("the backfill ended early")
	}
	return nil
}

// look notes how far the backfill is, and says whether it is over: all rows
// passed, and whatever is unsynced was touched after that.
func (f *filling) look(ctx context.Context) (bool, error) {
	asked := time.Now()
	st, err := f.engine.Status(ctx)
	if err != nil {
		return false, err
	}
	over := f.take(st, asked)
	if !over && !f.passed.IsZero() {
		f.waits.look(ctx, &upkeep.Status{Syncs: f.last, Remotes: st.Remotes})
	}
	return over, nil
}

// take is look, for a status that was asked for at that moment. Its ages are
// those of a moment after it: were they held against a later one, as an answer
// that is slow to come makes it, what was touched before would seem touched
// after.
func (f *filling) take(st *upkeep.Status, asked time.Time) bool {
	f.last, f.held = f.last[:0], false
	var done, total, left int64
	running, old := false, false
	for _, c := range st.Syncs {
		if !slices.Contains(f.syncs, c.Sync) {
			continue
		}
		f.last = append(f.last, c)
		running = running || c.Backfill.Running
		done, total = done+c.Backfill.Done, total+max(c.Backfill.Total, c.Backfill.Done)
		left += unsynced(c)
		old = old || unsynced(c) > 0 && (f.passed.IsZero() || c.Oldest == 0 || c.Oldest >= asked.Sub(f.passed))
	}
	for _, p := range st.Pauses {
		f.held = f.held || p.Remote != "" || slices.Contains(f.syncs, p.Sync)
	}
	f.line.say("%s %d of about %s, %s to send", screen.Bar(done, total), done, number(total, "row"), number(left, "group"))
	if running {
		f.passed = time.Time{}
		return false
	}
	if f.passed.IsZero() {
		f.passed = time.Now()
	}
	return !old || f.held
}

// left says what a person has to do for the rest, and is errPending if there is
// something. What waits for another record may be woken by the next moment.
func (f *filling) left(w io.Writer) error {
	st := &upkeep.Status{}
	for _, c := range f.last {
		left := upkeep.Counts{Parked: c.Parked}
		if f.held {
			left.Dirty = unsynced(c)
		}
		st.Syncs = append(st.Syncs, left)
	}
	return leftTo(w, st)
}

// filledForm is a sync's line in --json.
type filledForm struct {
	Sync    string `json:"sync"`
	Rows    int64  `json:"rows"`
	Groups  int64  `json:"groups"`
	Clean   int64  `json:"clean"`
	Dirty   int64  `json:"dirty"`
	Claimed int64  `json:"claimed"`
	InDoubt int64  `json:"in_doubt"`
	Waiting int64  `json:"waiting"`
	Parked  int64  `json:"parked"`
	Gone    int64  `json:"gone"`
	Skipped int64  `json:"skipped"`
}

func (f *filling) forms() []filledForm {
	out := []filledForm{}
	for _, c := range f.last {
		out = append(out, filledForm{c.Sync, c.Backfill.Done, c.Groups, c.Clean, c.Dirty, c.Claimed, c.InDoubt, c.Waiting, c.Parked, c.Gone, c.Skipped})
	}
	return out
}

func (f *filling) print(w io.Writer) error {
	for _, c := range f.last {
		sum := tally(&upkeep.Status{Syncs: []upkeep.Counts{c}})
		if _, err := fmt.Fprintf(w, "%s: passed over %s; %s\n", c.Sync, count(int(c.Backfill.Done), "row"), sum); err != nil {
			return err
		}
	}
	if f.held {
		_, err := fmt.Fprintln(w, "Something is paused: what is left goes out when it is resumed; see: upkeep status")
		return err
	}
	return nil
}
