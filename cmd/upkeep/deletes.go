package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type deletesCmd struct {
	Sync  string `arg:"" optional:"" help:"The sync's name. Default: all of them."`
	Allow *int   `placeholder:"N" help:"Let at most so many of this sync's deletes go: the number that was looked at. What was held beyond it since stays held. 0, where none is held: end the hold."`
	JSON  bool   `help:"Print as JSON."`
}

// Run lists the deletes that are held back, or lets them go.
func (c *deletesCmd) Run(p *program) error {
	if c.Allow != nil && (c.Sync == "" || *c.Allow < 0) {
		return usageError("--allow goes with a sync and the number of its deletes: upkeep deletes customer --allow 250")
	}
	s, err := p.openFor("", setup.Options{})
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
	if len(held) == 0 { // of a sync that left the configuration a hold may be left
		if err := s.Known(c.Sync); err != nil {
			return usageError(err.Error())
		}
	}
	if c.Allow != nil {
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
	later := int64(0)
	for _, h := range held {
		t.row(h.Sync, fmt.Sprint(h.Held), moment.Of(h.Since))
		later += h.Later
	}
	if err := t.flush(); err != nil {
		return err
	}
	if later > 0 {
		if _, err := fmt.Fprintf(p.out, "\nLater versions wait behind the deletion of: %d; upkeep skip leaves out only the deletion, see upkeep explain\n", later); err != nil {
			return err
		}
	}
	if i := slices.IndexFunc(held, func(h heldDeletesForm) bool { return h.Held > 0 }); i >= 0 {
		_, err = fmt.Fprintf(p.out, "\nWhich they are: upkeep status %[1]s --state parked. If they are meant: upkeep deletes %[1]s --allow %[2]d\n", held[i].Sync, held[i].Held)
		return err
	}
	_, err = fmt.Fprintf(p.out, "\nNone waits now; the next ones will. To end that, when nothing is looked at any more (upkeep status): upkeep deletes %s --allow 0\n", held[0].Sync)
	return err
}

// allow lets so many go, and no more than are held: what comes later was looked
// at by nobody.
func (c *deletesCmd) allow(p *program, s *setup.Setup, held []heldDeletesForm) error {
	switch {
	case len(held) == 0:
		return fmt.Errorf("no deletes of %s are held", c.Sync)
	case held[0].Held == 0 && *c.Allow > 0:
		return fmt.Errorf("no deletes of %[1]s wait; to end that the next ones do: upkeep deletes %[1]s --allow 0", c.Sync)
	case held[0].Held > 0 && *c.Allow == 0:
		return fmt.Errorf("deletes of %[1]s wait: %[2]d; if they are meant: upkeep deletes %[1]s --allow %[2]d", c.Sync, held[0].Held)
	}
	n := min(held[0].Held, int64(*c.Allow))
	if _, err := s.Engine.AllowDeletes(p.ctx, c.Sync, int(n)); err != nil {
		return err
	}
	more := held[0].Held - n
	if c.JSON {
		return printJSON(p.out, map[string]any{"sync": c.Sync, "allowed": n, "held": more})
	}
	text := fmt.Sprintf("%s of %s may go now", number(n, "delete"), c.Sync)
	switch {
	case n == 0:
		text = fmt.Sprintf("deletes of %s go again, up to its limit", c.Sync)
	case more > 0:
		text += fmt.Sprintf("; held beyond that, and to be looked at: %d, see upkeep deletes %s", more, c.Sync)
	case n < int64(*c.Allow):
		text += ", all that were held"
	}
	_, err := fmt.Fprintln(p.out, text)
	return err
}

type heldDeletesForm struct {
	Sync  string    `json:"sync"`
	Held  int64     `json:"held"`
	Later int64     `json:"later"`
	Since time.Time `json:"since"`
}

func heldDeletesForms(all []upkeep.HeldDeletes) []heldDeletesForm {
	forms := []heldDeletesForm{}
	for _, h := range all {
		forms = append(forms, heldDeletesForm(h))
	}
	return forms
}
