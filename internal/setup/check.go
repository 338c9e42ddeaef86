package setup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/config"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Check examines the file, the database and the remotes, without changing
// anything, and returns all that a person should know. One part that can't be
// examined does not keep the others from being so. The error is for a file
// that can't be read, or an end of ctx. Progress, if not nil, is told what is
// examined next.
func Check(ctx context.Context, o Options, progress func(what string)) ([]upkeep.Finding, error) {
	c := &check{Options: o, ctx: ctx, progress: progress}
	if progress == nil {
		c.progress = func(string) {}
	}
	err := c.all()
	if ctx.Err() != nil {
		return c.findings, ctx.Err()
	}
	return c.findings, err
}

// Doctor is [upkeep.Engine.Doctor] for the file. When the syncs do not fit the
// tables, each place in the file is a finding, and what can be examined without
// them is.
func Doctor(ctx context.Context, o Options, progress func(what string)) ([]upkeep.Finding, error) {
	s, err := Open(ctx, o)
	switch {
	case Misfit(err):
		c := &check{Options: o, ctx: ctx, progress: progress, condition: true}
		err := c.all()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return c.findings, err
	case err != nil:
		return nil, err
	}
	defer s.Close()
	progress(s.Database.Name() + " and the remotes")
	findings, err := s.Engine.Doctor(ctx)
	return append(located(s.file, findings), warnings(s.doubts)...), err
}

// located gives the findings that a sync is to blame for their places in the file.
func located(file *config.File, findings []upkeep.Finding) []upkeep.Finding {
	for i, f := range findings {
		if e := file.Blame(f); e != nil {
			findings[i].Subject, findings[i].Message, findings[i].Fix = shown(e)
		}
	}
	return findings
}

// shown is a problem of the file as a finding has it.
func shown(e *config.Error) (subject, message, fix string) {
	subject, message = e.File, e.Message
	if e.Line > 0 {
		subject += fmt.Sprintf(":%d:%d", e.Line, e.Column)
	}
	if e.Excerpt != "" {
		message += "\n" + e.Excerpt
	}
	return subject, message, e.Help
}

// warnings are the findings about what a file hardly means.
func warnings(doubts config.Errors) (found []upkeep.Finding) {
	for _, e := range doubts {
		f := upkeep.Finding{Severity: upkeep.Warning}
		f.Subject, f.Message, f.Fix = shown(e)
		found = append(found, f)
	}
	return found
}

// check is an examination under way.
type check struct {
	Options
	condition bool // of a system at work, too
	ctx       context.Context
	progress  func(string)
	findings  []upkeep.Finding
}

func (c *check) problem(subject, message, fix string) {
	c.findings = append(c.findings, upkeep.Finding{Severity: store.Problem, Subject: subject, Message: message, Fix: fix})
}

func (c *check) all() error {
	file, err := read(c.Options)
	if err != nil {
		if c.configured(err) {
			c.sound()
			return nil
		}
		return err
	}
	s := &Setup{file: file}
	defer func() { _ = s.Close() }() // nothing was written
	remotesErr := error(nil)
	if s.Remotes, remotesErr = file.Open(c.Connectors); remotesErr != nil && !c.configured(remotesErr) {
		c.problem("remotes", remotesErr.Error(), "")
	}
	c.progress("the database")
	if s.Database, err = openDatabase(c.ctx, file.Source); err != nil {
		c.unreached(file, err)
		c.remotes(s.Remotes, nil)
		return nil
	}
	fit := file.Fitting(c.ctx, s.Database, s.Remotes)
	mappings := fit.Mappings
	c.fitted(fit)
	if remotesErr != nil || len(fit.Problems) > 0 {
		// What the database and the remotes can say without all syncs is said.
		c.rights(s, append(slices.Clone(mappings), fit.Others...))
		before := len(c.findings)
		c.remotes(s.Remotes, func(r *upkeep.Remote) []connector.Use { return file.Uses(r.Name, mappings) })
		located(file, c.findings[before:])
		if c.condition {
			return c.work(s)
		}
		return nil
	}
	engine := c.Engine
	engine.Database = s.Database
	for _, m := range mappings {
		engine.Syncs = append(engine.Syncs, m)
	}
	e, err := upkeep.New(engine)
	if err != nil {
		c.problem(c.Path, err.Error(), "")
		c.remotes(s.Remotes, nil)
		return nil
	}
	c.progress("the database and the remotes")
	found, err := e.Check(c.ctx)
	c.findings = append(c.findings, located(file, found)...)
	if c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	if err != nil {
		c.problem(s.Database.Name(), err.Error(), "")
		c.remotes(s.Remotes, nil)
		return nil
	}
	unused := maps.Clone(s.Remotes)
	for _, m := range mappings {
		delete(unused, m.To.Name)
	}
	c.remotes(unused, nil)
	return nil
}

// sound examines the parts of a refused file that nothing was wrong with so
// far, so that one run tells of their tables, expressions and options too.
func (c *check) sound() {
	data, err := os.ReadFile(c.Path)
	if err != nil {
		return // it was read a moment ago, and its problems are told
	}
	file := config.Sound(c.Path, data, c.Env)
	s := &Setup{file: file}
	defer func() { _ = s.Close() }() // nothing was written
	if s.Remotes, err = file.Open(c.Connectors); err != nil {
		c.configured(err)
	}
	if file.Source == "" {
		return
	}
	c.progress("the database")
	if s.Database, err = openDatabase(c.ctx, file.Source); err != nil {
		c.unreached(file, err)
		return
	}
	fit := file.Fitting(c.ctx, s.Database, s.Remotes)
	c.fitted(fit)
	c.rights(s, append(fit.Mappings, fit.Others...))
	c.remotes(s.Remotes, nil)
}

// unreached is the problem of a database that can't be opened.
func (c *check) unreached(file *config.File, err error) {
	c.configError(file.AtSource(err.Error(), "correct source, and see that the database can be reached from here; tables, columns and rights were not examined"))
}

// fitted tells what is wrong with how the syncs and the tables go together.
func (c *check) fitted(fit config.Fit) {
	c.configured(errors.Join(fit.Problems...))
	c.findings = append(c.findings, warnings(fit.Doubts)...)
}

// configured makes findings of the problems of a configuration; false when
// err has none.
func (c *check) configured(err error) bool {
	var one *config.Error
	if errors.As(err, &one) {
		for _, e := range parts(err) {
			c.configError(e)
		}
	}
	return one != nil
}

func (c *check) configError(err error) {
	var e *config.Error
	if !errors.As(err, &e) {
		c.problem(c.Path, err.Error(), "")
		return
	}
	c.problem(shown(e))
}

// parts are the errors that err joins.
func parts(err error) []error {
	var many interface{ Unwrap() []error }
	if !errors.As(err, &many) {
		return []error{err}
	}
	var out []error
	for _, e := range many.Unwrap() {
		out = append(out, parts(e)...)
	}
	return out
}

// work examines a system at work whose mappings don't fit.
func (c *check) work(s *Setup) error {
	c.findings = append(c.findings, upkeep.Finding{Severity: upkeep.Warning, Subject: "capture", Message: "the triggers were not examined, since the configuration does not fit the tables",
		Fix: "correct the configuration, and run upkeep doctor again"})
	engine := c.Engine
	engine.Database = s.Database
	for _, m := range s.file.Outlines(s.Remotes) {
		engine.Syncs = append(engine.Syncs, m)
	}
	e, err := upkeep.New(engine)
	if err != nil {
		return err
	}
	found, err := e.Condition(c.ctx)
	c.findings = store.ToldOnce(c.findings, found)
	return err
}

// rights examines the tables of syncs, and what the role may do with them, without
// their remotes: a sync that does not fit its tables keeps nothing of the others
// from being told.
func (c *check) rights(s *Setup, syncs []upkeep.Mapping) {
	engine := c.Engine
	engine.Database = s.Database
	nowhere := &upkeep.Remote{Name: "nowhere", Connection: memory.New(memory.Config{}).Connect()}
	for _, m := range syncs {
		m.To, m.RefersTo, m.Initialize = nowhere, nil, nil
		engine.Syncs = append(engine.Syncs, m)
	}
	examine := func(ctx context.Context) ([]upkeep.Finding, error) { return s.Database.Rights(ctx, nil) }
	if e, err := upkeep.New(engine); err == nil {
		examine = e.Rights
	}
	found, err := examine(c.ctx)
	c.findings = append(c.findings, located(s.file, found)...)
	if err != nil {
		c.problem(s.Database.Name(), err.Error(), "")
	}
}

// remotes examines remotes by themselves: whether they answer and the
// credentials are right, and what is used of them.
func (c *check) remotes(all map[string]*upkeep.Remote, uses func(*upkeep.Remote) []connector.Use) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c.progress("remote " + name)
		var used []connector.Use
		if uses != nil {
			used = uses(all[name])
		}
		c.findings = append(c.findings, all[name].Check(c.ctx, used)...)
	}
}
