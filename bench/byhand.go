package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

// What many write by hand: a trigger that marks the order in a table, or one
// that puts a job into a queue, and workers that send the whole order.
const (
	dirtyFlag = `
CREATE TABLE dirty (order_id bigint PRIMARY KEY, since timestamptz NOT NULL);
CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO dirty VALUES (NEW.order_id, clock_timestamp()) ON CONFLICT (order_id) DO UPDATE SET since = excluded.since;
	RETURN NULL;
END $$;
CREATE TRIGGER mark AFTER UPDATE ON line_items FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION mark();`

	jobQueue = `
CREATE TABLE jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state text NOT NULL DEFAULT 'ready', order_id bigint NOT NULL);
CREATE INDEX jobs_ready ON jobs (id) WHERE state = 'ready';
CREATE FUNCTION enqueue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO jobs (order_id) VALUES (NEW.order_id);
	RETURN NULL;
END $$;
CREATE TRIGGER enqueue AFTER UPDATE ON line_items FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION enqueue();`

	wholeOrder = `SELECT to_jsonb(o) || jsonb_build_object('billing', (SELECT to_jsonb(b) FROM billing_infos b WHERE b.order_id = o.id),
	'lines', (SELECT jsonb_agg(to_jsonb(l) ORDER BY l.id) FROM line_items l WHERE l.order_id = o.id))::text FROM orders o WHERE o.id = $1`
)

// kinds of followers.
const (
	byList  = "list"  // by the engine: articles
	byEvery = "every" // by the engine: every version of the orders
	byFlag  = "flag"
	byJobs  = "jobs"
	byLog   = "log"
	byPoll  = "poll"
	least   = "least"
	keeps   = "keeps" // the least, and what was sent is recorded
)

// followByHand does until ctx ends what the workers of such a program do: as
// many at once as the remote takes.
func (f *following) followByHand(ctx context.Context) error {
	switch f.Kind {
	case byLog:
		return f.followLog(ctx)
	case byPoll:
		return f.poll(ctx)
	case least, keeps:
		return f.followLeast(ctx)
	}
	pool, err := pgxpool.New(ctx, f.URL)
	if err != nil {
		return err
	}
	defer pool.Close()
	take := `UPDATE jobs SET state = 'running' WHERE id = (SELECT id FROM jobs WHERE state = 'ready' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING id, order_id`
	if f.Kind == byFlag {
		// The cheapest way, which forgets the order if the process dies.
		take = `DELETE FROM dirty WHERE order_id = (SELECT order_id FROM dirty ORDER BY order_id LIMIT 1 FOR UPDATE SKIP LOCKED)
			RETURNING 0::bigint, order_id`
	}
	g, ctx := errgroup.WithContext(ctx)
	for range f.Concurrency {
		g.Go(func() error {
			for ctx.Err() == nil {
				if err := f.sendOne(ctx, pool, take); err != nil && ctx.Err() == nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (f *following) sendOne(ctx context.Context, pool *pgxpool.Pool, take string) error {
	var id, order int64
	err := pool.QueryRow(ctx, take).Scan(&id, &order)
	if err == pgx.ErrNoRows {
		return pause(ctx, 10*time.Millisecond)
	}
	if err != nil {
		return err
	}
	var body string
	if err := pool.QueryRow(ctx, wholeOrder, order).Scan(&body); err != nil {
		return err
	}
	if err := pause(ctx, f.Latency); err != nil {
		return err
	}
	if f.Kind == byFlag {
		return nil
	}
	_, err = pool.Exec(ctx, "DELETE FROM jobs WHERE id = $1", id)
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
