package postgres_test

import (
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// What the triggers cost the application: one statement over 10,000 rows.
func BenchmarkBulkUpdate(b *testing.B) {
	for _, c := range []struct {
		name, set string
		watched   bool
	}{{"no trigger", "v = n::text", false}, {"another column", "other = n", true}, {"a watched column", "v = n::text", true}} {
		b.Run(c.name, func(b *testing.B) {
			bench := newBench(b)
			bench.exec(`CREATE TABLE t (id int PRIMARY KEY, v text, w numeric, o_id int, other int, a text, b text, c timestamptz) WITH (fillfactor = 40)`,
				`INSERT INTO t SELECT n, 'x', n, n, n, 'a', 'b', now() FROM generate_series(1, 10000) n`)
			bench.migrate()
			if c.watched {
				bench.install(bench.shape("s", table("t"), "v", "w", "o_id"))
			}
			n := 0
			for b.Loop() {
				n++
				_, err := bench.app.Exec(bench.ctx, `UPDATE t SET `+c.set+` FROM (SELECT $1::int AS n) x`, n)
				bench.ok(err)
				b.StopTimer()
				bench.exec(`TRUNCATE upkeep.touch`, `VACUUM t`)
				b.StartTimer()
			}
		})
	}
}

// Folding single changes, each of another group.
func BenchmarkFold(b *testing.B) {
	bench := newBench(b)
	bench.exec(`CREATE TABLE t (id int PRIMARY KEY, v int)`, `INSERT INTO t SELECT n, n FROM generate_series(1, 20000) n`)
	bench.migrate()
	s := bench.shape("s", table("t"), "v")
	bench.install(s)
	rows := 0
	for b.Loop() {
		b.StopTimer()
		bench.exec(`UPDATE t SET v = v + 1`)
		b.StartTimer()
		for {
			f, err := bench.db.Fold(bench.ctx, []*store.Shape{s}, plan, 2000)
			bench.ok(err)
			rows += f.Rows
			if !f.More {
				break
			}
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "touches/s")
}
