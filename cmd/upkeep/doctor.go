package main

import "github.com/upkeep-sync/upkeep/internal/setup"

type doctorCmd struct {
	JSON bool `help:"Print as JSON."`
}

// Run lists what is wrong with a system that is at work; problems make it
// fail, warnings don't.
func (c *doctorCmd) Run(p *program) error {
	line := newProgress(p.err)
	findings, err := setup.Doctor(p.ctx, p.options(setup.Options{}), func(what string) { line.say("examining %s", what) })
	line.done()
	return reportExamined(p, findings, err, c.JSON)
}
