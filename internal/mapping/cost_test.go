package mapping

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// What costs too much ends with an error, and takes no memory to speak of.
func TestCostIsBounded(t *testing.T) {
	row := order()
	var lines []store.Row
	for i := range 10_000 { // what a relation has at most
		lines = append(lines, store.Row{"id": int64(i), "sku": fmt.Sprint("sku ", i), "qty": int64(1), "price": dec("1.5"), "ratio": 0.5, "note": nil})
	}
	row["lines"] = lines
	var doubled strings.Builder
	last := "state"
	for i := range 40 {
		fmt.Fprintf(&doubled, "let t%d = %s + %s; ", i, last, last)
		last = fmt.Sprint("t", i)
	}
	for name, c := range map[string]struct{ source, want string }{
		"closures in closures":              {"count(lines, any(lines, .qty > 1))", "too much for one record"},
		"a text that doubles":               {doubled.String() + last, "more than 8 MB"},
		"a text that doubles in reduce":     {"reduce(lines, #acc + #acc, state)", "more than 8 MB"},
		"a list that doubles":               {"len(reduce(lines, concat(#acc, #acc), [1]))", "too much for one record"},
		"a number that doubles":             {"reduce(lines, #acc * #acc, 3.5)", "too large"},
		"a number of many digits":           {"reduce(lines, #acc * #acc, decimal(3))", "too large"},
		"a text replaced by a long":         {`let l = join(map(lines, .sku), ""); replace(l, "k", l)`, "more than 8 MB"},
		"a long text joined":                {`let l = join(map(lines, .sku), ""); join(map(lines, l), "")`, "more than 8 MB"},
		"many texts":                        {`let l = join(map(lines, .sku), ""); len(map(lines, upper(l)))`, "too much for one record"},
		"unequal elements, again and again": {`len(map(lines, uniq(map(lines, .sku))))`, "too much for one record"},
	} {
		t.Run(name, func(t *testing.T) {
			e, errs := scope().Compile(c.source, Value)
			if len(errs) > 0 {
				t.Fatal(errs[0])
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			v, err := e.Eval(row)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("gives %.40v, %v; want an error with %q", v, err, c.want)
			}
			if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 1<<10 {
				t.Errorf("%d MB were allocated", made)
			}
		})
	}
	for _, source := range []string{
		`join(map(lines, .sku + ": " + string(.price)), ", ")`, "len(uniq(map(lines, .sku)))", "sum(lines, .qty * .price)",
		`reduce(lines, #acc + .sku, "")`, "len(sortBy(lines, .sku))",
	} {
		e, errs := scope().Compile(source, Value)
		if len(errs) > 0 {
			t.Fatal(errs[0])
		}
		if _, err := e.Eval(row); err != nil {
			t.Errorf("%s of 10,000 lines: %v", source, err)
		}
	}
}
