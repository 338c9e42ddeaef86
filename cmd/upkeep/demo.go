package main

import (
	"os"

	"golang.org/x/term"

	"github.com/upkeep-sync/upkeep/internal/demo"
)

type demoCmd struct {
	Once    bool    `help:"Make the fixed run: a burst of changes, then compare everything. Exits 0 if all is in sync."`
	Source  string  `placeholder:"URL" help:"Where to make the shop: postgres://..., in a schema upkeep_demo of its own; or sqlite: and the path of a new file. Default: a SQLite file in a temporary directory."`
	Remotes string  `enum:"netsuite,all" default:"netsuite" help:"netsuite: a NetSuite sandbox; all: also a Salesforce sandbox, a warehouse and a webhook, all of them at once."`
	Seed    uint64  `default:"1" help:"Makes what the application does repeatable."`
	Scale   float64 `default:"1" help:"Multiplies the size of the shop and of the burst."`
	Latency int     `placeholder:"N" help:"With --once: time N single changes from their commit to the remote."`
	Keep    bool    `help:"Leave everything as it is at the end."`
}

// Run shows Upkeep at work.
func (c *demoCmd) Run(p *program) error {
	switch {
	case c.Scale <= 0 || c.Scale > 100:
		return usageError("--scale must be above 0, and 100 at most")
	case c.Latency < 0 || c.Latency > 0 && !c.Once:
		return usageError("--latency goes with --once")
	}
	d := demo.Config{Source: c.Source, Once: c.Once, Seed: c.Seed, Scale: c.Scale, Latency: c.Latency, All: c.Remotes == "all", Keep: c.Keep, Connectors: connectors(), Out: p.out}
	if f, ok := p.out.(*os.File); ok && isTerminal(f) {
		d.Terminal = true
		d.Size = func() (width, height int) {
			width, height, _ = term.GetSize(int(f.Fd())) // zero where it is not known
			return width, height
		}
	}
	fine, err := demo.Run(p.ctx, d)
	switch {
	case err != nil:
		return err
	case !fine:
		return errReported
	}
	return nil
}
