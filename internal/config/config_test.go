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
)

var update = flag.Bool("update", false, "write the expected errors anew")

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
	Hidden  connector.Secret  `yaml:"hidden"`
	Spare   connector.Secret  `yaml:"spare,optional"`
	Plain   string            `yaml:"plain"`
	Body    any               `yaml:"body,template"`
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
		if c.settings.Body != nil && c.settings.Extra == nil {
			return nil, fmt.Errorf("configuration: %w", errors.Join(
				&connector.OptionError{Path: []string{"body", "list", "1", "name"}, Offset: 4, Err: errors.New("there is no $nonesuch")},
				&connector.OptionError{Path: []string{"auth", "oauth1", "token_id"}, Err: errors.New("is missing")},
				errors.New("another problem")))
		}
		*made = append(*made, c)
		return c, nil
	}}}
}

// problems runs all steps, and returns what they report.
func problems(name string, data []byte) string {
	var out strings.Builder
	f, err := Parse(name, data, env)
	if err != nil {
		fmt.Fprintln(&out, err)
		if f = Sound(name, data, env); f.Source == "" {
			return out.String()
		}
	}
	fit := f.Fitting(context.Background(), shop(), nil)
	for _, err := range fit.Problems {
		fmt.Fprintln(&out, err)
	}
	for _, doubt := range fit.Doubts {
		fmt.Fprintf(&out, "doubt: %v\n", doubt)
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
	wantFields := upkeep.Fields{"entityId": "Ada", "email": nil, "isPerson": true, "isInactive": false, "custentity_segment": nil, "custentity_orders": int64(2),
		"custentity_spent": dec("10.26"), "addressBook": map[string]any{"items": []any{
			map[string]any{"addressBookAddress": map[string]any{"addr1": "Via Po", "country": map[string]any{"id": "IT"}}}}}}
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

// In a template a variable's value is text, and $$ stays what it is.
func TestTemplateOfAConnector(t *testing.T) {
	t.Parallel()
	f, err := Parse("upkeep.yaml", []byte(`
source: sqlite:shop.db
remotes:
  ns:
    connector: netsuite
    extra: {plain: "$${PRICE} $id"}
    body: {a: "$$5 $id ${PRICE}", list: [null, true, 7, 1.50, "${NUMBER}"]}
syncs: {order: {from: orders, to: ns, record: salesOrder, fields: {memo: ref_no}}}
`), func(name string) (string, bool) { return map[string]string{"PRICE": "$id", "NUMBER": "7"}[name], true })
	if err != nil {
		t.Fatal(err)
	}
	var made []*closed
	if _, err := f.Open(connectors(&made)); err != nil {
		t.Fatal(err)
	}
	s := made[0].settings
	if got := s.Extra["plain"]; got != "${PRICE} $id" {
		t.Errorf("plain %q", got)
	}
	want := map[string]any{"a": "$$5 $id $$id", "list": []any{nil, true, int64(7), dec("1.5"), "7"}}
	if !reflect.DeepEqual(fmt.Sprint(s.Body), fmt.Sprint(want)) {
		t.Errorf("template %v, want %v", s.Body, want)
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
