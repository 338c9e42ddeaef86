package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type auditCmd struct {
	Sync  string `arg:"" optional:"" help:"The sync's name. Default: all of them."`
	Limit int    `default:"100" help:"How many changes to list at most; all are counted, and with --json all are listed."`
	JSON  bool   `help:"Print as JSON."`
}

type missedForm struct {
	Sync    string   `json:"sync"`
	Key     string   `json:"key"`
	Fields  []string `json:"fields"`
	Columns []string `json:"columns"`
	RowGone bool     `json:"row_gone"`
}

// Run looks for changes that the triggers did not see.
func (c *auditCmd) Run(p *program) error {
	if c.Limit < 1 {
		return usageError("--limit must be 1 or more")
	}
	s, misfit, err := setup.OpenFitting(p.ctx, p.options(setup.Options{}))
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Known(c.Sync); err != nil {
		return usageError(err.Error())
	}
	syncs := s.Syncs()
	if c.Sync != "" {
		syncs = []string{c.Sync}
	}
	var found []upkeep.Missed
	var failed []error
	var audited, left []string // left: syncs that don't fit
	line := newProgress(p.err)
	for _, name := range syncs {
		if !s.Fits(name) {
			left = append(left, name)
			continue
		}
		missed, err := s.Engine.Audit(p.ctx, name, func(done int) { line.say("auditing %s: %d groups", name, done) })
		found = append(found, missed...)
		if p.ctx.Err() != nil {
			line.done()
			return p.ctx.Err()
		}
		switch {
		case errors.Is(err, upkeep.ErrNotInstalled): // so are the others
			line.done()
			return err
		case err != nil:
			failed = append(failed, err)
		default:
			audited = append(audited, name)
		}
	}
	line.done()
	if err := c.print(p, found, audited, len(audited) == len(syncs)); err != nil {
		return err
	}
	for _, err := range failed {
		p.report(err)
	}
	if len(left) > 0 {
		fmt.Fprintf(p.err, "upkeep: not audited, since the configuration does not fit the tables: %s\n", strings.Join(left, ", "))
		if len(found)+len(failed) == 0 {
			return misfit
		}
		p.report(misfit)
	}
	if len(found)+len(failed) > 0 {
		return errReported
	}
	return nil
}

// print shows what was missed in the syncs that were audited.
func (c *auditCmd) print(p *program, found []upkeep.Missed, audited []string, all bool) error {
	if c.JSON {
		forms := []missedForm{}
		for _, m := range found {
			forms = append(forms, missedForm{m.Sync, m.Key, append([]string{}, m.Fields...), append([]string{}, m.Columns...), m.RowGone()})
		}
		return printJSON(p.out, forms)
	}
	gone := map[string]int{}
	for i, m := range found {
		what := "the whole record"
		if m.RowGone() {
			what = "its row is not there, and nobody saw it go"
			gone[m.Sync]++
		} else if len(m.Fields) > 0 {
			what = strings.Join(m.Fields, ", ") + " (made of " + strings.Join(m.Columns, ", ") + ")"
		}
		if i < c.Limit {
			fmt.Fprintf(p.out, "missed: %s\n", oneLine(m.ID.String()+": "+what))
		}
	}
	if len(found) > c.Limit {
		fmt.Fprintln(p.out, "There are more: see them with --limit, or --json.")
	}
	switch {
	case len(found) == 0 && len(audited) == 0:
		return nil
	case len(found) == 0 && !all:
		_, err := fmt.Fprintf(p.out, "nothing was missed in %s\n", oneLine(strings.Join(audited, ", ")))
		return err
	case len(found) == 0:
		_, err := fmt.Fprintln(p.out, "nothing was missed")
		return err
	}
	for _, sync := range slices.Sorted(maps.Keys(gone)) {
		fmt.Fprintf(p.out, "%s: rows that are not there: %d. Nothing is sent for these, and upkeep run parks them. Rows go unseen with DETACH PARTITION and DROP TABLE, while triggers are off, in a restore, or behind row-level security. If they were deleted, say so when they are parked, and how many: upkeep resync %s --deleted --missing %d\n", sync, gone[sync], sync, gone[sync])
	}
	if n := len(found); n == sum(gone) {
		_, err := fmt.Fprintf(p.out, "missed: %s\n", count(n, "deletion"))
		return err
	}
	_, err := fmt.Fprintf(p.out, "missed: %s; upkeep run sends what was missed. Find out what wrote past the triggers: upkeep doctor; if nothing did, something in the mapping says something else of the same rows each time, such as an SQL function that is declared IMMUTABLE and is not\n", count(len(found), "change"))
	return err
}

func sum(of map[string]int) (n int) {
	for _, some := range of {
		n += some
	}
	return n
}
