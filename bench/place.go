package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

// place is where a run takes place: a server, its databases, the sizes.
type place struct {
	ctx         context.Context
	server      *pgtest.Server
	self        string // this program's file
	size        size
	progress    io.Writer
	profiles    string // folder for CPU profiles; empty: none are made
	row         string // the one being measured
	followers   int
	followerPID int // of the one at work; zero: none
	statements  bool
	apart       bool           // a pool for each stage
	ways        *regexp.Regexp // of rows that compare several ways
	shops       map[string]*shop
}

// size says how much is measured.
type size struct {
	repeats  int
	clients  int
	load     time.Duration // of one run of the clients
	shop     int           // orders of the shop for single changes
	folds    int           // of each kind
	calls    int           // of each size
	bulk     int           // orders changed by one statement
	latency  time.Duration // of the run at a fixed rate
	rate     int           // changes a second there
	changes  int           // of the burst
	groups   int           // that the burst changes
	idle     [2]int        // groups
	idleFor  time.Duration
	backfill int           // groups of the run that watches memory
	filling  time.Duration // at most
	machines int           // groups for the run with several processes
}

var quick = size{repeats: 3, clients: 4, load: time.Second, shop: 4_000, folds: 25, calls: 60, bulk: 20_000, latency: 4 * time.Second, rate: 500,
	changes: 5_000, groups: 500, idle: [2]int{10_000, 100_000}, idleFor: 3 * time.Second,
	backfill: 100_000, filling: 6 * time.Second, machines: 10_000}

var full = size{repeats: 3, clients: 4, load: 6 * time.Second, shop: 20_000, folds: 100, calls: 300, bulk: 100_000, latency: 20 * time.Second, rate: 500,
	changes: 20_000, groups: 2_000, idle: [2]int{100_000, 1_000_000}, idleFor: 15 * time.Second,
	backfill: 1_000_000, filling: 4 * time.Minute, machines: 40_000}

// shop is a database with the application's tables.
type shop struct {
	url    string
	orders int
	pool   *pgxpool.Pool
}

const schema = `
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint NOT NULL, state text NOT NULL, ref_no text NOT NULL, note text NOT NULL);
CREATE TABLE billing_infos (id bigint PRIMARY KEY, order_id bigint NOT NULL, vat text NOT NULL);
CREATE INDEX billing_infos_order ON billing_infos (order_id);
CREATE TABLE line_items (id bigint PRIMARY KEY, order_id bigint NOT NULL, sku text NOT NULL, qty bigint NOT NULL,
	price numeric(10,2) NOT NULL, change bigint NOT NULL);
CREATE INDEX line_items_order ON line_items (order_id)`

// linesPerOrder is how many lines an order has.
const linesPerOrder = 3

// fill makes the rows of n orders. Line l of order o has the id 3*(o-1)+l.
const fill = `
INSERT INTO orders SELECT n, n %% 1000, 'open', 'R-' || n, '' FROM generate_series(1, %[1]d) n;
INSERT INTO billing_infos SELECT n, n, 'AT' || n FROM generate_series(1, %[1]d) n;
INSERT INTO line_items SELECT n, (n + 2) / 3, 'sku-' || n %% 500, 1 + n %% 9, (n %% 1000) / 10.0, 0 FROM generate_series(1, 3 * %[1]d) n;
ANALYZE;`

// shop returns a database of that name with so many orders, made by the first
// call. What is called differently is a database of its own.
func (p *place) shop(name string, orders int) (*shop, error) {
	if s := p.shops[name]; s != nil {
		return s, nil
	}
	p.say("making %d orders", orders)
	if err := p.admin("CREATE DATABASE " + name); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(p.server.Database(name))
	if err != nil {
		return nil, err
	}
	config.MaxConns = 16
	pool, err := pgxpool.NewWithConfig(p.ctx, config)
	if err != nil {
		return nil, err
	}
	s := &shop{url: p.server.Database(name), orders: orders, pool: pool}
	p.shops[name] = s
	if err := p.exec(s, schema); err != nil {
		return nil, err
	}
	return s, p.exec(s, fmt.Sprintf(fill, orders))
}

// drop closes and forgets a shop.
func (p *place) drop(name string) error {
	s := p.shops[name]
	if s == nil {
		return nil
	}
	s.pool.Close()
	delete(p.shops, name)
	return p.admin("DROP DATABASE " + name + " WITH (FORCE)")
}

// exec runs statements, without parameters, one after the other.
func (p *place) exec(s *shop, sql string) error {
	c, err := s.pool.Acquire(p.ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	_, err = c.Conn().PgConn().Exec(p.ctx, sql).ReadAll()
	return err
}

// statement runs one, and returns how long it took, and how long on a core.
func (p *place) statement(s *shop, sql string) (took, onCore time.Duration, err error) {
	c, err := s.pool.Acquire(p.ctx)
	if err != nil {
		return 0, 0, err
	}
	defer c.Release()
	before := used(c)
	took, err = timed(func() error {
		_, err := c.Exec(p.ctx, sql)
		return err
	})
	return took, used(c) - before, err
}

// settled waits until nothing is left to do for Upkeep, for most at most, and
// says whether that came to be. It costs the database an index probe.
func (p *place) settled(s *shop, most time.Duration) (bool, error) {
	for deadline := time.Now().Add(most); ; {
		var busy bool
		err := s.pool.QueryRow(p.ctx, `SELECT EXISTS (SELECT FROM upkeep.syncs WHERE pass <> '')
			OR EXISTS (SELECT FROM upkeep.touch) OR EXISTS (SELECT FROM upkeep.groups WHERE due_at IS NOT NULL)`).Scan(&busy)
		if err != nil || !busy {
			return err == nil, err
		}
		if time.Now().After(deadline) {
			return false, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// settle is settled for what has to come to be.
func (p *place) settle(s *shop, most time.Duration) error {
	done, err := p.settled(s, most)
	if err == nil && !done {
		err = fmt.Errorf("not drained within %s", most)
	}
	return err
}

// backfilled lets a follower with a remote that answers at once bring a shop
// up to date, and stops it.
func (p *place) backfilled(s *shop) error {
	w, err := p.start(following{URL: s.url, Concurrency: 32})
	if err != nil {
		return err
	}
	if err := p.settle(s, 3*time.Minute); err != nil {
		w.kill()
		return err
	}
	if err := w.stop(); err != nil {
		return err
	}
	return p.vacuum(s)
}

// vacuum brings the tables to the same state before each run.
func (p *place) vacuum(s *shop) error {
	for _, t := range []string{"orders", "line_items", "billing_infos"} {
		if err := p.exec(s, "VACUUM (ANALYZE) "+t); err != nil {
			return err
		}
	}
	return p.exec(s, "CHECKPOINT")
}

func (p *place) say(format string, args ...any) {
	fmt.Fprintf(p.progress, "\r\033[K%s: %s", p.row, fmt.Sprintf(format, args...))
}

func (p *place) close() {
	for _, s := range p.shops {
		s.pool.Close()
	}
	p.server.Close()
}
