package warehouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/upkeep-sync/upkeep/connector"
)

// step makes something that is lacking.
type step struct {
	what, sql string
	use       connector.Use // that needs it, if it is one's; else zero
	field     string        // of it
}

// plan is what the uses need, against what is there.
type plan struct {
	steps    []step
	problems []error
}

func (p *plan) problem(format string, args ...any) {
	p.problems = append(p.problems, fmt.Errorf(format, args...))
}

// blame is problem for what a use has to answer for, with the field in question
// if it is one.
func (p *plan) blame(u connector.Use, field, format string, args ...any) {
	p.problems = append(p.problems, u.Problem(field, format, args...))
}

// Prepare makes the schemas, tables and columns that are lacking, all in one
// transaction, or none when something is in the way.
func (c *Connection) Prepare(ctx context.Context, uses []connector.Use) error {
	p, err := c.lacks(ctx, uses)
	if err != nil {
		return err
	}
	if p.blocked(c) != nil {
		return errors.Join(p.blocked(c)...)
	}
	if len(p.steps) == 0 {
		return nil
	}
	ctx, cancel, err := c.within(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return c.judged(ctx, err)
	}
	defer func() { _ = conn.Close() }() // it goes back to the pool, or is broken already
	// Another process may have begun the same: whoever is second finds it done.
	if _, err := conn.ExecContext(ctx, c.dialect.begin(statementLimit, "prepare", true)); err != nil {
		c.rollback(ctx, conn)
		return c.judged(ctx, err)
	}
	p = c.compare(ctx, conn, uses)
	err = errors.Join(p.blocked(c)...)
	for _, s := range p.steps {
		if err != nil {
			break
		}
		if _, err = conn.ExecContext(ctx, s.sql); err != nil {
			e := c.judged(ctx, err)
			e.Message = "make " + s.what + ": " + e.Message
			err = e
		}
	}
	if err != nil {
		c.rollback(ctx, conn)
		return err
	}
	defer c.forget()
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		drop(conn)
		return c.judged(ctx, err)
	}
	return nil
}

// Lacking lists what Prepare would make; the error tells what is in the way.
func (c *Connection) Lacking(ctx context.Context, uses []connector.Use) ([]string, error) {
	p, err := c.lacks(ctx, uses)
	if err != nil {
		return nil, err
	}
	var what []string
	for _, s := range p.steps {
		what = append(what, s.what)
	}
	if !c.config.creates() {
		what = nil
	}
	return what, errors.Join(p.blocked(c)...)
}

// Check returns what keeps the syncs from writing: credentials, tables and
// columns that are lacking and are not made, types that don't fit, and rights.
func (c *Connection) Check(ctx context.Context, uses []connector.Use) []error {
	p, err := c.lacks(ctx, uses)
	if err != nil {
		return []error{err}
	}
	for _, name := range slices.Sorted(maps.Keys(c.config.Tables)) {
		if len(uses) > 0 && !slices.ContainsFunc(uses, func(u connector.Use) bool { return u.Type == name }) {
			p.problem("tables: no sync writes to %q", name)
		}
	}
	return p.blocked(c)
}

// Cautions warns of a connection that may go over a network in clear.
func (c *Connection) Cautions() []connector.Caution {
	if x := c.dialect.caution(c.config.URL.Reveal()); x != nil {
		return []connector.Caution{*x}
	}
	return nil
}

// lacks compares the uses with the database.
func (c *Connection) lacks(ctx context.Context, uses []connector.Use) (*plan, error) {
	ctx, cancel, err := c.within(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	conn, err := c.db.Conn(ctx)
	if err == nil {
		defer func() { _ = conn.Close() }() // it goes back to the pool, or is broken already
		err = conn.PingContext(ctx)
	}
	if err != nil {
		return nil, c.judged(ctx, err)
	}
	return c.compare(ctx, conn, uses), nil
}

// blocked are the problems, and the steps too where nothing is to be made.
func (p *plan) blocked(c *Connection) []error {
	out := slices.Clone(p.problems)
	if !c.config.creates() {
		for _, s := range p.steps {
			err := fmt.Errorf("the %s is lacking, and create is false; it would be made by: %s", s.what, s.sql)
			if s.use.Sync != "" {
				err = s.use.Problem(s.field, "%w", err)
			}
			out = append(out, err)
		}
	}
	return out
}
