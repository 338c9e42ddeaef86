package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/postgres"
)

// foldedAtOnce are numbers of touches in one fold: of an application with room,
// and of one that fills the cores.
var foldedAtOnce = []int{20, 500}

// planned is a database that remembers what it was told to watch, so that it
// can be folded without an engine at work.
type planned struct {
	*postgres.DB
	shapes []*store.Shape
	plan   string
}

func newPlanned(pool *pgxpool.Pool) *planned { return &planned{DB: postgres.New(pool)} }

func (p *planned) Install(ctx context.Context, shapes []*store.Shape, plan, replaces string) error {
	p.shapes, p.plan = shapes, plan
	return p.DB.Install(ctx, shapes, plan, replaces)
}

// installed is a database with an engine installed, and the pool of the one
// connection that it works on, so that the server's process is known.
func (p *place) installed(url, kind string) (*planned, *pgxpool.Pool, error) {
	pool, err := onlyOne(p.ctx, url)
	if err != nil {
		return nil, nil, err
	}
	db := newPlanned(pool)
	engine, err := engineOn(db, newSink(0, 1, false, false), kind)
	if err == nil {
		err = engine.Install(p.ctx)
	}
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return db, pool, nil
}

// fold is what it costs to make dirty groups of touches, and what the least is
// that a program written by hand could do for that: see [leastFold].
func (p *place) fold() ([]result, error) {
	watched, err := p.watched()
	if err != nil {
		return nil, err
	}
	floor, err := p.with("fold_floor", loggedOrders)
	if err != nil {
		return nil, err
	}
	db, pool, err := p.installed(watched.url, "")
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	hand, err := onlyOne(p.ctx, floor.url)
	if err != nil {
		return nil, err
	}
	defer hand.Close()
	ours := func() error {
		_, err := db.Fold(p.ctx, db.shapes, db.plan, 5_000)
		return err
	}
	least := func() error {
		_, err := hand.Exec(p.ctx, leastFold)
		return err
	}
	const (
		clean      = `UPDATE upkeep.groups SET synced_generation = generation, due_at = NULL, dirty_since = NULL WHERE due_at IS NOT NULL`
		dirty      = `UPDATE upkeep.groups SET generation = generation + 1, due_at = now(), dirty_since = now() WHERE due_at IS NULL`
		floorDirty = `INSERT INTO dirty SELECT id, 1, now() FROM orders ON CONFLICT DO NOTHING`
	)
	var out []result
	for _, n := range foldedAtOnce {
		for _, w := range []struct {
			name, before, floorBefore string
		}{
			{"groups that were clean", clean, "DELETE FROM dirty"},
			{"groups that were dirty already", dirty, floorDirty},
		} {
			cost := [2][]time.Duration{}
			for range p.size.folds {
				for i, s := range []*shop{watched, floor} {
					before, run, on := w.before, ours, pool
					if s == floor {
						before, run, on = w.floorBefore, least, hand
					}
					d, err := p.folding(s, on, n, before, run)
					if err != nil {
						return nil, err
					}
					cost[i] = append(cost[i], d/time.Duration(n))
				}
			}
			a, b := median(cost[0]), median(cost[1])
			out = append(out, result{fmt.Sprintf("folding %d touches at once, %s: the server's CPU for each", n, w.name), "-", us(a),
				"floor: one statement that empties a log of the groups' own keys into a table of dirty ones: " + us(b)})
		}
	}
	versions, err := p.foldVersions()
	return append(out, versions...), err
}

func us(d time.Duration) string { return fmt.Sprintf("%.1f us", float64(d.Nanoseconds())/1000) }

// folding makes n changes and returns how long folding them kept the server on
// a core.
func (p *place) folding(s *shop, on *pgxpool.Pool, n int, before string, fold func() error) (time.Duration, error) {
	const change = `UPDATE line_items SET qty = qty + 1 WHERE id IN (SELECT (random() * %d)::bigint FROM generate_series(1, %d))`
	if err := p.exec(s, before); err != nil {
		return 0, err
	}
	if err := p.exec(s, fmt.Sprintf(change, s.orders*linesPerOrder, n)); err != nil {
		return 0, err
	}
	return p.using(on, fold)
}

// using is how long f kept the server's process of a pool of one on a core.
func (p *place) using(on *pgxpool.Pool, f func() error) (time.Duration, error) {
	c, err := on.Acquire(p.ctx)
	if err != nil {
		return 0, err
	}
	pid := int(c.Conn().PgConn().PID())
	c.Release()
	began := onCore(pid)
	err = f()
	return onCore(pid) - began, err
}

// foldVersions is what a fold does more for a sync that delivers every version:
// it looks for groups that only the versions of the same transactions lead to.
// The same touches, of a transaction each, are folded with that and without it.
func (p *place) foldVersions() ([]result, error) {
	s, err := p.shop("versions", p.size.shop)
	if err != nil {
		return nil, err
	}
	db, pool, err := p.installed(s.url, byEvery)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	if err := p.exec(s, "INSERT INTO upkeep.groups (sync, key) SELECT 'sales_order', id::text FROM orders ON CONFLICT DO NOTHING"); err != nil {
		return nil, err
	}
	state := *db.shapes[0]
	state.Every = false
	ways := [][]*store.Shape{{&state}, db.shapes}
	const (
		clean  = `DELETE FROM upkeep.commands; UPDATE upkeep.groups SET synced_generation = generation, due_at = NULL, dirty_since = NULL WHERE due_at IS NOT NULL`
		change = `DO $$ BEGIN SET synchronous_commit = off; FOR i IN 1..%d LOOP
			UPDATE line_items SET qty = qty + 1 WHERE id = 1 + floor(random() * %d)::bigint; COMMIT; END LOOP; END $$`
	)
	var out []result
	for _, n := range foldedAtOnce {
		cost := make([][]time.Duration, len(ways))
		for range p.size.folds {
			for i, shapes := range ways {
				if err := p.exec(s, clean); err != nil {
					return nil, err
				}
				if err := p.exec(s, fmt.Sprintf(change, n, s.orders*linesPerOrder)); err != nil {
					return nil, err
				}
				d, err := p.using(pool, func() error {
					_, err := db.Fold(p.ctx, shapes, db.plan, 5_000)
					return err
				})
				if err != nil {
					return nil, err
				}
				cost[i] = append(cost[i], d/time.Duration(n))
			}
		}
		out = append(out, result{fmt.Sprintf("folding %d touches at once, of a transaction each and a sync that delivers every version: the server's CPU for each", n), "-",
			us(median(cost[1])), "without the look for groups that only a version leads to: " + us(median(cost[0]))})
	}
	return out, nil
}

// onlyOne is a pool of one connection, whose server process does all.
func onlyOne(ctx context.Context, url string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 1
	return pgxpool.NewWithConfig(ctx, config)
}
