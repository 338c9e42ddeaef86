package ordered

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// shop is the schema of the ordered lane's property: orders with lines, and a
// customer that several share, of a region that several share.
type shop struct {
	declared bool // foreign keys
	filtered bool // lines count only with a text
	total    bool // the application's own trigger writes to an order at the commit
}

func (s shop) create(schema string) []string {
	references := func(table string) string {
		if !s.declared {
			return ""
		}
		return " references " + table + " on update cascade on delete cascade"
	}
	sql := []string{
		`create schema ` + schema,
		`set search_path = ` + schema,
		`create table regions (id integer primary key, name text, remark text)`,
		`create table customers (id integer primary key, region integer` + references("regions") + `, name text, remark text)`,
		`create table orders (id integer primary key, customer integer` + references("customers") + `, state text, total integer default 0, remark text)`,
		`create table lines (id integer primary key, "order" integer` + references("orders") + `, sku text, remark text)`,
		`create index on customers (region)`, `create index on orders (customer)`, `create index on lines ("order")`,
	}
	if s.total {
		sql = append(sql, `create function added() returns trigger language plpgsql as $$ begin
				update orders set total = total + 1 where id = new."order"; return null; end $$`,
			`create constraint trigger added after insert on lines deferrable initially deferred for each row execute function added()`)
	}
	return sql
}

// ids of each table's rows, its link, and the column that is mapped.
var shopTables = []struct {
	name, link, data string
	ids, parents     int
}{
	{"orders", "customer", "state", 7, 2},
	{"customers", "region", "name", 2, 2},
	{"lines", `"order"`, "sku", 6, 4},
	{"orders", "customer", "state", 7, 2},
	{"regions", "", "name", 2, 0},
	{"lines", `"order"`, "sku", 6, 4},
}

// many is the beginning of the ids of so many rows that a transaction over all
// of them takes one lock.
const many = 100

// crowd is how many groups one row may lead to, for versions of it to be captured,
// and the beginning of the ids of as many orders of one customer and one more.
const crowd = 1000

// draw is a change: one statement or, where a row goes and comes again, two.
func (s shop) draw(t *rapid.T) []string {
	tb := rapid.SampledFrom(shopTables).Draw(t, "table")
	data := func() string {
		values := []string{"null", "'a'", "'b'", "'c'"}
		if tb.name == "orders" {
			values = append(values, "'off'", "'off'", "'bad'")
		}
		return rapid.SampledFrom(values).Draw(t, tb.data)
	}
	id := func() int { return rapid.IntRange(1, tb.ids).Draw(t, "id") }
	parent := func() string { return fmt.Sprint(rapid.IntRange(1, max(1, tb.parents)).Draw(t, "parent")) }
	columns, row := "id, "+tb.data, func(id int) string { return fmt.Sprintf("%d, %s", id, data()) }
	if tb.link != "" {
		columns, row = "id, "+tb.link+", "+tb.data, func(id int) string { return fmt.Sprintf("%d, %s, %s", id, parent(), data()) }
	}
	insert := func(id int) string {
		return "insert into " + tb.name + " (" + columns + ") values (" + row(id) + ")"
	}
	which := func() string {
		if rapid.IntRange(0, 7).Draw(t, "all") == 7 {
			return ""
		}
		return fmt.Sprint(" where id = ", id())
	}
	kinds := []string{"update", "update", "update", "insert", "insert", "insert", "parent", "delete", "again", "upsert", "rekey", "parent", "copy", "unmapped", "same", "truncate", "many"}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case "update":
		return []string{"update " + tb.name + " set " + tb.data + " = " + data() + which()}
	case "unmapped":
		return []string{"update " + tb.name + " set remark = " + data() + which()}
	case "same":
		return []string{"update " + tb.name + " set id = id, " + tb.data + " = " + tb.data}
	case "delete":
		return []string{"delete from " + tb.name + which()}
	case "again":
		one := id()
		return []string{fmt.Sprint("delete from ", tb.name, " where id = ", one), insert(one)}
	case "rekey":
		return []string{fmt.Sprint("update ", tb.name, " set id = ", id(), " where id = ", id())}
	case "parent":
		if tb.link != "" {
			return []string{"update " + tb.name + " set " + tb.link + " = " + parent() + which()}
		}
	case "upsert":
		return []string{insert(id()) + " on conflict (id) do update set " + tb.data + " = excluded." + tb.data}
	case "copy":
		var lines strings.Builder
		for range rapid.IntRange(1, 2).Draw(t, "lines") {
			line := strings.NewReplacer(", ", "\t", "'", "", "null", `\N`).Replace(row(id()))
			lines.WriteString(line + "\n")
		}
		return []string{"copy " + tb.name + " (" + columns + ") from stdin\n" + lines.String()}
	case "truncate":
		return []string{"truncate " + tb.name + rapid.SampledFrom([]string{"", " cascade"}).Draw(t, "cascade")}
	case "many":
		if rapid.IntRange(0, 7).Draw(t, "really") == 7 {
			return []string{fmt.Sprintf("insert into orders (id, customer, state) select n, 1, %s from generate_series(%d, %d) n on conflict (id) do update set state = excluded.state",
				data(), many, many+34)}
		}
	}
	return []string{insert(id())}
}
