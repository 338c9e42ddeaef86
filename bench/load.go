package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

// median is the middle one.
func median[T cmp.Ordered](all []T) T {
	s := slices.Sorted(slices.Values(all))
	return s[len(s)/2]
}

// percentile is the value below which q of all are.
func percentile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(all))
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

// load is what a run of clients came to.
type load struct {
	tps float64
	cpu time.Duration // of the clients' server processes, for each transaction
	per parts         // all that was used, for each transaction
}

// clients lets so many clients each update one line after the other, a
// transaction each.
func (p *place) clients(s *shop, pick func() int64) (load, error) {
	var done atomic.Int64
	conns := make([]*pgxpool.Conn, p.size.clients)
	pids := make([]uint32, p.size.clients)
	for i := range conns {
		c, err := s.pool.Acquire(p.ctx)
		if err != nil {
			return load{}, err
		}
		defer c.Release()
		conns[i], pids[i] = c, c.Conn().PgConn().PID()
	}
	update := func(most time.Duration) error {
		g, ctx := errgroup.WithContext(p.ctx)
		began := time.Now()
		for _, c := range conns {
			g.Go(func() error {
				for time.Since(began) < most {
					if _, err := c.Exec(ctx, "UPDATE line_items SET qty = qty + 1 WHERE id = $1", pick()); err != nil {
						return err
					}
					done.Add(1)
				}
				return nil
			})
		}
		return g.Wait()
	}
	// Connections, caches and plans that are new are not what is measured.
	if err := update(warmUp); err != nil {
		return load{}, err
	}
	done.Store(0)
	m := meterParts(pids, p.followerPID)
	before, began := onCores(pids), time.Now()
	err := update(p.size.load)
	took, cpu := time.Since(began), onCores(pids)-before
	n := max(done.Load(), 1)
	per := m.end()
	if err == nil {
		per.stages, err = p.stages(s, m)
	}
	return load{float64(n) / took.Seconds(), cpu / time.Duration(n), per.each(n)}, err
}

// warmUp is how long clients run before they are measured.
const warmUp = time.Second

// onCores is the sum of onCore.
func onCores(pids []uint32) (sum time.Duration) {
	for _, pid := range pids {
		sum += onCore(int(pid))
	}
	return sum
}

const (
	visitors = 8
	thinking = 10 * time.Millisecond
)

// visitors lets clients each read four rows and update one line in a
// transaction, wait, and begin anew; it returns the transactions a second.
func (p *place) visitors(s *shop) (load, error) {
	var done atomic.Int64
	g, ctx := errgroup.WithContext(p.ctx)
	began := time.Now()
	for range visitors {
		g.Go(func() error {
			for time.Since(began) < 2*p.size.load {
				if err := visit(ctx, s); err != nil {
					return err
				}
				done.Add(1)
				time.Sleep(thinking)
			}
			return nil
		})
	}
	err := g.Wait()
	return load{tps: float64(done.Load()) / time.Since(began).Seconds()}, err
}

func visit(ctx context.Context, s *shop) error {
	order := 1 + rand.Int64N(int64(s.orders))
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for _, sql := range []string{"SELECT count(*) FROM orders WHERE id = $1", "SELECT count(*) FROM billing_infos WHERE order_id = $1",
			"SELECT count(*) FROM line_items WHERE order_id = $1", "SELECT count(*) FROM orders WHERE id = $1 AND state = 'open'"} {
			var n int
			if err := tx.QueryRow(ctx, sql, order).Scan(&n); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, "UPDATE line_items SET qty = qty + 1 WHERE id = $1", linesPerOrder*order)
		return err
	})
}

// steady makes changes at a fixed rate for a time, each of another order, and
// returns when each was committed, by its number.
func (p *place) steady(s *shop, rate int, most time.Duration) (map[int64]time.Time, error) {
	n := min(int(most.Seconds()*float64(rate)), s.orders)
	orders := rand.Perm(s.orders)[:n]
	committed := make(map[int64]time.Time, n)
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(p.ctx)
	g.SetLimit(12) // connections; enough for the rate unless the machine is full
	began := time.Now()
	for i, o := range orders {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		change := int64(i + 1)
		g.Go(func() error {
			_, err := s.pool.Exec(ctx, "UPDATE line_items SET qty = qty + 1, change = $2 WHERE id = $1", linesPerOrder*o+1, change)
			at := time.Now()
			mu.Lock()
			defer mu.Unlock()
			committed[change] = at
			return err
		})
	}
	err := g.Wait()
	if late := time.Since(began) - most; err == nil && late > most/10 {
		err = fmt.Errorf("the application could not keep %d changes a second up", rate)
	}
	return committed, err
}

// burst changes lines of the first orders, in transactions of 100 changes each
// by several clients, as fast as the database takes them.
func (p *place) changeMany(s *shop, changes, groups int) error {
	const together = 100
	lines := groups * linesPerOrder
	var next atomic.Int64
	g, ctx := errgroup.WithContext(p.ctx)
	for range p.size.clients {
		g.Go(func() error {
			for int(next.Add(together)) <= changes {
				ids := rand.Perm(lines)[:together]
				slices.Sort(ids) // two transactions lock in one order
				_, err := s.pool.Exec(ctx, `UPDATE line_items SET qty = qty + 1, change = change + 1
					FROM (SELECT id FROM line_items WHERE id = ANY($1) ORDER BY id FOR UPDATE) l
					WHERE line_items.id = l.id`, oneBased(ids))
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func oneBased(ids []int) []int64 {
	out := make([]int64, len(ids))
	for i, id := range ids {
		out[i] = int64(id) + 1
	}
	return out
}

// timed is how long f takes.
func timed(f func() error) (time.Duration, error) {
	began := time.Now()
	err := f()
	return time.Since(began), err
}

var errNothing = errors.New("nothing was measured")
