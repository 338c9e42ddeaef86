package main

import (
	"fmt"
	"strings"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type auditCmd struct {
	Sync string `arg:"" optional:"" help:"The sync's name. Default: all of them."`
	JSON bool   `help:"Print as JSON."`
}

type missedForm struct {
	Sync    string   `json:"sync"`
	Key     string   `json:"key"`
	Fields  []string `json:"fields"`
	Columns []string `json:"columns"`
}

// Run looks for changes that the triggers did not see.
func (c *auditCmd) Run(p *program) error {
	s, err := p.openFor(c.Sync, setup.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	syncs := s.Syncs()
	if c.Sync != "" {
		syncs = []string{c.Sync}
	}
	var found []upkeep.Missed
	line := newProgress(p.err)
	for _, name := range syncs {
		missed, err := s.Engine.Audit(p.ctx, name, func(done int) { line.say("auditing %s: %d groups", name, done) })
		if err != nil {
			line.done()
			return fmt.Errorf("audit %s: %w", name, err)
		}
		found = append(found, missed...)
	}
	line.done()
	if err := c.print(p, found); err != nil {
		return err
	}
	if len(found) > 0 {
		return errReported
	}
	return nil
}

func (c *auditCmd) print(p *program, found []upkeep.Missed) error {
	if c.JSON {
		forms := []missedForm{}
		for _, m := range found {
			forms = append(forms, missedForm{m.Sync, m.Key, append([]string{}, m.Fields...), append([]string{}, m.Columns...)})
		}
		return printJSON(p.out, forms)
	}
	for _, m := range found {
		what := "the whole record"
		if len(m.Fields) > 0 {
			what = strings.Join(m.Fields, ", ") + " (made of " + strings.Join(m.Columns, ", ") + ")"
		}
		fmt.Fprintf(p.out, "missed: %s\n", oneLine(m.ID.String()+": "+what))
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(p.out, "nothing was missed")
		return err
	}
	_, err := fmt.Fprintf(p.out, "missed: %s; upkeep run sends what was missed. Find out what wrote past the triggers: upkeep doctor\n", count(len(found), "change"))
	return err
}
