package postgres_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// BenchmarkCommands is what a transaction of the application costs that changes
// one line of an order with four lines: without triggers, with those that write
// touches, and with those that make a command of each version too; alone, and
// from eight connections, on orders of their own or all on one.
func BenchmarkCommands(b *testing.B) {
	for _, lane := range []string{"none", "latest", "every"} {
		for _, c := range []struct {
			name    string
			workers int
			line    func(worker int) int
		}{
			{"alone", 1, func(int) int { return 11 }},
			{"apart", 8, func(w int) int { return 10*(w+1) + 1 }},
			{"on one", 8, func(w int) int { return 1000 + w }},
		} {
			b.Run(lane+" "+c.name, func(b *testing.B) {
				x := newBench(b)
				x.exec(`CREATE TABLE orders (id int PRIMARY KEY, state text)`,
					`CREATE TABLE lines (id int PRIMARY KEY, order_id int REFERENCES orders ON DELETE CASCADE, qty int)`,
					`CREATE INDEX ON lines (order_id)`,
					`INSERT INTO orders SELECT n, 'new' FROM generate_series(1, 20) n`,
					`INSERT INTO lines SELECT 10 * o + l, o, 0 FROM generate_series(1, 20) o, generate_series(1, 4) l`,
					`INSERT INTO lines SELECT 1000 + l, 20, 0 FROM generate_series(0, 7) l`)
				x.migrate()
				var shapes []*store.Shape
				if lane != "none" {
					s := x.shape("orders", table("orders"), "id", "state")
					x.many(s, "lines", table("lines"), "order_id", "id", "qty")
					s.Every = lane == "every"
					shapes = append(shapes, s)
				}
				x.install(shapes...)
				var left atomic.Int64
				left.Store(int64(b.N))
				done := make(chan error)
				b.ResetTimer()
				for w := range c.workers {
					go func() {
						conn := x.session()
						sql := fmt.Sprintf(`UPDATE lines SET qty = qty + 1 WHERE id = %d`, c.line(w))
						for left.Add(-1) >= 0 {
							if _, err := conn.Exec(x.ctx, sql); err != nil {
								done <- err
								return
							}
						}
						done <- nil
					}()
				}
				for range c.workers {
					x.ok(<-done)
				}
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
				if n := x.query(`SELECT count(*)::text FROM upkeep.commands WHERE unordered <> ''`)[0]; n != "0" {
					b.Errorf("%s versions of uncertain order", n)
				}
			})
		}
	}
}
