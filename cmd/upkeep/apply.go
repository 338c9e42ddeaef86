package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type applyCmd struct {
	Yes       bool `short:"y" help:"Don't ask."`
	Published bool `help:"Install for the first time though a publication of the database would publish Upkeep's own tables: subscribers that do not have them stop."`
}

// Run installs what plan shows.
func (c *applyCmd) Run(p *program) error {
	log := slog.New(slog.NewTextHandler(p.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := p.open(setup.Options{Engine: upkeep.Config{Logger: log, Published: c.Published}})
	if err != nil {
		return err
	}
	defer s.Close()
	plan, err := s.Engine.Plan(p.ctx)
	if err != nil {
		return err
	}
	if plan.Refusal != nil {
		return plan.Refusal
	}
	var shown bytes.Buffer
	if err := printPlan(&shown, formOfPlan(s.Database.Name(), plan), plan.Pending()); err != nil {
		return err
	}
	if c.Yes && plan.Pending() { // first, as a reader that goes away (head) would end the process
		err = s.Engine.Install(p.ctx)
	}
	if _, failed := p.out.Write(shown.Bytes()); err != nil || failed != nil {
		return errors.Join(err, failed)
	}
	if !plan.Pending() {
		return nothing(p.out, plan, false)
	}
	if !c.Yes {
		if err := ask(p); err != nil {
			return err
		}
		if err := s.Engine.Install(p.ctx); err != nil {
			return err
		}
	}
	return printApplied(p.out, plan)
}

func ask(p *program) error {
	fmt.Fprint(p.out, "Install? [y/N] ")
	answer, err := bufio.NewReader(io.LimitReader(p.in, 100)).ReadString('\n')
	if err != nil { // nobody ended the line
		fmt.Fprintln(p.out)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	if answer != "y" && answer != "yes" {
		return errors.New("nothing was installed; answer y, or say --yes")
	}
	return nil
}

// printApplied says what was done.
func printApplied(w io.Writer, plan *upkeep.Plan) error {
	done := map[string]int{"drop": len(plan.Drop)}
	for _, t := range plan.Tables {
		for _, g := range t.Triggers {
			done[g.Action]++
		}
	}
	var parts []string
	for _, action := range []struct{ name, past string }{{"create", "created"}, {"replace", "replaced"}, {"enable", "enabled"}, {"drop", "dropped"}} {
		if n := done[action.name]; n > 0 {
			parts = append(parts, count(n, "trigger")+" "+action.past)
		}
	}
	for _, s := range plan.Syncs {
		switch s.Change {
		case "new":
			parts = append(parts, "backfill of "+s.Sync+" asked for")
		case "changed":
			parts = append(parts, "sweep of "+s.Sync+" asked for")
		}
	}
	if plan.Create {
		parts = append([]string{"Upkeep's tables made"}, parts...)
	}
	for _, r := range plan.Remotes {
		if len(r.Make) > 0 {
			parts = append(parts, "remote "+r.Remote+" prepared")
		}
	}
	_, err := fmt.Fprintf(w, "installed: %s\nupkeep run does the rest; follow it with: upkeep status\n", strings.Join(parts, ", "))
	return err
}
