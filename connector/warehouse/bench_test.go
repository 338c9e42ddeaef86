package warehouse_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/warehouse"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

// BenchmarkApply writes orders of eight fields in batches: new rows, then
// changes of two fields in rows that are there. With lines there are three to
// each order.
func BenchmarkApply(b *testing.B) {
	for _, lists := range []warehouse.Lists{"", warehouse.AsJSON, warehouse.AsTables} {
		name := map[warehouse.Lists]string{"": "no lists", warehouse.AsJSON: "3 lines as jsonb", warehouse.AsTables: "3 lines as rows"}[lists]
		for _, action := range []connector.Action{connector.Create, connector.Update} {
			b.Run(name+", "+action.String(), func(b *testing.B) { benchmark(b, lists, action) })
		}
	}
}

func benchmark(b *testing.B, lists warehouse.Lists, action connector.Action) {
	const size = 5_000
	w, err := warehouse.Open(warehouse.Config{URL: connector.Secret(pgtest.New(b)), Lists: lists, Batch: size})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	columns := []connector.Column{col("number", connector.Text), col("customer", connector.Reference), col("state", connector.Text),
		col("total", connector.Decimal), col("placed_at", connector.Time), col("ship_on", connector.Date), col("paid", connector.Boolean), col("items", connector.Integer)}
	if lists != "" {
		columns = append(columns, col("lines", connector.List, col("sku", connector.Text), col("qty", connector.Integer), col("price", connector.Decimal)))
	}
	if err := w.Prepare(b.Context(), []connector.Use{orders(columns...)}); err != nil {
		b.Fatal(err)
	}
	version := int64(0)
	batch := func(n int, action connector.Action) []connector.Change {
		version++
		changes := make([]connector.Change, size)
		for i := range changes {
			id := fmt.Sprintf("sales_order-%d", n*size+i)
			pairs := []string{"state", `"paid"`, "total", fmt.Sprintf("%d.%02d", i, version%100)}
			if action == connector.Create {
				pairs = append(pairs, "number", fmt.Sprintf(`"SO-%d"`, i), "customer", fmt.Sprintf(`"customer-%d"`, i%1000),
					"placed_at", `"2026-03-01T12:30:45.123456Z"`, "ship_on", `"2026-03-04"`, "paid", "true", "items", fmt.Sprint(i%9))
			}
			if lists != "" {
				pairs = append(pairs, "lines", fmt.Sprintf(`[{"sku":"a%d","qty":1,"price":9.99},{"sku":"b","qty":2,"price":19.50},{"sku":"c","qty":3,"price":%d}]`, i, version))
			}
			changes[i] = change(action, id, version, pairs...)
		}
		return changes
	}
	apply := func(changes []connector.Change) {
		results, err := w.Apply(b.Context(), "orders", changes)
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	}
	if action == connector.Update {
		for n := range 10 {
			apply(batch(n, connector.Create))
		}
	}
	var took time.Duration
	b.ResetTimer()
	for n := range b.N {
		b.StopTimer()
		if action == connector.Update {
			n %= 10
		}
		changes := batch(n, action)
		b.StartTimer()
		start := time.Now()
		apply(changes)
		took += time.Since(start)
	}
	b.ReportMetric(float64(b.N*size)/took.Seconds(), "rows/s")
}
