package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/setup"
	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/metrics"
)

type runCmd struct {
	Once      bool          `help:"Work until there is nothing left to do, then exit: for cron. Groups that are parked, or wait for a record that is not to come, don't count, but make the exit status 3; one in doubt is waited for, which takes as long as its remote may still apply the call. It gives up on remotes that keep failing, and on syncs whose rows can't be read, unless --within says for how long."`
	Within    time.Duration `help:"With --once: fail when there is still work after so long, such as 10m, and not before. Default: no limit, but it gives up on remotes that keep failing, and on syncs whose rows can't be read."`
	Listen    string        `placeholder:"ADDR" help:"Serve /metrics for Prometheus, and /livez and /readyz for what probes processes, at this address over plain HTTP: 127.0.0.1:9090 for this machine only, :9090 for every address of it. There is no authentication; names of syncs and remotes and numbers are shown, and nothing of a row. Default: off."`
	Drain     time.Duration `default:"30s" help:"How long a stop waits for the calls under way. A second signal stops at once."`
	Name      string        `placeholder:"NAME" help:"Name of this process among those that share the database; a random part is put behind it. Default: host and process id."`
	LogFormat string        `enum:"text,json" default:"text" help:"Format of the log on standard error: text or json."`
	LogLevel  string        `enum:"debug,info,warn,error" default:"info" help:"The least level that is logged: debug, info, warn, error."`
}

// followEvery is how often what moved is logged.
const followEvery = 10 * time.Second

// Run keeps the remotes up to date until the context ends.
func (c *runCmd) Run(p *program) error {
	switch {
	case c.Within != 0 && !c.Once:
		return usageError("--within goes with --once")
	case c.Within < 0:
		return usageError("--within must not be negative")
	case c.Once && c.Listen != "":
		return usageError("--listen goes without --once: what ends by itself is not there to be asked")
	case c.Drain <= 0:
		return usageError("--drain must be more than nothing")
	}
	line := newProgress(p.err)
	log := c.logger(line)
	if c.LogFormat == "json" {
		p.err = lastWords{log}
	}
	asked, err := listenOn(p.ctx, c.Listen)
	if err != nil {
		return err
	}
	defer asked.close()
	s, err := p.open(setup.Options{Engine: upkeep.Config{Logger: log, Drain: c.Drain, Name: c.Name}})
	if err != nil {
		return err
	}
	defer s.Close()
	stopping := context.AfterFunc(p.ctx, func() {
		log.Info("stopping: the calls under way may end; signal again to stop at once", "at_most", moment.Span(c.Drain))
	})
	defer stopping()
	if c.Once {
		return c.once(p, s, line)
	}
	log.Info("upkeep runs", "database", s.Database.Name(), "syncs", strings.Join(s.Syncs(), " "))
	g, ctx := errgroup.WithContext(p.ctx)
	g.Go(func() error {
		defer asked.close() // not before: a scrape shows how a stop goes
		if err := s.Engine.Run(ctx); err != nil {
			return err
		}
		return errStopped // ends follow
	})
	g.Go(func() error {
		warn(ctx, s, log)
		return nil
	})
	g.Go(func() error { return asked.serve(metrics.Handler(s.Engine), log) })
	g.Go(func() error { return follow(ctx, s, log) })
	switch err := g.Wait(); {
	case errors.Is(err, store.ErrNotInstalled): // it was, a moment ago
		return errors.New("upkeep uninstall has removed Upkeep from this database, or it was replaced by another one; this process has stopped, and nothing is sent any more. To begin anew: upkeep run")
	case !errors.Is(err, errStopped):
		return err
	}
	log.Info("upkeep has stopped")
	return nil
}

var errStopped = errors.New("stopped")

// warn logs what check warns of, as far as no remote has to be asked.
func warn(ctx context.Context, s *setup.Setup, log *slog.Logger) {
	for _, f := range s.Warnings(ctx) {
		args := []any{"about", f.Subject}
		if f.Fix != "" {
			args = append(args, "fix", f.Fix)
		}
		log.Warn(f.Message, args...)
	}
}

// logger logs through line, so that a progress line is taken away first.
func (c *runCmd) logger(line io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // kong allows only those that are known
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(line, o))
	}
	return slog.New(slog.NewTextHandler(line, o))
}

// lastWords logs the error that ends the program, which is for a program to read
// as the rest of the log is.
type lastWords struct{ log *slog.Logger }

func (w lastWords) Write(b []byte) (int, error) {
	w.log.Error("upkeep ends", "error", strings.TrimPrefix(strings.TrimSpace(string(b)), "upkeep: "))
	return len(b), nil
}

// once runs the engine until everything is quiet.
func (c *runCmd) once(p *program, s *setup.Setup, line *progress) error {
	// Installed first, so that the first look finds the backfill that is to do.
	if err := s.Engine.Install(p.ctx); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(p.ctx)
	defer stop()
	waiting := ctx
	if c.Within > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, c.Within)
		defer cancel()
	}
	var last *upkeep.Status
	var quiet error
	g, waiting := errgroup.WithContext(waiting)
	g.Go(func() error { return s.Engine.Run(ctx) })
	w := newWaits(s.Engine, func(text string) { fmt.Fprintln(line, text) })
	if c.Within > 0 {
		w.until = time.Now().Add(c.Within)
	}
	g.Go(func() error {
		looking, giveUp := context.WithCancel(waiting)
		defer giveUp()
		quiet = s.Engine.Quiet(looking, func(st *upkeep.Status) {
			last = st
			line.say("%s", tally(st))
			if w.look(waiting, st); w.vain != "" {
				giveUp()
			}
		})
		stop() // not before quiet is known: the engine may end at once
		return quiet
	})
	err := g.Wait()
	line.done()
	switch {
	case w.vain != "" && errors.Is(quiet, context.Canceled) && p.ctx.Err() == nil:
		return fmt.Errorf("nothing moves: %s; left is: %s; when it is mended, run this again; to wait longer: --within 1h", w.vain, tally(last))
	case errors.Is(quiet, context.DeadlineExceeded) && p.ctx.Err() == nil:
		return fmt.Errorf("there is still work after %s: %s; see: upkeep status", moment.Span(c.Within), tally(last))
	case p.ctx.Err() != nil:
		return errors.New("stopped before everything was quiet")
	case err != nil:
		return err
	}
	if _, err = fmt.Fprintf(p.out, "quiet: %s\n", tally(last)); err != nil {
		return err
	}
	return leftTo(line, last)
}

// leftTo says on w what a quiet system leaves to a person, and is errPending if
// there is something.
func leftTo(w io.Writer, st *upkeep.Status) error {
	var parked, waiting, paused int64
	for _, c := range st.Syncs {
		parked += c.Parked
		waiting += c.Waiting
		paused += c.Dirty + c.Claimed + c.InDoubt
	}
	if parked > 0 {
		fmt.Fprintf(w, "left to a person: %s parked: upkeep status --state parked\n", count(int(parked), "group"))
	}
	if waiting > 0 {
		fmt.Fprintf(w, "left to a person: %s waiting for a record that is not there and that nothing sends now: upkeep status --state waiting\n", count(int(waiting), "group"))
	}
	if paused > 0 {
		fmt.Fprintf(w, "left to a person: %s held back by a pause: upkeep status\n", count(int(paused), "group"))
	}
	if parked+waiting+paused > 0 {
		return errPending
	}
	return nil
}

// tally sums the groups of all syncs by state: "12 clean, 1 parked".
func tally(st *upkeep.Status) string {
	if st == nil {
		return "nothing was looked at yet"
	}
	var sum upkeep.Counts
	var passed int64
	running := false
	for _, c := range st.Syncs {
		sum.Clean += c.Clean
		sum.Dirty += c.Dirty
		sum.Claimed += c.Claimed
		sum.InDoubt += c.InDoubt
		sum.Waiting += c.Waiting
		sum.Parked += c.Parked
		sum.Gone += c.Gone
		sum.Skipped += c.Skipped
		if c.Backfill.Running {
			running = true
			passed += c.Backfill.Done
		}
	}
	var parts []string
	add := func(n int64, word string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	add(sum.Clean, "clean")
	add(sum.Dirty, "dirty")
	add(sum.Claimed, "claimed")
	add(sum.InDoubt, "in doubt")
	add(sum.Waiting, "waiting")
	add(sum.Parked, "parked")
	add(sum.Gone, "gone")
	add(sum.Skipped, "skipped")
	if st.Pending > 0 {
		parts = append(parts, touches(st.Pending))
	}
	if running {
		parts = append(parts, "backfill passed "+number(passed, "row"))
	}
	if len(parts) == 0 {
		return "no groups"
	}
	return strings.Join(parts, ", ")
}

// follow logs a line for each sync in which something moved, and nothing when
// nothing did.
func follow(ctx context.Context, s *setup.Setup, log *slog.Logger) error {
	moves := int64(-1)
	var before map[string]upkeep.Counts
	return repeat(ctx, followEvery, func() (bool, error) {
		n, err := s.Database.Moves(ctx)
		if err != nil || n == moves {
			return false, nil // not installed yet, or the database is away: the engine logs that
		}
		st, err := s.Engine.Status(ctx)
		if err != nil {
			return false, nil
		}
		moves = n
		first := before == nil
		if first {
			before = map[string]upkeep.Counts{}
		}
		for _, c := range st.Syncs {
			b := before[c.Sync]
			before[c.Sync] = c
			if first || !moved(b, c) {
				continue
			}
			args := []any{"sync", c.Sync, "calls", c.Calls - b.Calls, "saved", c.Saved - b.Saved, "clean", c.Clean, "dirty", c.Dirty + c.Claimed,
				"in_doubt", c.InDoubt, "waiting", c.Waiting, "parked", c.Parked, "lag", moment.Span(c.Oldest)}
			if c.Skipped > 0 {
				args = append(args, "skipped", c.Skipped)
			}
			if c.Backfill.Running {
				args = append(args, "backfill", backfill(c))
			}
			log.Info("progress", args...)
		}
		return false, nil
	})
}

// moved compares what changes by work, and not the lag, which grows by itself.
func moved(a, b upkeep.Counts) bool {
	a.Oldest, b.Oldest = 0, 0
	return a != b
}
