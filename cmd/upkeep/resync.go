package main

import (
	"fmt"
	"slices"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type resyncCmd struct {
	Sync    string `arg:"" optional:"" help:"The sync's name."`
	Key     string `arg:"" optional:"" help:"For one group, the root row's primary key: 42, or 42,eu for a key of two columns."`
	All     bool   `help:"All syncs."`
	Force   bool   `help:"Send records even when nothing differs from what the remote acknowledged."`
	Deleted bool   `help:"For one group: take its row's deletion as observed, so that the record is deleted too. With --missing, for many."`
	Missing int    `placeholder:"N" help:"With --deleted and without a key: for all groups that are parked since their row is gone and nobody saw it go, if they are N. With another number nothing is done."`
}

// Run marks groups to be looked at again; the engine that runs does the work.
func (c *resyncCmd) Run(p *program) error {
	if err := choose("resync", c.Sync, c.Key, c.All); err != nil {
		return err
	}
	switch {
	case c.Missing != 0 && (c.Missing < 0 || !c.Deleted || c.Sync == "" || c.Key != "" || c.Force):
		return usageError("--missing is a number above 0, and goes with a sync and --deleted alone: upkeep resync SYNC --deleted --missing N")
	case c.Deleted && c.Key == "" && c.Missing == 0:
		return usageError("--deleted is for one group, upkeep resync SYNC KEY --deleted, or for all N that are parked since their row is gone: upkeep resync SYNC --deleted --missing N")
	}
	s, err := p.openFor(c.Sync, setup.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if c.Key != "" {
		x, err := s.Engine.Explain(p.ctx, c.Sync, c.Key)
		if err != nil {
			return err
		}
		if x.Group == nil && x.Composite == nil {
			return fmt.Errorf("%s/%s: %s", c.Sync, c.Key, x.Why)
		}
	}
	if err := s.Engine.Resync(p.ctx, upkeep.Resync{Sync: c.Sync, Key: c.Key, Force: c.Force, Deleted: c.Deleted, Missing: c.Missing}); err != nil {
		return err
	}
	what := "all syncs"
	switch {
	case c.Key != "":
		what = c.Sync + "/" + c.Key
	case c.Missing > 0:
		what = count(c.Missing, "group") + " of " + c.Sync
	case c.Sync != "":
		what = "all of " + c.Sync
	}
	_, err = fmt.Fprintf(p.out, "%s will be looked at again by upkeep run, as soon as one is at work; follow it with: upkeep status\n", what)
	return err
}

type retryCmd struct {
	Sync     string `arg:"" optional:"" help:"The sync's name."`
	Key      string `arg:"" optional:"" help:"For one group, the root row's primary key: 42, or 42,eu for a key of two columns."`
	All      bool   `help:"All syncs."`
	NotThere bool   `help:"For one group, where the remote can't look records up: you looked, and the record is not there; make it."`
	Is       string `placeholder:"ID" help:"The same: the record is there, under this id of the remote's; update it."`
	JSON     bool   `help:"Print as JSON."`
}

// Run makes parked and waiting groups due at once.
func (c *retryCmd) Run(p *program) error {
	if err := choose("retry", c.Sync, c.Key, c.All); err != nil {
		return err
	}
	found := c.NotThere || c.Is != ""
	if found && (c.Key == "" || c.NotThere && c.Is != "") {
		return usageError("--is and --not-there are for one group, one of them: upkeep retry SYNC KEY --is ID, or upkeep retry SYNC KEY --not-there")
	}
	s, err := p.openFor(c.Sync, setup.Options{})
	if err != nil {
		if c.Key != "" && !c.JSON {
			p.stored(upkeep.ID{Sync: c.Sync, Key: c.Key})
		}
		return err
	}
	defer s.Close()
	id := upkeep.ID{Sync: c.Sync, Key: c.Key}
	n := int64(1)
	switch {
	case c.Is != "":
		err = s.Engine.Adopt(p.ctx, c.Sync, c.Key, c.Is)
	case c.NotThere:
		err = s.Engine.NotThere(p.ctx, c.Sync, c.Key)
	default:
		n, err = s.Engine.Retry(p.ctx, c.Sync, c.Key)
	}
	if err != nil {
		return err
	}
	broken, err := brokenRemotes(p, s, c.Sync)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p.out, map[string]any{"groups": n, "probing": broken})
	}
	switch {
	case n == 0 && c.Key != "":
		_, err = fmt.Fprintf(p.out, "%s is neither parked nor waiting; see: upkeep explain %s\n", id, id.Args())
	case n == 0:
		_, err = fmt.Fprintln(p.out, "no group is parked or waiting")
	case n == 1:
		_, err = fmt.Fprintln(p.out, "1 group goes again")
	default:
		_, err = fmt.Fprintf(p.out, "%d groups go again\n", n)
	}
	for _, name := range broken {
		_, err = fmt.Fprintln(p.out, probing(name))
	}
	return err
}

// brokenRemotes are those whose breaker is open, of a sync or of all.
func brokenRemotes(p *program, s *setup.Setup, sync string) ([]string, error) {
	st, err := s.Engine.Status(p.ctx)
	if err != nil {
		return nil, err
	}
	broken := []string{}
	for _, r := range st.Remotes {
		if r.Broken && (sync == "" || slices.Contains(r.Syncs, sync)) {
			broken = append(broken, r.Name)
		}
	}
	return broken, nil
}

// probing says what becomes of a remote whose breaker is open.
func probing(remote string) string {
	return fmt.Sprintf("the breaker of remote %s is open: upkeep run probes it now, and if that succeeds all that waits for it goes; see upkeep status", oneLine(remote))
}

// choose makes sure that a command over everything was asked for by --all.
func choose(command, sync, key string, all bool) error {
	switch {
	case all && sync != "":
		return usageError("--all goes without a sync")
	case !all && sync == "":
		return usageError("say which: upkeep " + command + " SYNC, upkeep " + command + " SYNC KEY, or upkeep " + command + " --all")
	}
	return nil
}
