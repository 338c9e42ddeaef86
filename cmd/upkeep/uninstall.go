package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/setup"
	"github.com/upkeep-sync/upkeep/internal/store"
)

type uninstallCmd struct {
	Yes bool `short:"y" help:"Don't ask."`
}

// Run removes Upkeep from the database. Only the source of the configuration
// is needed, so that a mapping that no longer fits is not in the way.
func (c *uninstallCmd) Run(p *program) error {
	db, err := setup.OpenDatabase(p.ctx, p.options(setup.Options{}))
	if err != nil {
		return err
	}
	defer db.Close()
	counts, err := db.Counts(p.ctx)
	if err != nil && !errors.Is(err, store.ErrNotInstalled) {
		return err
	}
	done := "Upkeep is removed."
	if err != nil {
		done = "Upkeep was not installed, or was an older version; nothing of it is there now."
	}
	var groups, open, commands int64
	for _, n := range counts {
		groups += n.Groups
		open += n.Claimed + n.InDoubt
		commands += n.Commands
	}
	fmt.Fprintf(p.out, "From %s this removes Upkeep's triggers, its touch log, the registry of %d groups and their history.\n"+
		"Your own tables and the records at the remotes stay. Stop every upkeep run first.\n", db.Name(), groups)
	if open > 0 {
		fmt.Fprintf(p.out, "Requests for %d of them may still arrive at a remote. Before Upkeep is installed again, let run (or run --once)\n"+
			"bring them to an end, or wait for the remote's quiet time and a minute more: what arrives late would come after what is sent anew.\n", open)
	}
	if commands > 0 {
		fmt.Fprintf(p.out, "Versions that wait to be delivered, %d, are dropped: let run (or run --once) deliver them first if they matter.\n", commands)
	}
	if !c.Yes {
		fmt.Fprint(p.out, "Remove? [y/N] ")
		answer, err := bufio.NewReader(io.LimitReader(p.in, 100)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		answer = strings.ToLower(strings.TrimSpace(answer))
		if answer != "y" && answer != "yes" {
			return errors.New("nothing was removed; answer y, or say --yes")
		}
	}
	ctx := store.TellLockWaits(p.ctx, func(w store.LockWait) { fmt.Fprintln(p.err, oneLine(w.String())) })
	if err := db.Uninstall(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, done)
	return err
}
