package mapping

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// reads is what the expressions of a tree read, in words.
func reads(t *Table, path string) []string {
	var out []string
	if path != "" && t.Used() {
		s := path + " " + strings.Join(t.Columns(), ",")
		for _, a := range t.Aggregates() {
			s += " +" + a.Name
		}
		out = append(out, strings.TrimSpace(s))
	} else if path == "" {
		out = append(out, strings.Join(t.Columns(), ","))
	}
	for _, n := range []string{"billing", "customer", "lines", "notes", "orders", "product"} {
		if m := t.Members[n]; m != nil {
			out = append(out, reads(m, strings.TrimPrefix(path+"."+n, "."))...)
		}
	}
	return out
}

func TestWhatIsRead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		sources []string
		want    string
	}{
		{[]string{`id`, `"x" + state`}, `id,state`},
		{[]string{`1`}, ``},
		{[]string{`billing.vat`}, `;billing vat`},
		{[]string{`billing != nil`}, `;billing id`},
		{[]string{`map(lines, {{a: .sku, b: .product.name}})`}, `;lines sku;lines.product name`},
		{[]string{`map(lines, #["sku"] + (.note ?? ""))`}, `;lines note,sku`},
		{[]string{`lines | filter(.qty > 1) | map(.sku) | join(",")`}, `;lines qty,sku`},
		{[]string{`let x = filter(lines, .qty > 0); map(x, .sku)`}, `;lines qty,sku`},
		{[]string{`map(lines, let l = #; map(l.notes, .body + l.sku))`}, `;lines sku;lines.notes body`},
		{[]string{`lines`}, `;lines id,note,price,qty,ratio,sku`},
		{[]string{`map(lines, #)`}, `;lines id,note,price,qty,ratio,sku`},
		{[]string{`map(lines, {{l: #}})`}, `;lines id,note,price,qty,ratio,sku`},
		{[]string{`billing`}, `;billing id,street,vat`},
		{[]string{`(billing ?? nil).vat`}, `;billing vat`},
		{[]string{`first(sortBy(lines, .price)).sku`}, `;lines price,sku`},
		// aggregates
		{[]string{`len(lines)`}, `;lines  +count(lines)`},
		{[]string{`count(lines) + sum(lines, .qty)`, `sum(map(lines, .price))`}, `;lines  +count(lines) +sum(lines.price) +sum(lines.qty)`},
		{[]string{`lines | map(.price) | sum()`}, `;lines  +sum(lines.price)`},
		{[]string{`len(lines)`, `map(lines, .sku)`}, `;lines sku`},
		{[]string{`sum(lines, .qty)`, `map(lines, .sku)`}, `;lines qty,sku`},
		{[]string{`sum(lines, .ratio)`}, `;lines ratio`},
		{[]string{`len(filter(lines, .qty > 0))`}, `;lines qty`},
		{[]string{`len(lines) > 0 ? first(lines).sku : nil`}, `;lines sku`},
		{[]string{`let l = lines; len(l)`}, `;lines id`},
		{[]string{`len(customer.orders)`}, `;customer id;customer.orders  +count(orders)`},
		{[]string{`map(lines, len(.notes))`}, `;lines id;lines.notes  +count(notes)`},
		{[]string{`$env`}, `Order No,X-Ray,blob,created_at,id,lang,meta,net,paid,ref_no,sent_on,state,total,user_id,weight`},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.sources, "  "), func(t *testing.T) {
			t.Parallel()
			s := scope()
			for _, source := range tt.sources {
				if _, errs := s.Compile(source, Value); len(errs) > 0 {
					t.Fatal(errs[0])
				}
			}
			if got := strings.Join(reads(s.Root, ""), ";"); got != tt.want {
				t.Fatalf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// What a record says must not depend on whether the database or the
// expression has counted.
func TestAggregateOrRows(t *testing.T) {
	t.Parallel()
	for _, source := range []string{`len(lines)`, `count(lines)`, `sum(lines, .qty)`, `sum(map(lines, .price))`} {
		both := map[bool]any{}
		for _, loaded := range []bool{false, true} {
			s := scope()
			e, errs := s.Compile(source, Value)
			if len(errs) > 0 {
				t.Fatal(errs[0])
			}
			r := order()
			if loaded {
				if _, errs := s.Compile(`map(lines, .sku)`, Value); len(errs) > 0 {
					t.Fatal(errs[0])
				}
				delete(r, "count(lines)")
				delete(r, "sum(lines.qty)")
				delete(r, "sum(lines.price)")
			} else {
				delete(r, "lines")
			}
			v, err := e.Eval(r)
			if err != nil {
				t.Fatal(source, err)
			}
			both[loaded] = fmt.Sprintf("%T %v", v, v)
		}
		if both[true] != both[false] {
			t.Errorf("%s: %v from the rows, %v from the database", source, both[true], both[false])
		}
	}
}

func TestWholeRowsArePlain(t *testing.T) {
	t.Parallel()
	e, errs := scope().Compile(`map(lines, {{l: #}})`, Value)
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	v, err := e.Eval(order())
	if err != nil {
		t.Fatal(err)
	}
	got := v.([]any)[0].(map[string]any)["l"]
	want := map[string]any{"id": int64(1), "sku": "A", "qty": int64(2), "price": dec("0.10"), "ratio": 0.5, "note": nil}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v: nothing but the table's columns", got, want)
	}
}
