package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Points are the named places at which a process can be made to die, or to stop. They are
// placed around the database and the connection from outside, so that the
// engine under proof is the one that everybody runs.
//
//	migrate install backfill fold claim load refs hold record   .before and .after the call
//	spell namesakes take                                        the same: keys of references, external ids, the rate
//	migrate.sql install.sql backfill.sql                        between two statements inside it (PostgreSQL)
//	fold.sql claim.sql load.sql record.sql                      the same
//	clock                                                       inside its transactions, where the clock is read (SQLite)
//	next                                                        the same: the versions that wait (of syncs that deliver every one)
//	translate                                                   in the translation of a composite
//	compare                                                     once the references are encoded
//	send.before                                                 the request is not written yet
//	send.after                                                  the remote applied it; its answer is not read yet
//
// Those around bulk jobs are in [Jobs]. What a worker only reads to decide what it
// looks at next (Look, Health, Counts), and what it asks for a person (Departed, of
// explain and plan), has none: nothing was done that could be half done, and the
// next process asks again.
type Points struct {
	mu   sync.Mutex
	want string
	left int
	end  func()

	begin func() // called once, at the first claim
	begun sync.Once
}

// Around are the stages that have a point before and after their call.
var Around = []string{"migrate", "install", "backfill", "fold", "claim", "load", "refs", "hold", "record", "spell", "namesakes", "take"}

// All lists the names of the points on a database.
func All(driver string) []string {
	var all []string
	for _, stage := range Around {
		all = append(all, stage+".before", stage+".after")
	}
	all = append(all, "translate", "compare", "send.before", "send.after")
	if driver == Postgres {
		return append(all, "migrate.sql", "install.sql", "backfill.sql", "fold.sql", "claim.sql", "load.sql", "record.sql")
	}
	return append(all, "clock")
}

// Ordered lists the names of the points on PostgreSQL, of syncs that deliver every
// version.
func Ordered() []string { return append(All(Postgres), "next.before", "next.after") }

// newPoints reads "point:n": end is called at the n-th hit. Empty: never.
func newPoints(at string, end func()) (*Points, error) {
	p := &Points{end: end}
	if at == "" {
		return p, nil
	}
	name, n, _ := strings.Cut(at, ":")
	left, err := strconv.Atoi(n)
	if err != nil || left < 1 {
		return nil, fmt.Errorf("%q is not a point and a number of hits, such as record.before:1", at)
	}
	p.want, p.left = name, left
	return p, nil
}

// Hit calls end if it is time.
func (p *Points) Hit(name string) {
	if p.want != name {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left--; p.left == 0 {
		p.end()
	}
}

// pointed is a store with points around its calls.
type pointed struct {
	store.Store
	points *Points
}

// stage marks a context with the call that it is part of.
type stage struct{}

// around runs f between two points.
func around[T any](ctx context.Context, p *Points, name string, f func(context.Context) (T, error)) (T, error) {
	p.Hit(name + ".before")
	v, err := f(context.WithValue(ctx, stage{}, name))
	p.Hit(name + ".after")
	return v, err
}

func (s *pointed) Migrate(ctx context.Context) error {
	_, err := around(ctx, s.points, "migrate", func(ctx context.Context) (any, error) { return nil, s.Store.Migrate(ctx) })
	return err
}

func (s *pointed) Install(ctx context.Context, shapes []*store.Shape, plan, replaces string) error {
	_, err := around(ctx, s.points, "install", func(ctx context.Context) (any, error) { return nil, s.Store.Install(ctx, shapes, plan, replaces) })
	return err
}

func (s *pointed) Backfill(ctx context.Context, shape *store.Shape, limit int) (bool, error) {
	return around(ctx, s.points, "backfill", func(ctx context.Context) (bool, error) { return s.Store.Backfill(ctx, shape, limit) })
}

// Fold has its points where there is something to fold.
func (s *pointed) Fold(ctx context.Context, shapes []*store.Shape, plan string, limit int) (store.Folded, error) {
	if n, err := s.Store.Pending(ctx, 1); err == nil && n == 0 {
		return s.Store.Fold(ctx, shapes, plan, limit)
	}
	return around(ctx, s.points, "fold", func(ctx context.Context) (store.Folded, error) { return s.Store.Fold(ctx, shapes, plan, limit) })
}

// Claim counts after it only when it claimed something.
func (s *pointed) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claim, error) {
	s.points.begun.Do(func() {
		if s.points.begin != nil {
			s.points.begin()
		}
	})
	s.points.Hit("claim.before")
	claims, err := s.Store.Claim(context.WithValue(ctx, stage{}, "claim"), r)
	if len(claims) > 0 {
		s.points.Hit("claim.after")
	}
	return claims, err
}

func (s *pointed) Load(ctx context.Context, shape *store.Shape, keys []string) (found map[string]store.Composite, rest []string, err error) {
	found, err = around(ctx, s.points, "load", func(ctx context.Context) (map[string]store.Composite, error) {
		found, rest, err = s.Store.Load(ctx, shape, keys)
		return found, err
	})
	return found, rest, err
}

func (s *pointed) NextCommands(ctx context.Context, ids []store.ID) (map[store.ID]store.Command, error) {
	return around(ctx, s.points, "next", func(ctx context.Context) (map[store.ID]store.Command, error) {
		return s.Store.NextCommands(ctx, ids)
	})
}

func (s *pointed) Records(ctx context.Context, ids []store.ID) (map[store.ID]store.RecordState, error) {
	return around(ctx, s.points, "refs", func(ctx context.Context) (map[store.ID]store.RecordState, error) {
		return s.Store.Records(ctx, ids)
	})
}

func (s *pointed) Namesakes(ctx context.Context, sync string, among []string, externalIDs map[string]string) (map[string]store.Namesake, error) {
	return around(ctx, s.points, "namesakes", func(ctx context.Context) (map[string]store.Namesake, error) {
		return s.Store.Namesakes(ctx, sync, among, externalIDs)
	})
}

func (s *pointed) Canonical(ctx context.Context, shape *store.Shape, keys []string) (map[string]string, error) {
	return around(ctx, s.points, "spell", func(ctx context.Context) (map[string]string, error) { return s.Store.Canonical(ctx, shape, keys) })
}

func (s *pointed) Take(ctx context.Context, remote string, want int, rate float64, burst int) (got int, wait time.Duration, err error) {
	s.points.Hit("take.before")
	got, wait, err = s.Store.Take(ctx, remote, want, rate, burst)
	s.points.Hit("take.after")
	return got, wait, err
}

func (s *pointed) Hold(ctx context.Context, remote, holder string, ask store.Ask) (held, others int, err error) {
	s.points.Hit("hold.before")
	held, others, err = s.Store.Hold(ctx, remote, holder, ask)
	s.points.Hit("hold.after")
	return held, others, err
}

func (s *pointed) Record(ctx context.Context, results []store.Result, byHand []string) ([]store.ID, error) {
	name := "record"
	if ofJob(results) {
		name = "job.record"
	}
	return around(ctx, s.points, name, func(ctx context.Context) ([]store.ID, error) {
		return s.Store.Record(ctx, results, byHand)
	})
}

// tracer has a point before every statement of a marked call.
type tracer struct{ points *Points }

func (t *tracer) hit(ctx context.Context) context.Context {
	if name, ok := ctx.Value(stage{}).(string); ok {
		t.points.Hit(name + ".sql")
	}
	return ctx
}

func (t *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return t.hit(ctx)
}

func (t *tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (t *tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return t.hit(ctx)
}

func (t *tracer) TraceBatchQuery(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchQueryData) {
	t.hit(ctx)
}

func (t *tracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// transport has a point before a request goes out and one after its answer
// began to come.
type transport struct {
	http.RoundTripper
	points *Points
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.points.Hit("send.before")
	resp, err := t.RoundTripper.RoundTrip(r)
	if err == nil {
		t.points.Hit("send.after")
	}
	return resp, err
}

// referring is a connection with a point where references are encoded.
type referring struct {
	connector.Connection
	connector.Batcher
	connector.Referencer
	points *Points
}

func (c *referring) Reference(r connector.Ref) (json.RawMessage, error) {
	b, err := c.Referencer.Reference(r)
	c.points.Hit("compare")
	return b, err
}
