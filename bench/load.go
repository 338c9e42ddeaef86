package main

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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

// clients lets so many clients each update one line after the other, a
// transaction each, and returns the transactions a second.
func (p *place) clients(s *shop, pick func() int64) (float64, error) {
	var done atomic.Int64
	g, ctx := errgroup.WithContext(p.ctx)
	began := time.Now()
	for range p.size.clients {
		c, err := s.pool.Acquire(p.ctx)
		if err != nil {
			return 0, err
		}
		g.Go(func() error {
			defer c.Release()
			for time.Since(began) < p.size.load {
				_, err := c.Exec(ctx, "UPDATE line_items SET qty = qty + 1 WHERE id = $1", pick())
				if err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	err := g.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), err
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
