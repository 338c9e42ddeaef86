package main

import "github.com/upkeep-sync/upkeep/internal/setup"

type doctorCmd struct {
	JSON bool `help:"Print as JSON."`
}

// Run lists what is wrong with a system that is at work; problems make it
// fail, warnings don't.
func (c *doctorCmd) Run(p *program) error {
	s, err := p.open(setup.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	line := newProgress(p.err)
	line.say("examining %s and the remotes", s.Database.Name())
	findings, err := s.Engine.Doctor(p.ctx)
	line.done()
	if err != nil {
		return err
	}
	return reportFindings(p, findings, c.JSON)
}
