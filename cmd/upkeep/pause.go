package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type pauseCmd struct {
	Name   string `arg:"" help:"The remote's or the sync's name. When both are called so: remote:NAME or sync:NAME."`
	Reason string `short:"r" placeholder:"TEXT" help:"Why, for those who look at status. A later pause without it leaves the reason that was given."`
	JSON   bool   `help:"Print as JSON."`
}

// Run pauses a remote or a sync, for all processes.
func (c *pauseCmd) Run(p *program) error {
	s, err := p.open(setup.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	what, err := pauseNamed(s, c.Name)
	if err != nil {
		return err
	}
	what.Reason = c.Reason
	if err := s.Engine.Pause(p.ctx, what); err != nil {
		return err
	}
	kind, name := what.Subject()
	if c.JSON {
		return printJSON(p.out, map[string]any{kind: name, "paused": true})
	}
	_, err = fmt.Fprintf(p.out, "%s %s is paused: within a second nothing more is sent; changes go on being noted. End it with: upkeep resume %s\n", kind, name, c.Name)
	return err
}

type resumeCmd struct {
	Name string `arg:"" help:"The remote's or the sync's name. When both are called so: remote:NAME or sync:NAME."`
	JSON bool   `help:"Print as JSON."`
}

// Run ends a pause, and lets a remote be probed whose breaker is open. A pause
// that is not there is no failure.
func (c *resumeCmd) Run(p *program) error {
	s, err := p.open(setup.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	what, err := c.find(p, s)
	if err != nil {
		return err
	}
	was, err := s.Engine.Resume(p.ctx, what)
	if err != nil {
		return err
	}
	kind, name := what.Subject()
	broken, err := brokenRemotes(p, s, what.Sync)
	if err != nil {
		return err
	}
	if what.Remote != "" {
		broken = slices.DeleteFunc(broken, func(r string) bool { return r != what.Remote })
	}
	switch {
	case c.JSON:
		return printJSON(p.out, map[string]any{kind: name, "was_paused": was, "probing": broken})
	case was:
		_, err = fmt.Fprintf(p.out, "%s %s goes on\n", kind, name)
	default:
		_, err = fmt.Fprintf(p.out, "%s %s was not paused\n", kind, name)
	}
	for _, remote := range broken {
		_, err = fmt.Fprintln(p.out, probing(remote))
	}
	if err != nil {
		return err
	}
	return c.resting(p, s, what)
}

// resting says that a remote goes on only later whoever resumes it: it asked
// for a pause itself, or a request of before a restore may still arrive there.
func (c *resumeCmd) resting(p *program, s *setup.Setup, what upkeep.Pause) error {
	st, err := s.Engine.Status(p.ctx)
	if err != nil {
		return err
	}
	for _, r := range st.Remotes {
		if r.PausedFor > 0 && !r.Broken && (r.Name == what.Remote || slices.Contains(r.Syncs, what.Sync)) {
			text := fmt.Sprintf("remote %s rests for another %s, which resume does not end: %s", r.Name, moment.Span(r.PausedFor), r.Reason)
			_, err = fmt.Fprintln(p.out, oneLine(text))
		}
	}
	return err
}

// find takes a name that the configuration has, or one that is paused still
// and that it has no more.
func (c *resumeCmd) find(p *program, s *setup.Setup) (upkeep.Pause, error) {
	what, unknown := pauseNamed(s, c.Name)
	if unknown == nil {
		return what, nil
	}
	st, err := s.Engine.Status(p.ctx)
	if err != nil {
		return what, err
	}
	for _, pause := range st.Pauses {
		if kind, name := pause.Subject(); c.Name == name || c.Name == kind+":"+name {
			return pause, nil
		}
	}
	return what, unknown
}

// pauseNamed finds what a name on the command line means.
func pauseNamed(s *setup.Setup, name string) (upkeep.Pause, error) {
	remotes, syncs := slices.Sorted(maps.Keys(s.Remotes)), s.Syncs()
	kind, bare, said := strings.Cut(name, ":")
	if !said || kind != "remote" && kind != "sync" {
		kind, bare = "", name
	}
	remote := kind != "sync" && slices.Contains(remotes, bare)
	sync := kind != "remote" && slices.Contains(syncs, bare)
	switch {
	case remote && sync:
		return upkeep.Pause{}, usageError(fmt.Sprintf("both a remote and a sync are called %s; say remote:%s or sync:%s", name, name, name))
	case remote:
		return upkeep.Pause{Remote: bare}, nil
	case sync:
		return upkeep.Pause{Sync: bare}, nil
	}
	return upkeep.Pause{}, usageError(fmt.Sprintf("there is no remote and no sync %q; remotes: %s; syncs: %s", name, strings.Join(remotes, ", "), strings.Join(syncs, ", ")))
}

// pauseText is a line for people: "remote netsuite is paused since ...: reason".
func pauseText(p upkeep.Pause) string {
	kind, name := p.Subject()
	s := kind + " " + name + " is paused since " + moment.Of(p.Since)
	if p.Reason != "" {
		s += ": " + p.Reason
	}
	return oneLine(s) + "; end it with: upkeep resume " + name
}

type pauseForm struct {
	Remote string    `json:"remote,omitempty"`
	Sync   string    `json:"sync,omitempty"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

func pauseForms(pauses []upkeep.Pause) []pauseForm {
	forms := []pauseForm{}
	for _, p := range pauses {
		forms = append(forms, pauseForm(p))
	}
	return forms
}
