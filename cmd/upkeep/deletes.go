package main

import (
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type deletesCmd struct {
	Sync  string `arg:"" optional:"" help:"The sync's name. Default: all of them."`
	Allow int    `placeholder:"N" help:"Let this sync's deletes go: as many as are held, typed to say that they were looked at."`
	JSON  bool   `help:"Print as JSON."`
}

// Run lists the deletes that are held back, or lets them go.
func (c *deletesCmd) Run(p *program) error {
	if c.Allow != 0 && (c.Sync == "" || c.Allow < 0) {
		return usageError("--allow goes with a sync and the number of its deletes: upkeep deletes customer --allow 250")
	}
	s, err := p.openFor(c.Sync, setup.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	all, err := s.Engine.HeldDeletes(p.ctx)
	if err != nil {
		return err
	}
	held := []heldDeletesForm{}
	for _, h := range all {
		if c.Sync == "" || c.Sync == h.Sync {
			held = append(held, heldDeletesForm(h))
		}
	}
	if c.Allow > 0 {
		return c.allow(p, s, held)
	}
	if c.JSON {
		return printJSON(p.out, held)
	}
	if len(held) == 0 {
		_, err := fmt.Fprintln(p.out, "no deletes are held")
		return err
	}
	t := newTable(p.out, "SYNC", ">HELD", "SINCE")
	for _, h := range held {
		t.row(h.Sync, fmt.Sprint(h.Held), moment(h.Since))
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "\nWhich they are: upkeep status %[1]s --state parked. If they are meant: upkeep deletes %[1]s --allow %[2]d\n", held[0].Sync, held[0].Held)
	return err
}

// allow lets them go, if the number is the one that is held.
func (c *deletesCmd) allow(p *program, s *setup.Setup, held []heldDeletesForm) error {
	switch {
	case len(held) == 0:
		return fmt.Errorf("no deletes of %s are held", c.Sync)
	case held[0].Held != int64(c.Allow):
		return fmt.Errorf("held of %s: %s, not %d; look at them, then allow that many", c.Sync, count(int(held[0].Held), "delete"), c.Allow)
	}
	n, err := s.Engine.AllowDeletes(p.ctx, c.Sync, c.Allow)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p.out, map[string]any{"sync": c.Sync, "allowed": n})
	}
	verb := "go"
	if n == 1 {
		verb = "goes"
	}
	_, err = fmt.Fprintf(p.out, "%s of %s %s now\n", number(int64(n), "delete"), c.Sync, verb)
	return err
}

type heldDeletesForm struct {
	Sync  string    `json:"sync"`
	Held  int64     `json:"held"`
	Since time.Time `json:"since"`
}

func heldDeletesForms(all []upkeep.HeldDeletes) []heldDeletesForm {
	forms := []heldDeletesForm{}
	for _, h := range all {
		forms = append(forms, heldDeletesForm(h))
	}
	return forms
}
