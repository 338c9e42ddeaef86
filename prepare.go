package upkeep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/connector"
)

// uses is what the syncs of a remote use of it.
func (e *Engine) uses(r *Remote) []connector.Use {
	var uses []connector.Use
	for _, d := range e.defs {
		if d.To == r {
			u := connector.Use{Sync: d.Name, Type: d.Record, Fields: d.Sends, Columns: d.columns(), Initialized: d.Initialize != nil}
			if d.CreateFields == nil {
				u.Updated = d.Sends
			}
			uses = append(uses, u)
		}
	}
	return uses
}

// columns are those that were declared and those of the endings, by name; nil
// if none were declared.
func (d *definition) columns() []connector.Column {
	if d.Columns == nil {
		return nil
	}
	out := slices.Clone(d.Columns)
	for _, end := range []Ending{d.OnDelete, d.WhenFalse} {
		if end.Action != Set {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(end.Fields)) {
			if !slices.ContainsFunc(out, func(c connector.Column) bool { return c.Name == name }) {
				out = append(out, connector.Column{Name: name, Type: TypeOf(end.Fields[name])})
			}
		}
	}
	slices.SortFunc(out, func(a, b connector.Column) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// TypeOf is the type that a value of a [Fields] has as a column.
func TypeOf(v any) connector.Type {
	switch v.(type) {
	case string:
		return connector.Text
	case int, int32, int64:
		return connector.Integer
	case decimal.Decimal:
		return connector.Decimal
	case float64:
		return connector.Float
	case bool:
		return connector.Boolean
	case Date:
		return connector.Date
	case time.Time:
		return connector.Time
	case []byte:
		return connector.Bytes
	case Reference:
		return connector.Reference
	case []any, []Fields:
		return connector.List
	case Fields, map[string]any:
		return connector.JSON
	}
	return connector.AnyType
}

// prepareAll makes the remotes ready that need it, as far as they can be.
func (e *Engine) prepareAll(ctx context.Context) error {
	var errs []error
	for _, r := range e.remotes {
		if err := e.prepare(ctx, r); err != nil {
			errs = append(errs, fmt.Errorf("prepare remote %s: %w", r.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) prepare(ctx context.Context, r *Remote) error {
	p, ok := r.Connection.(connector.Preparer)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.traits().Timeout)
	defer cancel()
	return p.Prepare(ctx, e.uses(r))
}

// prepared makes the remote ready and keeps at it until it is, or ctx ends:
// nothing is sent before. One that can't be made ready delays no other.
func (r *runner) prepared(ctx context.Context) {
	last := ""
	for failures := 1; ; failures++ {
		err := r.prepare(ctx, r.remote)
		if err == nil {
			if last != "" {
				r.log.Info("the remote is prepared", "remote", r.remote.Name)
			}
			r.gate.wellAgain(ctx)
			return
		}
		if ctx.Err() != nil {
			return
		}
		if err.Error() != last {
			last = err.Error()
			r.log.Error("the remote can't be prepared; nothing is sent to it; trying again", "remote", r.remote.Name, "error", err)
		}
		r.gate.failed(ctx, connector.AsError(err))
		if r.cfg.Clock.Sleep(ctx, r.backoffUpTo(failures, time.Minute)) != nil {
			return
		}
	}
}

// PlannedRemote is what would be made at a remote before anything is sent to
// it.
type PlannedRemote struct {
	Remote string
	// Make is in words: "table sales.orders (external_id text, ...)".
	Make []string
	// Problem is why it can't be told, or can't be made; empty: it can.
	Problem string
}

// planRemotes asks the remotes what they lack.
func (e *Engine) planRemotes(ctx context.Context) []PlannedRemote {
	var out []PlannedRemote
	for _, r := range e.remotes {
		p, ok := r.Connection.(connector.Preparer)
		if !ok {
			continue
		}
		within, cancel := context.WithTimeout(ctx, r.traits().Timeout)
		lacking, err := p.Lacking(within, e.uses(r))
		cancel()
		planned := PlannedRemote{Remote: r.Name, Make: lacking}
		if err != nil {
			planned.Problem = err.Error()
		}
		if err != nil || len(lacking) > 0 {
			out = append(out, planned)
		}
	}
	return out
}
