package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

// misfitting shows what the registry has when the configuration does not fit
// the tables: a column was renamed, say. That is when somebody wants to know how
// things stand. What does not fit is for the caller to say.
func (c *statusCmd) misfitting(p *program, s *setup.Setup, misfit error) error {
	if err := c.known(s); err != nil {
		return err
	}
	note := fmt.Sprintf("\nThe configuration does not fit the tables. Until it does, what it concerns is held, and changes of their tables may go unseen, whatever the table above says: %s\n", oneLine(strings.Join(s.Unfit(), ", ")))
	if len(s.Unfit()) < len(s.Syncs()) {
		note += "An upkeep run that is at work goes on with the other syncs; none begins.\n"
	}
	if c.State != "" {
		if err := c.groups(p.ctx, p.out, s.Database, s.Syncs()); err != nil || c.JSON {
			return err
		}
		_, err := io.WriteString(p.out, note)
		return err
	}
	var remotes []*upkeep.Remote
	for _, name := range slices.Sorted(maps.Keys(s.Remotes)) {
		remotes = append(remotes, s.Remotes[name])
	}
	st, err := upkeep.Stored(p.ctx, s.Database, remotes...)
	if err != nil {
		return err
	}
	c.only(st)
	if c.JSON {
		form := statusForm(s.Database.Name(), st)
		form.Capture = findingForms([]upkeep.Finding{{Severity: upkeep.Problem, Subject: "configuration", Message: misfit.Error()}})
		return c.encode(p.out, form)
	}
	if err := printStatus(p.out, s.Database.Name()+", without the configuration", st); err != nil {
		return err
	}
	_, err = io.WriteString(p.out, note)
	return err
}

// stored shows what the registry has when the configuration is wrong. What kept
// it from being told in full is for the caller to say.
func (c *statusCmd) stored(p *program) (shown bool, err error) {
	if c.JSON {
		return false, nil
	}
	db, err := setup.OpenDatabase(p.ctx, p.options(setup.Options{}))
	if err != nil {
		return false, nil // the error that led here says it
	}
	defer db.Close()
	if c.State != "" {
		err := c.groups(p.ctx, p.out, db, []string{""})
		return err == nil, err
	}
	st, err := upkeep.Stored(p.ctx, db)
	if err != nil {
		return false, nil
	}
	c.only(st)
	return true, printStatus(p.out, db.Name()+", without the configuration", st)
}
