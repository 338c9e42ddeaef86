package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type skipCmd struct {
	Sync string `arg:"" help:"The sync's name."`
	Key  string `arg:"" help:"The root row's primary key: 42, or 42,eu for a key of two columns."`
	JSON bool   `help:"Print as JSON."`
}

// Run leaves out what is refused of one group.
func (c *skipCmd) Run(p *program) error {
	s, err := p.openFor(c.Sync, setup.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	id := upkeep.ID{Sync: c.Sync, Key: c.Key}
	x, err := s.Engine.Explain(p.ctx, c.Sync, c.Key)
	if err != nil {
		return err
	}
	dropped, err := s.Engine.Skip(p.ctx, c.Sync, c.Key)
	switch {
	case errors.Is(err, upkeep.ErrNothingToSkip):
		return fmt.Errorf("%w; see: upkeep explain %s", err, id.Args())
	case errors.Is(err, upkeep.ErrClaimed):
		return fmt.Errorf("a worker is at %s at this moment; try again, or pause it first: upkeep pause %s", id, c.Sync)
	case err != nil:
		return err
	}
	if c.JSON && dropped.Number == 0 {
		return printJSON(p.out, skippedForm{id.Sync, id.Key, x.Changed, x.Send == "delete"})
	}
	if c.JSON {
		return printJSON(p.out, formOfCommand(dropped))
	}
	if dropped.Number == 0 {
		what := strings.Join(x.Changed, ", ")
		if x.Send == "delete" {
			what = "its record stays"
		}
		_, err = fmt.Fprintf(p.out, "%s is to be left as it is at the remote: %s; upkeep run does that, and until then upkeep retry %s takes it back\n", id, what, id.Args())
		return err
	}
	_, err = fmt.Fprintf(p.out, "command %d of %s is dropped; the group goes on\n", dropped.Number, id)
	return err
}

// skippedForm is a group whose state is left out.
type skippedForm struct {
	Sync string `json:"sync"`
	Key  string `json:"key"`
	// Left are the fields that stay as they are; Delete: the record does.
	Left   []string `json:"left,omitempty"`
	Delete bool     `json:"delete,omitempty"`
}

// lane is a line about versions that wait, or are missing, of a sync that
// delivers every one; empty if there are none.
func lane(c upkeep.Counts) string {
	var parts []string
	if c.Commands > 0 {
		parts = append(parts, fmt.Sprintf("versions to be delivered: %d, the oldest for %s", c.Commands, moment.Span(c.OldestCommand)))
	}
	if c.Gaps > 0 {
		parts = append(parts, fmt.Sprintf("gaps in its versions: %d, see upkeep doctor", c.Gaps))
	}
	return strings.Join(parts, "; ")
}

// printLane shows the versions of a group that wait, and those that are
// missing.
func printLane(w io.Writer, x *upkeep.Explanation) error {
	if len(x.Commands) > 0 {
		fmt.Fprintf(w, "\nVersions to be delivered\n")
		t := newTable(w, "  COMMAND", "COMMITTED", "TRANSACTION", "WHAT", "REMARK")
		for _, c := range x.Commands {
			what := "version"
			if c.Deleted {
				what = "deleted"
			}
			var remarks []string
			if c.Refused != "" {
				remarks = append(remarks, "refused: "+c.Refused)
			}
			if c.Unordered != "" {
				remarks = append(remarks, "order not certain: "+c.Unordered)
			}
			t.row(fmt.Sprintf("  %d", c.Number), moment.Of(c.At), orDash(c.Tx), what, orDash(strings.Join(remarks, "; ")))
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(x.Gaps) > 0 {
		fmt.Fprintf(w, "\nGaps in its versions\n")
		t := newTable(w, "  WHEN", "TRANSACTION", "WHY")
		for _, g := range x.Gaps {
			t.row("  "+moment.Of(g.At), orDash(g.Tx), g.Reason)
		}
		return t.flush()
	}
	return nil
}
