package upkeep_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/postgres"
)

// pool is one of the program's own.
func (s *shop) pool(most int32) *pgxpool.Pool {
	s.t.Helper()
	config, err := pgxpool.ParseConfig(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	config.MaxConns = most
	pool, err := pgxpool.NewWithConfig(s.ctx, config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(pool.Close)
	return pool
}

// A program's own pool may be small: nothing asks for a second connection while it
// has one, for which it would wait for ever where all do so at once.
func TestSmallPool(t *testing.T) {
	t.Parallel()
	for _, most := range []int32{1, 2} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			t.Parallel()
			s := makeShop(t, memory.Config{}, (*shop).onPostgres)
			s.within(3 * time.Minute)
			pool := s.pool(most)
			s.open = func() upkeep.Database { return postgres.New(pool) }
			s.fill()
			s.tickets(3)
			e := s.engine(customerSync(s.to), orderSync(s.to), ticketSync(s.to))
			if _, err := e.Check(s.ctx); err != nil {
				t.Fatal(err)
			}
			s.run(e)
			s.quiet(e)
			for i := range 20 {
				s.exec(`update users set name = 'Ada %[1]d' where id = 1; update orders set ref_no = 'R%[1]d' where id = 10; update tickets set version = %[1]d`, i)
			}
			s.exec(`insert into users (id, name) values (3, 'Eve'); insert into orders (id, user_id, state) values (13, 3, 'placed')`)
			s.exec(`delete from line_items where order_id = 12; delete from orders where id = 12; delete from users where id = 2`)
			s.quiet(e)
			s.inSync(e, "customer", "sales_order", "ticket")
			if _, err := e.Audit(s.ctx, "", nil); err != nil {
				t.Error(err)
			}
			if _, err := e.Doctor(s.ctx); err != nil {
				t.Error(err)
			}
			if err := e.Resync(s.ctx, upkeep.Resync{}); err != nil {
				t.Error(err)
			}
			s.quiet(e)
		})
	}
}

// What is called in a transaction that has the pool's last connection does not
// wait for another one for ever.
func TestCallsBesideTheLastConnection(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.fill()
	s.tickets(1)
	pool := s.pool(1)
	s.open = func() upkeep.Database { return postgres.New(pool) }
	syncs := []upkeep.AnySync{customerSync(s.to), byHand(ticketSync(s.to))}
	if err := s.engine(syncs...).Install(s.ctx); err != nil {
		t.Fatal(err)
	}
	e := s.engine(syncs...)
	in := func(commit bool, what func(tx pgx.Tx)) {
		t.Helper()
		tx, err := pool.Begin(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if what(tx); commit {
			err = tx.Commit(s.ctx)
		} else {
			err = tx.Rollback(s.ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	in(false, func(tx pgx.Tx) {
		const want = "call Install (or Explain, where nothing is to be installed) before the first such transaction"
		if err := e.Command(s.ctx, tx, "ticket", 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Error(err)
		}
		if err := e.Touch(s.ctx, tx, "customer", struct{}{}); err == nil {
			t.Error("a struct is a key")
		}
		if err := e.Touch(s.ctx, tx, "customer", 1); err != nil { // it needs to know nothing of the tables
			t.Error(err)
		}
	})
	if _, err := e.Explain(s.ctx, "customer", "1"); err != nil {
		t.Fatal(err)
	}
	in(true, func(tx pgx.Tx) {
		if err := errors.Join(e.Touch(s.ctx, tx, "customer", 1), e.Command(s.ctx, tx, "ticket", 1)); err != nil {
			t.Error(err)
		}
	})
	s.run(e)
	s.quiet(e)
	s.inSync(e, "customer", "ticket")
}
