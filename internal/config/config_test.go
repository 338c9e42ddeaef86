package config

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

var update = flag.Bool("update", false, "write the expected errors anew")

// catalogue is a store.Catalog of tables that are written out.
type catalogue map[string]*store.TableInfo

func (c catalogue) Table(_ context.Context, t store.Table) (*store.TableInfo, error) {
	if info := c[t.Name]; info != nil && (t.Schema == "" || t.Schema == "public") {
		return info, nil
	}
	return nil, fmt.Errorf("%w: %s", store.ErrNoTable, t)
}

func (c catalogue) Tables(context.Context) ([]store.Table, error) {
	var out []store.Table
	for _, info := range c {
		out = append(out, info.Table)
	}
	return out, nil
}

// Fragment knows SQL of the form "column", "column, column" and "column > 0".
func (c catalogue) Fragment(_ context.Context, t store.Table, where, order string) ([]string, error) {
	var out []string
	for _, part := range strings.Split(where+order, ",") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		if _, ok := c[t.Name].Column(words[0]); !ok {
			return nil, fmt.Errorf("no such column: %s", words[0])
		}
		out = append(out, words[0])
	}
	return out, nil
}

func (c catalogue) Rights(context.Context, []*store.Shape) ([]store.Finding, error) { return nil, nil }

var kinds = map[string]store.Kind{"int": store.Int, "decimal": store.Decimal, "text": store.Text, "bool": store.Bool, "date": store.Date, "time": store.Time, "json": store.JSON}

// define adds a table: "name:kind", with ? when it may be null, and with
// ->table for a foreign key.
func (c catalogue) define(name string, columns ...string) {
	info := &store.TableInfo{Table: store.Table{Schema: "public", Name: name}}
	for _, col := range columns {
		col, target, isKey := strings.Cut(col, "->")
		n, kind, _ := strings.Cut(col, ":")
		kind, nullable := strings.CutSuffix(kind, "?")
		info.Columns = append(info.Columns, store.Column{Name: n, Kind: kinds[kind], Nullable: nullable})
		if isKey {
			info.ForeignKeys = append(info.ForeignKeys, store.ForeignKey{Columns: []string{n}, Table: store.Table{Schema: "public", Name: target}, To: []string{"id"}})
		}
		if n == "id" {
			info.Key = []string{"id"}
		}
	}
	c[name] = info
}

func shop() catalogue {
	c := catalogue{}
	c.define("users", "id:int", "name:text", "email:text?", "customer_id:int?->customers", "street:text?", "country:text?", "manager_id:int?->users")
	c.define("customers", "id:int", "segment:text?")
	c.define("orders", "id:int", "state:text", "user_id:int?->users", "ref_no:text?", "total:decimal", "accountable:bool", "placed_at:time", "sent_on:date?", "meta:json?")
	c.define("billing_infos", "id:int", "order_id:int->orders", "vat:text?", "code:text?")
	c.define("line_items", "id:int", "order_id:int->orders", "product_id:int->products", "position:int", "qty:int", "price:decimal")
	c.define("products", "id:int", "code:text", "kind:text", "weight:int?")
	c.define("transfers", "id:int", "from_user:int->users", "to_user:int->users")
	c.define("logs", "line:text", "order_id:int->orders")
	c.define("stock", "sku:text", "shop:int", "qty:int")
	c["stock"].Key = []string{"sku", "shop"}
	return c
}

var variables = map[string]string{
	"NETSUITE_CONSUMER_KEY": "key-0123456789", "NETSUITE_CONSUMER_SECRET": "hunter2-consumer", "NETSUITE_TOKEN_ID": "tid",
	"NETSUITE_TOKEN_SECRET": "hunter2-token", "SECRET": "hunter2-secret", "EMPTY": "", "NUMBER": "7",
}

func env(name string) (string, bool) { v, ok := variables[name]; return v, ok }

// settings are those of a connector in tests.
type settings struct {
	Account string `yaml:"account"`
	BaseURL string `yaml:"base_url"`
	Port    int    `yaml:"port"`
	Wait    time.Duration
	Strict  *bool             `yaml:"strict"`
	Extra   map[string]string `yaml:"extra"`
	Paths   []string          `yaml:"paths"`
	Auth    struct {
		OAuth1 struct {
			ConsumerKey    string           `yaml:"consumer_key"`
			ConsumerSecret connector.Secret `yaml:"consumer_secret"`
			TokenID        string           `yaml:"token_id"`
			TokenSecret    connector.Secret `yaml:"token_secret"`
		} `yaml:"oauth1"`
	} `yaml:"auth"`
}

// closed is a connection that only counts how often it was closed.
type closed struct {
	connector.Connection
	settings settings
	times    int
}

func (c *closed) Close() error { c.times++; return nil }

func connectors(made *[]*closed) Connectors {
	return Connectors{"netsuite": {New: func(decode func(any) error) (connector.Connection, error) {
		c := &closed{}
		if err := decode(&c.settings); err != nil {
			return nil, err
		}
		if c.settings.Account == "bad" {
			return nil, errors.New("account \"bad\" with secret hunter2-secret")
		}
		*made = append(*made, c)
		return c, nil
	}}}
}

// problems runs all steps, and returns what they report.
func problems(name string, data []byte) string {
	f, err := Parse(name, data, env)
	if err != nil {
		return err.Error() + "\n"
	}
	var out strings.Builder
	_, errs := f.Mappings(context.Background(), shop(), nil)
	for _, err := range errs {
		fmt.Fprintln(&out, err)
	}
	var made []*closed
	if _, err := f.Open(connectors(&made)); err != nil {
		fmt.Fprintln(&out, err)
	}
	return out.String()
}

func TestErrors(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/errors/*.txtar")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := problems("upkeep.yaml", a.Files[0].Data)
			if strings.Contains(got, "hunter2") {
				t.Errorf("a secret is shown:\n%s", got)
			}
			if *update {
				a.Files = append(a.Files[:1], txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := string(a.Files[1].Data); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func full(t *testing.T) *File {
	t.Helper()
	data, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse("testdata/full.yaml", data, env)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mappings(t *testing.T, f *File, remotes map[string]*upkeep.Remote) map[string]upkeep.Mapping {
	t.Helper()
	all, errs := f.Mappings(t.Context(), shop(), remotes)
	if len(errs) > 0 {
		t.Fatal(errors.Join(errs...))
	}
	out := map[string]upkeep.Mapping{}
	for _, m := range all {
		out[m.Name] = m
	}
	return out
}

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func TestFull(t *testing.T) {
	t.Parallel()
	f := full(t)
	if f.Source != "sqlite:shop.db" {
		t.Errorf("source %q", f.Source)
	}
	var made []*closed
	remotes, err := f.Open(connectors(&made))
	if err != nil {
		t.Fatal(err)
	}
	ns := remotes["netsuite"]
	want := upkeep.Remote{Name: "netsuite", Connection: ns.Connection, Concurrency: 5, Rate: 10, Burst: 20, Timeout: 30 * time.Second, Quiet: 15 * time.Minute}
	if *ns != want {
		t.Errorf("remote %+v, want %+v", *ns, want)
	}
	if got := made[0].settings.Auth.OAuth1.TokenSecret.Reveal(); got != "hunter2-token" {
		t.Errorf("token secret %q", got)
	}
	all := mappings(t, f, remotes)

	customer := all["customer"]
	wantFrom := &upkeep.Relation{
		Table: "public.users", Columns: []string{"country", "email", "id", "name", "street"},
		BelongsTo: map[string]*upkeep.Relation{"customer": {Table: "public.customers", Via: []string{"customer_id"}, To: []string{"id"}, Columns: []string{"segment"}}},
		HasMany: map[string]*upkeep.Relation{"orders": {Table: "public.orders", Via: []string{"user_id"}, To: []string{"id"}, Where: "accountable", OnlyAggregates: true,
			Aggregates: []upkeep.Aggregate{{Name: "count(orders)", Func: "count"}, {Name: "sum(orders.total)", Func: "sum", Column: "total"}}}},
	}
	if !reflect.DeepEqual(customer.From, wantFrom) {
		t.Errorf("customer from\n%+v, want\n%+v", customer.From, wantFrom)
	}
	if customer.To != ns || customer.Record != "customer" || !strings.HasPrefix(customer.Version, "2+") {
		t.Errorf("customer %+v", customer)
	}
	if want := (upkeep.Ending{Action: upkeep.Set, Fields: upkeep.Fields{"isInactive": true}}); !reflect.DeepEqual(customer.OnDelete, want) {
		t.Errorf("on_delete %+v", customer.OnDelete)
	}
	row := upkeep.Row{"id": int64(7), "name": "Ada", "email": nil, "street": "Via Po", "country": nil, "customer": nil,
		"count(orders)": int64(2), "sum(orders.total)": dec("10.255")}
	got, err := customer.Translate(row)
	if err != nil {
		t.Fatal(err)
	}
	wantFields := upkeep.Fields{"entityId": "Ada", "email": nil, "isPerson": true, "custentity_segment": nil, "custentity_orders": int64(2),
		"custentity_spent": dec("10.26"), "billingAddress": map[string]any{"addr1": "Via Po", "country": "IT"}}
	if fmt.Sprint(got) != fmt.Sprint(wantFields) {
		t.Errorf("got\n%v, want\n%v", got, wantFields)
	}
	if created, err := customer.CreateFields(row); err != nil || created["subsidiary"] != "1" {
		t.Errorf("create fields %v %v", created, err)
	}
	if id, err := customer.ExternalID(row); err != nil || id != "user-7" {
		t.Errorf("external id %q %v", id, err)
	}

	order := all["sales_order"]
	if !reflect.DeepEqual(order.RefersTo, []string{"customer"}) || order.MemberLimit != 500 {
		t.Errorf("sales order %+v", order)
	}
	if want := []string{"custbody_note", "entity", "item", "memo", "otherRefNum", "tranDate"}; !reflect.DeepEqual(order.Sends, want) {
		t.Errorf("sends %v", order.Sends)
	}
	lines := order.From.HasMany["lines"]
	if lines.Order != "position, id" || !reflect.DeepEqual(lines.Columns, []string{"price", "qty"}) || !reflect.DeepEqual(lines.BelongsTo["product"].Columns, []string{"code", "kind"}) {
		t.Errorf("lines %+v", lines)
	}
	row = upkeep.Row{"id": int64(42), "state": "sent", "user_id": int64(7), "ref_no": "R1", "placed_at": time.Date(2026, 1, 31, 23, 30, 0, 0, time.UTC),
		"billing": upkeep.Row{"vat": "IT1"}, "lines": []upkeep.Row{{"qty": int64(2), "price": dec("1.50"), "product": upkeep.Row{"code": "P", "kind": "pen"}}}}
	got, err = order.Translate(row)
	if err != nil {
		t.Fatal(err)
	}
	wantFields = upkeep.Fields{"entity": upkeep.Ref("customer", int64(7)), "otherRefNum": "R1", "tranDate": "2026-02-01", "memo": "VAT IT1", "custbody_note": "pen",
		"item": map[string]any{"items": []any{map[string]any{"item": "P", "quantity": int64(2), "rate": dec("1.50")}}}}
	if !reflect.DeepEqual(got, wantFields) {
		t.Errorf("got\n%v, want\n%v", got, wantFields)
	}
	if in, err := order.When(row); err != nil || !in {
		t.Errorf("when %v %v", in, err)
	}
	fulfillment := all["fulfillment"]
	if ref, err := fulfillment.Initialize(row); err != nil || ref != upkeep.Ref("sales_order", int64(42)) {
		t.Errorf("initialize %v %v", ref, err)
	}
	if fields, err := fulfillment.Translate(row); err != nil || fields == nil || len(fields) != 0 || !fulfillment.ByHand {
		t.Errorf("fulfillment %v %v %+v", fields, err, fulfillment)
	}
}

// one is a configuration of one sync over orders.
func one(keys string) string {
	return "source: sqlite:x.db\nremotes: {ns: {connector: netsuite}}\nsyncs:\n  order:\n    from: {table: orders, has_many: {lines: {table: line_items}}}\n    to: ns\n    record: salesOrder\n" + keys
}

func parse(t *testing.T, source string) *File {
	t.Helper()
	f, err := Parse("upkeep.yaml", []byte(source), env)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestVariablesInExpressions(t *testing.T) {
	t.Parallel()
	f := parse(t, one(`    fields:
      a: ${SECRET}
      b: '"x-${SECRET}-$$5-${NONE:-d}"'
      c: int(${NUMBER}) + 1
      d: '${EMPTY:-it} + state'
      e: "\"q\" + ${NUMBER}"
`))
	m := mappings(t, f, nil)["order"]
	got, err := m.Translate(upkeep.Row{"state": "sent"})
	if err != nil {
		t.Fatal(err)
	}
	want := upkeep.Fields{"a": "hunter2-secret", "b": "x-hunter2-secret-$5-d", "c": int64(8), "d": "itsent", "e": "q7"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The environment is never read as code: a quote in it stays a quote.
func TestVariablesAreNotCode(t *testing.T) {
	t.Parallel()
	hostile := func(string) (string, bool) { return `" + state + "`, true }
	f, err := Parse("upkeep.yaml", []byte(one("    fields: {a: '\"${X}\"', b: '${X}'}\n")), hostile)
	if err != nil {
		t.Fatal(err)
	}
	m := mappings(t, f, nil)["order"]
	got, err := m.Translate(upkeep.Row{"state": "sent"})
	if want := (upkeep.Fields{"a": `" + state + "`, "b": `" + state + "`}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v %v", got, err)
	}
	if len(m.From.Columns) != 0 {
		t.Errorf("reads %v", m.From.Columns)
	}
}

func TestLiterals(t *testing.T) {
	t.Parallel()
	f := parse(t, one("    fields: {a: 1, b: 0.10000000000000000000001, c: true, d: null, e: [1, state, {x: id}], f: 123456789012345678901234567890, g: 0x1F, h: {}, i: [], j: -2}\n"))
	got, err := mappings(t, f, nil)["order"].Translate(upkeep.Row{"state": "s", "id": int64(3)})
	want := upkeep.Fields{"a": int64(1), "b": dec("0.10000000000000000000001"), "c": true, "d": nil, "e": []any{int64(1), "s", map[string]any{"x": int64(3)}},
		"f": dec("123456789012345678901234567890"), "g": int64(31), "h": map[string]any{}, "i": []any{}, "j": int64(-2)}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%v %v, want\n%v", got, err, want)
	}
}

func TestFileVariable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "account"), []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Parse(filepath.Join(dir, "upkeep.yaml"), []byte(strings.Replace(one("    fields: {a: 1}\n"), "connector: netsuite", "connector: netsuite, account: '${file:account}'", 1)), env)
	if err != nil {
		t.Fatal(err)
	}
	var made []*closed
	if _, err := f.Open(connectors(&made)); err != nil || made[0].settings.Account != "from-a-file" {
		t.Errorf("%v %+v", err, made)
	}
}

func TestOpenClosesOnFailure(t *testing.T) {
	t.Parallel()
	f := parse(t, strings.Replace(one("    fields: {a: 1}\n"), "{ns: {connector: netsuite}}", "{ns: {connector: netsuite}, other: {connector: netsuite, port: x}}", 1))
	var made []*closed
	if _, err := f.Open(connectors(&made)); err == nil || len(made) != 1 || made[0].times != 1 {
		t.Errorf("error %v, made %v", err, made)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	version := func(keys string) string { return mappings(t, parse(t, one(keys)), nil)["order"].Version }
	first := version("    fields: {a: id, b: state}\n")
	if got := version("    # a comment\n    fields:\n      b:   state\n      a: 'id'\n"); got != first {
		t.Errorf("layout changes the version: %s, %s", first, got)
	}
	for _, keys := range []string{"    fields: {a: id, b: ref_no}\n", "    fields: {a: id}\n", "    fields: {a: id, b: state}\n    version: 2\n",
		"    fields: {a: id, b: state}\n    when: id > 1\n", "    fields: {a: id, b: 'state '}\n    create_fields: {c: 1}\n"} {
		if version(keys) == first {
			t.Errorf("the version does not change with %q", keys)
		}
	}
}

func TestWhenWrittenOut(t *testing.T) {
	t.Parallel()
	if m := mappings(t, parse(t, one("    when: true\n    fields: {a: 1}\n")), nil)["order"]; m.When != nil {
		t.Error("when: true is not always")
	}
	m := mappings(t, parse(t, one("    when: false\n    fields: {a: 1}\n")), nil)["order"]
	if in, err := m.When(nil); in || err != nil {
		t.Error("when: false is not never")
	}
}

func TestErrorOfAFieldNamesIt(t *testing.T) {
	t.Parallel()
	m := mappings(t, parse(t, one("    fields: {a: {b: 1 / id}}\n")), nil)["order"]
	if _, err := m.Translate(upkeep.Row{"id": int64(0)}); err == nil || err.Error() != "field a: b: division by zero" {
		t.Errorf("got %v", err)
	}
}

func TestUnusedRelationIsNotLoaded(t *testing.T) {
	t.Parallel()
	if m := mappings(t, parse(t, one("    fields: {a: id}\n")), nil)["order"]; m.From.HasMany != nil {
		t.Errorf("loads %+v", m.From.HasMany)
	}
}

// One File serves several catalogues: what was compiled for one stays.
func TestMappingsTwice(t *testing.T) {
	t.Parallel()
	f := parse(t, one("    fields: {a: len(lines)}\n"))
	first := mappings(t, f, nil)["order"]
	_ = mappings(t, f, nil)
	if got, err := first.Translate(upkeep.Row{"count(lines)": int64(3)}); err != nil || got["a"] != int64(3) {
		t.Errorf("got %v %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/errors/*.txtar")
	for _, name := range files {
		if a, err := txtar.ParseFile(name); err == nil {
			f.Add(string(a.Files[0].Data))
		}
	}
	if b, err := os.ReadFile("testdata/full.yaml"); err == nil {
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, source string) {
		if strings.Contains(source, "${file:") {
			return // reads the machine's files
		}
		c, err := Parse("upkeep.yaml", []byte(source), env)
		if (c == nil) == (err == nil) {
			t.Fatal("neither read nor refused")
		}
		if err != nil {
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("not Errors but %v", err)
			}
			if strings.Contains(err.Error(), "hunter2") && !strings.Contains(source, "hunter2") {
				t.Fatalf("shows a secret: %v", err)
			}
			return
		}
		_, _ = c.Mappings(context.Background(), shop(), nil)
	})
}

func ExampleParse() {
	f, err := Parse("upkeep.yaml", []byte(`
source: sqlite:shop.db
remotes: {ns: {connector: netsuite}}
syncs:
  order:
    from: {table: orders, has_many: {lines: {table: line_items}}}
    to: ns
    record: salesOrder
    fields:
      total: sum(lines, .prize)
`), os.LookupEnv)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, errs := f.Mappings(context.Background(), shop(), nil)
	fmt.Println(errs[0])
	// Output:
	// upkeep.yaml:10:26: table line_items has no column or relation "prize"
	//   did you mean "price"?
	//      9 |     fields:
	// >   10 |       total: sum(lines, .prize)
	//        |                          ^
}
