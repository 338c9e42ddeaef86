// Package metrics shows how things stand with an engine to Prometheus, and to
// what probes a process. The numbers are those of upkeep status; each name is in
// docs/operations.md, with what to be alarmed of.
//
// What is of the database is the same from every process that shares it: take
// the max over them, not the sum. Nothing of a row is shown, no key of a group, no
// message and no address: names of syncs and remotes, states, and numbers.
package metrics

import (
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/upkeep-sync/upkeep"
)

// module is where this package comes from, for the version that is shown.
const module = "github.com/upkeep-sync/upkeep"

// Collector collects from Engine.Status. A look at the database ends after eight
// seconds; who asks meanwhile, or up to five seconds later (ten times what the
// look took, if that is more, but no more than a minute), is answered with the same one. When it fails,
// upkeep_up is 0 and what is of the database is left out. Two collectors of one
// registry need labels that tell them apart: prometheus.WrapRegistererWith.
func Collector(e *upkeep.Engine) prometheus.Collector {
	return newCollector(e.Status, e.Ready, time.Now)
}

type collector struct {
	look     *look
	ready    func() error
	up       *prometheus.Desc
	isReady  *prometheus.Desc
	build    prometheus.Metric
	families []family
}

func newCollector(status statusFunc, ready func() error, now func() time.Time) *collector {
	c := &collector{
		look: &look{status: status, now: now}, ready: ready, families: families(),
		up:      prometheus.NewDesc("upkeep_up", "Whether the database told how things stand; 0: what is of it is left out.", nil, nil),
		isReady: prometheus.NewDesc("upkeep_ready", "Whether this process is at work and the database has answered it within the last minute.", nil, nil),
	}
	version, revision, goVersion := "unknown", "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version, revision = buildOf(info)
		goVersion = info.GoVersion
	}
	c.build = prometheus.MustNewConstMetric(prometheus.NewDesc("upkeep_build_info", "Which build this process is; always 1.",
		[]string{"version", "revision", "goversion"}, nil), gauge, 1, version, revision, goVersion)
	for i, f := range c.families {
		c.families[i].desc = prometheus.NewDesc(f.name, f.help, f.labels, nil)
	}
	return c
}

// buildOf is Upkeep's version in a binary, and the revision if the binary is of
// this module.
func buildOf(info *debug.BuildInfo) (version, revision string) {
	if info.Main.Path != module {
		for _, d := range info.Deps {
			if d.Path == module {
				return d.Version, ""
			}
		}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return info.Main.Version, revision
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	to <- c.up
	to <- c.isReady
	to <- c.build.Desc()
	for _, f := range c.families {
		to <- f.desc
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(to chan<- prometheus.Metric) {
	flag := func(d *prometheus.Desc, err error) {
		to <- prometheus.MustNewConstMetric(d, gauge, number(err == nil))
	}
	s, err := c.look.take()
	to <- c.build
	flag(c.isReady, c.ready())
	flag(c.up, err)
	if err != nil {
		return
	}
	v := viewOf(s)
	for _, f := range c.families {
		f.read(v, func(value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
		})
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
