package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

// The floors: the least that anything of this kind can do. They are too little
// to be of use, and say how much of a figure is Upkeep's and how much is the
// database's, the driver's or the machine's.
const (
	// appendedLines notes which line changed: no index, no order, no old key.
	appendedLines = `CREATE TABLE appended (id bigint);
CREATE FUNCTION append() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO appended VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER append AFTER UPDATE ON line_items FOR EACH ROW EXECUTE FUNCTION append()`

	// comparesLines is a row trigger whose WHEN compares four columns, none of
	// which the clients change.
	comparesLines = `CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER never AFTER UPDATE ON line_items FOR EACH ROW WHEN (OLD.id IS DISTINCT FROM NEW.id OR OLD.order_id IS DISTINCT FROM NEW.order_id
	OR pg_catalog.record_image_ne(ROW(OLD.price, OLD.sku), ROW(NEW.price, NEW.sku))) EXECUTE FUNCTION never()`

	// loggedOrders notes which order changed, and leastFold empties that log into
	// a table of what is dirty: no identity of a row, no order, no cause, no count,
	// no key that is resolved, no group that is claimed, waits or is parked.
	loggedOrders = `CREATE TABLE logged (order_id bigint);
CREATE TABLE dirty (order_id bigint PRIMARY KEY, generation bigint NOT NULL, since timestamptz NOT NULL);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO logged VALUES (NEW.order_id); RETURN NULL; END $$;
CREATE TRIGGER note AFTER UPDATE ON line_items FOR EACH ROW EXECUTE FUNCTION note()`
	leastFold = `WITH gone AS (DELETE FROM logged RETURNING order_id)
INSERT INTO dirty AS d SELECT DISTINCT order_id, 1, now() FROM gone ORDER BY 1
ON CONFLICT (order_id) DO UPDATE SET generation = d.generation + 1`

	// loggedIfMapped is that with a condition like the one of our trigger, so that
	// an update of other columns would cost next to nothing.
	loggedIfMapped = `CREATE TABLE logged (order_id bigint);
CREATE TABLE dirty (order_id bigint PRIMARY KEY, generation bigint NOT NULL, since timestamptz NOT NULL);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO logged VALUES (NEW.order_id); RETURN NULL; END $$;
CREATE TRIGGER note AFTER UPDATE ON line_items FOR EACH ROW WHEN (OLD.id IS DISTINCT FROM NEW.id OR OLD.order_id IS DISTINCT FROM NEW.order_id
	OR pg_catalog.record_image_ne(ROW(OLD.sku, OLD.qty, OLD.price, OLD.change), ROW(NEW.sku, NEW.qty, NEW.price, NEW.change)))
	EXECUTE FUNCTION note()`

	// toldIfMapped also tells what our capture tells, written for this one table:
	// the order, the time, the transaction, the old and the new key, and which
	// columns changed. It breaks when a column is renamed, and does as its caller's
	// search path says.
	toldIfMapped = `CREATE TABLE logged (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
	xid xid8 NOT NULL DEFAULT pg_current_xact_id(), op text NOT NULL, line_id bigint, order_id bigint, new_line_id bigint, new_order_id bigint, columns text[]);
CREATE TABLE dirty (order_id bigint PRIMARY KEY, generation bigint NOT NULL, since timestamptz NOT NULL);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO logged (op, line_id, order_id, new_line_id, new_order_id, columns)
	VALUES ('update', OLD.id, OLD.order_id, NEW.id, NEW.order_id, array_remove(ARRAY[
		CASE WHEN OLD.change IS DISTINCT FROM NEW.change THEN 'change' END, CASE WHEN OLD.id IS DISTINCT FROM NEW.id THEN 'id' END,
		CASE WHEN OLD.order_id IS DISTINCT FROM NEW.order_id THEN 'order_id' END, CASE WHEN OLD.price IS DISTINCT FROM NEW.price THEN 'price' END,
		CASE WHEN OLD.qty IS DISTINCT FROM NEW.qty THEN 'qty' END, CASE WHEN OLD.sku IS DISTINCT FROM NEW.sku THEN 'sku' END], NULL));
	RETURN NULL; END $$;
CREATE TRIGGER tell AFTER UPDATE ON line_items FOR EACH ROW WHEN (OLD.change IS DISTINCT FROM NEW.change OR OLD.id IS DISTINCT FROM NEW.id
	OR OLD.order_id IS DISTINCT FROM NEW.order_id OR OLD.price IS DISTINCT FROM NEW.price OR OLD.qty IS DISTINCT FROM NEW.qty
	OR OLD.sku IS DISTINCT FROM NEW.sku COLLATE "C") EXECUTE FUNCTION tell()`

	// takeFour forgets what it takes, should the process die.
	takeFour = `DELETE FROM dirty WHERE order_id IN (SELECT order_id FROM dirty LIMIT 4 FOR UPDATE SKIP LOCKED) RETURNING order_id, generation`

	// leaseFour takes orders for a minute and no longer, so that they are sent
	// again should the process die, and recordFour says what was sent: the least
	// of a protocol that loses nothing. It tells nobody what was sent, or what
	// went wrong, and never sends less than everything.
	leasable  = "ALTER TABLE dirty ADD sent bigint NOT NULL DEFAULT 0, ADD until timestamptz; CREATE INDEX due ON dirty (since) WHERE generation > sent"
	leaseFour = `UPDATE dirty d SET until = now() + interval '1 minute' FROM (
		SELECT order_id FROM dirty WHERE generation > sent AND (until IS NULL OR until < now()) ORDER BY since LIMIT 4 FOR UPDATE SKIP LOCKED) t
	WHERE d.order_id = t.order_id RETURNING d.order_id, d.generation`
	recordFour = `UPDATE dirty d SET sent = r.generation, until = NULL, since = now()
	FROM unnest($1::bigint[], $2::bigint[]) AS r(order_id, generation) WHERE d.order_id = r.order_id`

	// neverFires is a row trigger that compares one number, and calls nothing.
	neverFires = `CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER never AFTER UPDATE ON orders FOR EACH ROW WHEN (OLD.user_id IS DISTINCT FROM NEW.user_id) EXECUTE FUNCTION never()`
)

// followLog empties the log of [appendedLines] ten times a second, and does
// nothing with what it reads.
func (f *following) followLog(ctx context.Context) error {
	return f.every(ctx, 100*time.Millisecond, "WITH d AS (DELETE FROM appended RETURNING id) SELECT count(DISTINCT id) FROM d")
}

// leastRows are what is loaded of four orders.
var leastRows = []string{
	"SELECT id, user_id, state, ref_no FROM orders WHERE id = ANY($1)",
	"SELECT order_id, vat FROM billing_infos WHERE order_id = ANY($1)",
	"SELECT order_id, id, sku, qty, price::text, change FROM line_items WHERE order_id = ANY($1) ORDER BY id",
}

// followLeast does the least that is following: it folds the log of
// [loggedIfMapped] ten times a second, takes four orders at a time, loads them,
// and waits as long as the remote's answers take. It compares nothing, records
// nothing, and knows of no limit, no failure and no other process. One that
// [keeps] leases what it takes, and records what it sent.
func (f *following) followLeast(ctx context.Context) error {
	pool, err := pgxpool.New(ctx, f.URL)
	if err != nil {
		return err
	}
	defer pool.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		for pause(ctx, 100*time.Millisecond) == nil {
			if _, err := pool.Exec(ctx, leastFold); err != nil && ctx.Err() == nil {
				return err
			}
		}
		return nil
	})
	for range f.Concurrency / 4 {
		g.Go(func() error {
			for ctx.Err() == nil {
				if err := f.sendFour(ctx, pool); err != nil && ctx.Err() == nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (f *following) sendFour(ctx context.Context, pool *pgxpool.Pool) error {
	take := takeFour
	if f.Kind == keeps {
		take = leaseFour
	}
	rows, err := pool.Query(ctx, take)
	if err != nil {
		return err
	}
	var orders, generations []int64
	var order, generation int64
	if _, err := pgx.ForEachRow(rows, []any{&order, &generation}, func() error {
		orders, generations = append(orders, order), append(generations, generation)
		return nil
	}); err != nil {
		return err
	}
	if len(orders) == 0 {
		return pause(ctx, 10*time.Millisecond)
	}
	batch := &pgx.Batch{}
	for _, sql := range leastRows {
		batch.Queue(sql, orders).Query(func(rows pgx.Rows) error {
			_, err := pgx.CollectRows(rows, pgx.RowToMap)
			return err
		})
	}
	if err := pool.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	if err := pause(ctx, f.Latency); err != nil || f.Kind != keeps {
		return err
	}
	_, err = pool.Exec(ctx, recordFour, orders, generations)
	return err
}

// poll asks whether there is anything, as often as an idle engine does.
func (f *following) poll(ctx context.Context) error {
	return f.every(ctx, 250*time.Millisecond, "SELECT count(*) FROM (SELECT FROM orders ORDER BY id LIMIT 1) o")
}

// every runs a query, with a pause in between, until ctx ends.
func (f *following) every(ctx context.Context, d time.Duration, sql string) error {
	pool, err := pgxpool.New(ctx, f.URL)
	if err != nil {
		return err
	}
	defer pool.Close()
	for {
		var n int64
		if err := pool.QueryRow(ctx, sql).Scan(&n); err != nil && err != pgx.ErrNoRows && ctx.Err() == nil {
			return err
		}
		if pause(ctx, d) != nil {
			return nil
		}
	}
}
