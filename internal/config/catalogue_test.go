package config

import (
	"context"
	"fmt"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

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

func (c catalogue) Examine(context.Context, *store.Shape) ([]store.Finding, error) { return nil, nil }

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
	c.define("docs", "id:json", "title:text")
	c.define("stock", "sku:text", "shop:int", "qty:int")
	c.define("my.table", "id:int", "name:text")
	c["stock"].Key = []string{"sku", "shop"}
	c["products"].Values = map[string][]string{"kind": {"pen", "book", "gift card"}}
	return c
}
