package postgres_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/postgres"
)

// statements counts what goes to the server.
type statements struct{ n atomic.Int64 }

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	s.n.Add(1)
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (s *statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) { s.n.Add(1) }

func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// The number of statements does not grow with the number of groups, on any
// stage of the way.
func TestStagesAreSetWise(t *testing.T) {
	t.Parallel()
	way := func(groups int) map[string]int64 {
		b := newBench(t)
		b.exec(`CREATE TABLE orders (id bigint PRIMARY KEY, state text)`,
			`CREATE TABLE lines (id bigint PRIMARY KEY, order_id bigint NOT NULL, sku text)`,
			`CREATE INDEX ON lines (order_id)`)
		b.migrate()
		s := b.shape("order", table("orders"), "id", "state")
		b.many(s, "lines", table("lines"), "order_id", "sku")
		b.install(s)
		config, err := pgxpool.ParseConfig(b.url)
		b.ok(err)
		count := &statements{}
		config.ConnConfig.Tracer = count
		pool, err := pgxpool.NewWithConfig(b.ctx, config)
		b.ok(err)
		t.Cleanup(pool.Close)
		db := postgres.New(pool)
		b.exec(fmt.Sprintf(`INSERT INTO orders SELECT n, 'new' FROM generate_series(1, %d) n`, groups),
			fmt.Sprintf(`INSERT INTO lines SELECT n, n %% %d + 1, 'x' FROM generate_series(1, %d) n`, groups, 3*groups))
		used := map[string]int64{}
		stage := func(name string, f func() error) {
			before := count.n.Load()
			b.ok(f())
			used[name] = count.n.Load() - before
		}
		var claims []store.Claim
		stage("fold", func() error { _, err := db.Fold(b.ctx, []*store.Shape{s}, plan, 5000); return err })
		stage("claim", func() (err error) {
			claims, err = db.Claim(b.ctx, store.ClaimRequest{Holder: "w", Lease: time.Minute, Limit: 1000, Syncs: []store.ClaimSync{{Sync: "order", Quiet: time.Minute}}})
			return err
		})
		if len(claims) != groups {
			t.Fatalf("%d claims of %d groups", len(claims), groups)
		}
		var keys []string
		var results []store.Result
		for _, c := range claims {
			keys = append(keys, c.Key)
			results = append(results, store.Result{ID: c.ID, Epoch: c.Epoch, Generation: c.Generation, Outcome: store.Synced,
				RemoteID: "r" + c.Key, Digests: []byte{1}, Calls: 1, Attempt: &store.Attempt{Action: "create", Outcome: "ok"}})
		}
		stage("load", func() error {
			composites, _, err := db.Load(b.ctx, s, keys)
			if len(composites) != groups {
				t.Errorf("%d composites", len(composites))
			}
			return err
		})
		stage("record", func() error { _, err := db.Record(b.ctx, results, nil); return err })
		return used
	}
	few, many := way(5), way(400)
	for stage, n := range few {
		if n == 0 || many[stage] != n {
			t.Errorf("%s: %d statements for 5 groups, %d for 400", stage, n, many[stage])
		}
	}
}
