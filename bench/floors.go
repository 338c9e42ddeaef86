package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
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

	// neverFires is a row trigger that compares one number, and calls nothing.
	neverFires = `CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER never AFTER UPDATE ON orders FOR EACH ROW WHEN (OLD.user_id IS DISTINCT FROM NEW.user_id) EXECUTE FUNCTION never()`
)

// followLog empties the log of [appendedLines] ten times a second, and does
// nothing with what it reads.
func (f *following) followLog(ctx context.Context) error {
	return f.every(ctx, 100*time.Millisecond, "WITH d AS (DELETE FROM appended RETURNING id) SELECT count(DISTINCT id) FROM d")
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
