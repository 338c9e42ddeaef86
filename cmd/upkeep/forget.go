package main

import (
	"errors"
	"fmt"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type forgetCmd struct {
	Sync string `arg:"" help:"The sync's name, also of one that left the configuration."`
	Key  string `arg:"" help:"The root row's primary key: 42, or 42,eu for a key of two columns."`
	Kept bool   `help:"Also if its record is kept at the remote, as on_delete says. If the row comes back, another one may be made."`
	JSON bool   `help:"Print as JSON."`
}

// Run erases what the registry has of one key.
func (c *forgetCmd) Run(p *program) error {
	s, err := p.openFor("", setup.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	id := upkeep.ID{Sync: c.Sync, Key: c.Key}
	err = s.Engine.Forget(p.ctx, upkeep.Forget{Sync: c.Sync, Key: c.Key, Kept: c.Kept})
	switch {
	case errors.Is(err, upkeep.ErrNoSync):
		return usageError(err.Error())
	case errors.Is(err, upkeep.ErrNotGone) && s.Known(c.Sync) == nil:
		return fmt.Errorf("%w; see: upkeep explain %s", err, id.Args())
	case errors.Is(err, upkeep.ErrClaimed):
		return fmt.Errorf("a worker is at %s at this moment; try again", id)
	case err != nil:
		return err
	}
	if c.JSON {
		return printJSON(p.out, forgottenForm{id.Sync, id.Key})
	}
	_, err = fmt.Fprintf(p.out, "%s is forgotten: nothing is left of it in the registry\n", id)
	return err
}

// forgottenForm is a group of which nothing is left.
type forgottenForm struct {
	Sync string `json:"sync"`
	Key  string `json:"key"`
}
