package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type interventionsCmd struct {
	Sync  string `arg:"" optional:"" help:"The sync's name. Default: all of them, and the remotes."`
	Key   string `arg:"" optional:"" help:"The root row's primary key; several columns with commas: 42,eu. Default: all groups of the sync."`
	Limit int    `default:"50" help:"How many to list, the newest first."`
	JSON  bool   `help:"Print as JSON."`
}

// Run lists what people did by hand.
func (c *interventionsCmd) Run(p *program) error {
	if c.Limit < 1 {
		return usageError("--limit is at least 1")
	}
	s, err := p.openFor("", setup.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	// Of a sync that left the configuration there may still be something to tell.
	list := func() ([]upkeep.Intervention, error) {
		if s.Known(c.Sync) == nil {
			return s.Engine.Interventions(p.ctx, c.Sync, c.Key, c.Limit)
		}
		return s.Database.Interventions(p.ctx, c.Sync, c.Key, c.Limit)
	}
	all, err := list()
	if err != nil {
		return err
	}
	if len(all) == 0 {
		if err := s.Known(c.Sync); err != nil {
			return usageError(err.Error())
		}
	}
	if c.JSON {
		return printJSON(p.out, interventionForms(all))
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(p.out, "nothing was done by hand")
		return err
	}
	return printInterventions(p.out, "", all)
}

// printInterventions prints a table, each line behind an indent.
func printInterventions(w io.Writer, indent string, all []upkeep.Intervention) error {
	t := newTable(w, indent+"WHEN", "BY", "DID", "OF", "DETAIL")
	for _, i := range all {
		of := cmp.Or(i.Remote, i.Sync, "all")
		if i.Key != "" {
			of = upkeep.ID{Sync: i.Sync, Key: i.Key}.String()
		}
		by := i.By
		if i.Role != "" {
			by += " (" + i.Role + ")"
		}
		t.row(indent+moment.Of(i.At), by, i.Did, of, orDash(i.Detail))
	}
	return t.flush()
}

type interventionForm struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Role   string    `json:"role,omitempty"` // of the database
	Did    string    `json:"did"`
	Remote string    `json:"remote,omitempty"`
	Sync   string    `json:"sync,omitempty"`
	Key    string    `json:"key,omitempty"`
	Detail string    `json:"detail,omitempty"`
}

func interventionForms(all []upkeep.Intervention) []interventionForm {
	forms := []interventionForm{}
	for _, i := range all {
		forms = append(forms, interventionForm(i))
	}
	return forms
}

// by is who called the command, on which machine: under sudo it is who called that.
// Empty: who the process belongs to.
func (p *program) by() string {
	name, _ := p.env("SUDO_USER")
	host, err := os.Hostname()
	if name == "" || err != nil {
		return ""
	}
	return name + "@" + host
}
