package mapping

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func info(name string, columns ...string) *store.TableInfo {
	kinds := map[string]store.Kind{
		"int": store.Int, "decimal": store.Decimal, "float": store.Float, "text": store.Text, "bool": store.Bool,
		"date": store.Date, "time": store.Time, "bytes": store.Bytes, "json": store.JSON,
	}
	t := &store.TableInfo{Table: store.Table{Name: name}, Key: []string{"id"}}
	for _, c := range columns {
		n, kind, _ := strings.Cut(c, ":")
		kind, nullable := strings.CutSuffix(kind, "?")
		t.Columns = append(t.Columns, store.Column{Name: n, Kind: kinds[kind], Nullable: nullable})
	}
	return t
}

// shop is a tree of tables like that of an order.
func shop() *Table {
	product := &Table{Name: "product", Relation: store.BelongsTo, Info: info("products", "id:int", "name:text", "weight:float?")}
	lines := &Table{Name: "lines", Relation: store.HasMany, Info: info("line_items", "id:int", "sku:text", "qty:int?", "price:decimal", "ratio:float", "note:text?"),
		Members: map[string]*Table{
			"product": product,
			"notes":   {Name: "notes", Relation: store.HasMany, Info: info("notes", "id:int", "body:text")},
		}}
	customer := &Table{Name: "customer", Relation: store.BelongsTo, Info: info("customers", "id:int", "name:text", "segment:text?"),
		Members: map[string]*Table{"orders": {Name: "orders", Relation: store.HasMany, Info: info("orders", "id:int", "total:decimal?")}}}
	return &Table{Info: info("orders", "id:int", "state:text", "user_id:int?", "ref_no:text?", "total:decimal?", "net:decimal", "weight:float?",
		"sent_on:date?", "created_at:time", "meta:json?", "paid:bool?", "blob:bytes?", "Order No:text", "X-Ray:text", "lang:text"),
		Members: map[string]*Table{
			"billing":  {Name: "billing", Relation: store.HasOne, Info: info("billing_infos", "id:int", "vat:text?", "street:text")},
			"customer": customer, "lines": lines,
		}}
}

func scope() *Scope {
	return &Scope{
		Root: shop(),
		Sync: func(name string) ([]store.Column, *Error) {
			switch name {
			case "customer":
				return []store.Column{{Name: "id", Kind: store.Int}}, nil
			case "pair":
				return []store.Column{{Name: "a", Kind: store.Text}, {Name: "b", Kind: store.Int}}, nil
			}
			return nil, &Error{Message: fmt.Sprintf("unknown sync %q", name), Help: Suggest(name, []string{"customer", "pair"})}
		},
		Ref: func(sync string, key ...any) any { return fmt.Sprint("->", sync, key) },
	}
}

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func order() store.Row {
	return store.Row{
		"id": int64(42), "state": "sent", "user_id": nil, "ref_no": nil, "total": nil, "net": dec("10.10"), "weight": 1.5,
		"sent_on": store.Civil{Year: 2026, Month: 1, Day: 31}, "created_at": time.Date(2026, 1, 31, 23, 30, 0, 0, time.UTC),
		"meta": map[string]any{"tags": []any{"a", "b"}, "n": json.Number("12345678901234567890.12"), "deep": map[string]any{"x": "y"}},
		"paid": nil, "blob": []byte("x"), "Order No": "N1", "lang": "it",
		"billing": store.Row(nil), "customer": nil,
		"lines": []store.Row{
			{"id": int64(1), "sku": "A", "qty": int64(2), "price": dec("0.10"), "ratio": 0.5, "note": nil, "product": store.Row{"id": int64(7), "name": "Pen"}, "notes": []store.Row{{"id": int64(1), "body": "hi"}}, "count(notes)": int64(1)},
			{"id": int64(2), "sku": "B", "qty": nil, "price": dec("0.20"), "ratio": 0.5, "note": "n", "product": store.Row(nil), "notes": []store.Row(nil), "count(notes)": int64(0)},
		},
		"sum(lines.qty)": dec("2"), "sum(lines.price)": dec("0.30"), "count(lines)": int64(2),
	}
}

func TestEval(t *testing.T) {
	t.Parallel()
	tests := []struct{ source, want string }{
		// literals and exact numbers
		{`1 + 2`, `3`}, {`0.1 + 0.2`, `0.3`}, {`net * 0.21`, `2.121`}, {`net * 3`, `30.3`}, {`3 - net`, `-7.1`}, {`-net`, `-10.1`},
		{`1 / 3`, `0.3333333333333333`}, {`2 / 3`, `0.6666666666666667`}, {`7 % 3`, `1`}, {`net % 3`, `1.1`}, {`10 / 4`, `2.5`},
		{`12345678901234567.123456789012345678901`, `12345678901234567.123456789012345678901`}, {`1_000.5`, `1000.5`},
		{`weight * 2`, `3`}, {`weight + net > 11`, `true`}, {`net == 10.1`, `true`}, {`net < 11 and net >= 10.10`, `true`},
		{`1.0 == 1`, `true`}, {`9007199254740993 + 0.0`, `9007199254740993`}, {`round(net * 0.215, 2)`, `2.17`}, {`round(-2.5)`, `-3`},
		{`abs(-3) + ceil(1.2) + floor(1.8)`, `6`}, {`int("12") + int(3.9)`, `15`}, {`decimal("1.50") * 2`, `3`},
		// null
		{`total + 1`, `<nil>`}, {`"VAT " + billing.vat`, `<nil>`}, {`billing.vat`, `<nil>`}, {`customer?.segment`, `<nil>`}, {`customer.orders`, `<nil>`},
		{`total > 1`, `false`}, {`not (total > 1)`, `true`}, {`total == nil`, `true`}, {`nil != ref_no`, `false`}, {`ref_no ?? string(id)`, `42`},
		{`coalesce(ref_no, nil, "x")`, `x`}, {`paid ? 1 : 2`, `2`}, {`!paid`, `true`}, {`upper(ref_no)`, `<nil>`}, {`billing == nil`, `true`},
		{`ref_no in ["a", "b"]`, `false`}, {`state in ["draft", "sent"]`, `true`}, {`state not in ["draft"]`, `true`}, {`string(total)`, `<nil>`},
		{`ref_no contains "x"`, `false`}, {`(total ?? 0) + 1`, `1`}, {`len(ref_no)`, `<nil>`}, {`len(customer.orders)`, `<nil>`},
		{`true and paid`, `false`}, {`paid or true`, `true`},
		// text
		{`"order-" + string(id)`, `order-42`}, {`upper(state)[1:3]`, `EN`}, {`state[-2:]`, `nt`}, {`trim("  x ") + trim("xax", "x")`, `xa`},
		{`join(split("a,b", ","), "-")`, `a-b`}, {`replace("aXa", "X", "b")`, `aba`}, {`state matches "^s.nt$"`, `true`}, {`len("àé")`, `2`},
		{`state startsWith "s" && state endsWith "t" && hasPrefix(state, "se")`, `true`}, {`indexOf("éa", "a")`, `1`}, {`lower("A") < "b"`, `true`},
		{`$env["Order No"]`, `N1`}, {`string(sent_on) + string(created_at) + string(true) + string(weight)`, `2026-01-312026-01-31T23:30:00Ztrue1.5`},
		// dates
		{`format(sent_on, "02/01/2006")`, `31/01/2026`}, {`format(created_at, "2006-01-02", "Europe/Rome")`, `2026-02-01`}, {`date(created_at)`, `2026-01-31`},
		{`date(created_at, "Europe/Rome") > sent_on`, `true`}, {`sent_on == date("2026-01-31")`, `true`},
		// json
		{`meta.n`, `12345678901234567890.12`}, {`decimal(meta.n) + 1`, `12345678901234567891.12`}, {`meta.tags[1]`, `b`}, {`meta.none.x`, `<nil>`},
		{`map(meta.tags, # + "")`, `error`}, {`map(meta.tags, string(#) + "!")`, `[a! b!]`}, {`meta.deep.x == "y"`, `true`}, {`string(meta.deep)`, `{"x":"y"}`},
		{`len(meta.tags)`, `2`}, {`"a" in meta.tags`, `true`}, {`map(meta.deep, #)`, `error`}, {`decimal(meta.deep)`, `error`},
		// lists
		{`map(lines, {{item: .sku, n: #index}})`, `[map[item:A n:0] map[item:B n:1]]`}, {`lines | filter(.qty > 1) | map(.sku)`, `[A]`},
		{`sum(lines, .qty)`, `2`}, {`sum(map(lines, .price))`, `0.3`}, {`sum(map(lines, .price * (.qty ?? 0)))`, `0.2`}, {`sum(lines, .ratio)`, `1`},
		{`len(lines)`, `2`}, {`count(lines)`, `2`}, {`count(lines, .qty == nil)`, `1`}, {`len(filter(lines, true))`, `2`},
		{`any(lines, .sku == "A") and all(lines, #.price > 0) and none(lines, .sku == "Z") and one(lines, .sku == "B")`, `true`},
		{`map(lines, .product.name)`, `[Pen <nil>]`}, {`map(lines, len(.notes))`, `[1 0]`}, {`lines[1].sku`, `B`}, {`lines[5].sku`, `<nil>`}, {`first(lines).sku + last(lines).sku`, `AB`},
		{`map(sortBy(lines, .sku, "desc"), .sku)`, `[B A]`}, {`reduce(lines, #acc + .price, 0)`, `0.3`}, {`find(lines, .qty == nil).sku`, `B`},
		{`let x = lines; map(x, .sku)`, `[A B]`}, {`map(lines, let q = .qty ?? 1; q * 2)`, `[4 2]`}, {`map(lines, {let s = .sku; map(.notes, .body + s)})`, `[[hiA] []]`},
		{`min(3, 2, net)`, `2`}, {`max(lines | map(.price))`, `0.2`}, {`min([])`, `<nil>`}, {`uniq(["a", "b", "a"])`, `[a b]`}, {`concat([1], [2.5])`, `[1 2.5]`}, {`reverse([1, 2])`, `[2 1]`},
		{`join(map(lines, .note), ",")`, `n`}, {`[1, nil, "x"]`, `[1 <nil> x]`}, {`{a: {b: id}}.a.b`, `42`}, {`lines[0:1] | map(.sku)`, `[A]`},
		{`state == "x" ? 1 : "none"`, `none`}, {`if paid { "p" } else if id > 1 { "q" } else { "r" }`, `q`}, {`state == "a" ? {x: 1} : {y: 2}`, `map[y:2]`},
		{`map(lines, r["x"])`, `compile`},
		// references
		{`ref("customer", id)`, `->customer[42]`}, {`ref("customer", user_id)`, `<nil>`}, {`ref("pair", state, id)`, `->pair[sent 42]`},
		{`map(lines, {{item: ref("customer", .id)}})`, `[map[item:->customer[1]] map[item:->customer[2]]]`},
		// run-time errors
		{`1 / (id - 42)`, `error`}, {`id % 0`, `error`}, {`9223372036854775807 + id`, `error`}, {`int("x")`, `error`}, {`date("x")`, `error`},
		{`decimal("1e999999999")`, `error`}, {`9223372036854775807 * 2`, `error`}, {`-9223372036854775807 - 2`, `error`},
	}
	for _, tt := range tests {
		t.Run(tt.source, func(t *testing.T) {
			t.Parallel()
			e, errs := scope().Compile(tt.source, Value)
			if tt.want == "compile" {
				if len(errs) == 0 {
					t.Fatal("compiled")
				}
				return
			}
			if len(errs) > 0 {
				if tt.want == "error" {
					return
				}
				t.Fatal(errs[0])
			}
			v, err := e.Eval(order())
			got := fmt.Sprint(v)
			if err != nil {
				got = "error"
				if tt.want != got {
					t.Fatal(err)
				}
			}
			if got != tt.want {
				t.Fatalf("got %s, want %s (%s)", got, tt.want, e.Type())
			}
		})
	}
}

func TestCompileErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		source string
		want   Want
		at     int
		part   string
	}{
		{`emial`, Value, 0, `no column or relation "emial"`},
		{`ref_np`, Value, 0, `did you mean "ref_no"?`},
		{`Order_No`, Value, 0, `a column whose name is no identifier is written $env["Order No"]`},
		{`1 + X-Ray`, Value, 4, `a column whose name is no identifier is written $env["X-Ray"]`},
		{`length(lines)`, Value, 0, `unknown function "length"; write len(list) or len(text)`},
		{`IFNULL(ref_no, "")`, Value, 0, `write value ?? fallback`},
		{`1 + stat`, Value, 4, `did you mean "state"?`},
		{`billing.vta`, Value, 8, `did you mean "vat"?`},
		{`map(lines, {{item: .skuu}})`, Value, 20, `did you mean "sku"?`},
		{`map(lines, #.skuu)`, Value, 13, `did you mean "sku"?`},
		{`map(lines, #["skuu"])`, Value, 13, `did you mean "sku"?`},
		{`map(lines, sku)`, Value, 11, `write .sku`},
		{`map(lines, .product.nme)`, Value, 20, `did you mean "name"?`},
		{`let x = lines; map(x, .skuu)`, Value, 23, `did you mean "sku"?`},
		{`lines | filter(.qtty > 1)`, Value, 16, `did you mean "qty"?`},
		{`map(lines, map(.notes, .bdy))`, Value, 24, `did you mean "body"?`},
		{`state + 1`, Value, 6, `can't take text and integer; convert with string`},
		{`meta.n + 1`, Value, 7, `convert a JSON value`},
		{`state == 1`, Value, 6, `can't compare text with integer`},
		{`sent_on == "2026-01-31"`, Value, 8, `write a date as date(`},
		{`billing["vat" + ""]`, Value, 14, `can't be indexed by a value`},
		{`{"open": "A"}[state]`, Value, 14, `choose by conditions: state == "open" ? "A"`},
		{`$env[state]`, Value, 5, `can't be indexed by a value`},
		{`lines.sku`, Value, 6, `use map(list, .sku)`},
		{`now()`, Value, 0, `must give the same`},
		{`uper(state)`, Value, 0, `did you mean "upper"?`},
		{`upper(state, 1)`, Value, 0, `write upper(text)`},
		{`upper(id)`, Value, 6, `needs text here, not integer`},
		{`state`, Condition, 0, `must be a boolean, not text`},
		{`id`, Name, 0, `convert it with string(...)`},
		{`ref_no`, Name, 0, `never null`},
		{`state`, Origin, 0, `must be a reference`},
		{`ref("custmer", id)`, Value, 4, `did you mean "customer"?`},
		{`ref("customer", id, id)`, Value, 0, `has a key of 1 (id), not of 2`},
		{`ref("customer", state)`, Value, 16, `convert with int`},
		{`ref(state, id)`, Value, 4, `must be written out`},
		{`state matches lang`, Value, 14, `must be written out`},
		{`state matches "("`, Value, 14, `regular expression`},
		{`state ? 1 : 2`, Value, 0, `condition must be a boolean`},
		{`filter(lines, .sku)`, Value, 15, `must be a boolean, not text`},
		{`{a: 1, a: 2}`, Value, 7, `stands twice`},
		{`1; 2`, Value, 0, `several expressions`},
		{`let state = 1; state`, Value, 4, `already`},
		{`state.upper()`, Value, 6, `no functions of its own`},
		{`2 ** 3`, Value, 2, `not supported`},
		{`1..3`, Value, 1, `not supported`},
		{`#`, Value, 0, ``},
		{`state == `, Value, 8, `ends too early`},
		{`state = "sent"`, Condition, 6, `to compare, write ==`},
		{`state is not null`, Condition, 6, `!= nil for IS NOT NULL`},
		{`summ(lines, .qty)`, Value, 12, `there is no function summ that takes .column; did you mean "sum"`},
		{`mapp(lines, {{sku: .sku}})`, Value, 13, `there is no function mapp that takes {{...}}; did you mean "map"`},
		{`{{sku: ref_no}}`, Value, 1, `{{...}} is for each row of a list: map(lines, {{sku: .sku}})`},
		{`open`, Value, 0, `'"open"'`},
		{``, Value, 0, `ends too early`},
		{`billing == customer`, Value, 8, `can't compare`},
		{`sum(lines, .sku)`, Value, 0, `sum needs numbers`},
		{`format(sent_on, "x")`, Value, 16, `no part of a date`},
		{`format(created_at, "2006", "Mars/X")`, Value, 27, `unknown time zone`},
		{`paid ? lines : 1`, Value, 15, `don't go together`},
		{`1e9999`, Value, 5, `out of range`},
		{`1e-2000`, Value, 0, `too large or too small`},
		{`"à" + stat`, Value, 6, `did you mean "state"?`},
		{`map(lines, {item: .sku})`, Value, 16, ``},
		{`sortBy(lines, .product)`, Value, 15, `can't sort by`},
		{strings.Repeat("(", 20000), Value, 0, `longer than`},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%.40s", tt.source), func(t *testing.T) {
			t.Parallel()
			_, errs := scope().Compile(tt.source, tt.want)
			if len(errs) == 0 {
				t.Fatal("compiled")
			}
			if got := errs[0].Error(); !strings.Contains(got, tt.part) {
				t.Errorf("got %q, want %q in it", got, tt.part)
			}
			if errs[0].From != tt.at {
				t.Errorf("at %d, want %d: %s", errs[0].From, tt.at, errs[0])
			}
		})
	}
}

func TestAllProblemsOfAnExpression(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]int{
		`{a: stat, b: billing.vta, c: uper(ref_np)}`:                            3,
		`stat == 1 ? upper(stat) + "x" : map(stat, .x)`:                         3, // no error follows from another
		`stat < 1 || -stat in [stat] || stat matches "a" || sum(lines, .x) > 1`: 5,
		`[stat, 1, lines] == nil`:                                               1,
	} {
		if _, errs := scope().Compile(source, Value); len(errs) != want {
			t.Errorf("%s: got %d errors, want %d: %v", source, len(errs), want, errs)
		}
	}
}

func TestNameMustNotBeEmpty(t *testing.T) {
	t.Parallel()
	e, errs := scope().Compile(`trim(state)`, Name)
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	r := order()
	r["state"] = "  "
	if _, err := e.Eval(r); err == nil {
		t.Fatal("an empty external id passed")
	}
}

func TestWrongValueIsAnErrorNotAPanic(t *testing.T) {
	t.Parallel()
	e, errs := scope().Compile(`upper(state)`, Value)
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	r := order()
	r["state"] = int64(1)
	if _, err := e.Eval(r); err == nil {
		t.Fatal("no error")
	}
}

func TestConcurrentEval(t *testing.T) {
	t.Parallel()
	e, errs := scope().Compile(`map(lines, let s = .sku; {a: s + "-" + string(#index), b: map(.notes, .body + s)})`, Value)
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	first, err := e.Eval(order())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if v, err := e.Eval(order()); err != nil || !reflect.DeepEqual(v, first) {
					t.Errorf("got %v, %v", v, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func ExampleScope_Compile() {
	orders := &Table{Info: info("orders", "id:int", "total:decimal?"), Members: map[string]*Table{
		"lines": {Name: "lines", Relation: store.HasMany, Info: info("line_items", "id:int", "sku:text", "price:decimal")},
	}}
	s := &Scope{Root: orders}
	e, _ := s.Compile(`{ total: round((total ?? 0) * 1.22, 2), items: map(lines, .sku), net: sum(lines, .price) }`, Value)
	v, _ := e.Eval(store.Row{"total": dec("0.10"), "lines": []store.Row{{"sku": "A", "price": dec("0.1")}, {"sku": "B", "price": dec("0.2")}}})
	fmt.Println(v)
	fmt.Println("reads", orders.Columns(), "and of the lines", orders.Members["lines"].Columns())

	_, errs := s.Compile(`map(lines, .skuu)`, Value)
	fmt.Println(errs[0])
	// Output:
	// map[items:[A B] net:0.3 total:0.12]
	// reads [total] and of the lines [price sku]
	// table line_items has no column or relation "skuu"; did you mean "sku"?
}

func BenchmarkTwelveFields(b *testing.B) {
	s := scope()
	var all []*Expression
	for _, source := range []string{`id`, `state`, `"order-" + string(id)`, `net * 1.22`, `billing.vat`, `customer.name`, `format(sent_on, "02/01/2006")`,
		`map(lines, {{item: .sku, quantity: .qty, rate: .price}})`, `sum(lines, .price)`, `len(lines)`, `ref_no ?? "none"`, `state in ["a", "sent"] ? 1 : 2`} {
		e, errs := s.Compile(source, Value)
		if len(errs) > 0 {
			b.Fatal(errs[0])
		}
		all = append(all, e)
	}
	r := order()
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range all {
			if _, err := e.Eval(r); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{`map(lines, {{a: .sku, b: .product.name}})`, `reduce(lines, #acc + .price, 0)`, `let x = lines; sum(x, .qty) / 3`, `state matches "^a" ? ref("customer", id) : nil`, `lines[0:1] | sortBy(.sku, "desc") | first()`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		e, errs := scope().Compile(source, Value)
		if (e == nil) == (len(errs) == 0) {
			t.Fatal("neither compiled nor refused")
		}
		if e != nil {
			_, _ = e.Eval(order())
		}
		for _, err := range errs {
			if err.From < 0 || err.From > len([]rune(source)) {
				t.Fatalf("%q: error at %d", source, err.From)
			}
		}
	})
}
