package mapping

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones must mean the same on every machine

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

var (
	numbers = []kind{integer, decimals, float}
	scalars = []kind{text, integer, decimals, float, boolean, date, instant, open}
)

// valueFunctions convert and compute single values.
var valueFunctions = map[string]function{
	"string":  simple("string(value)", 1, 1, text, toText, scalars),
	"int":     simple("int(value)", 1, 1, integer, toInteger, []kind{text, integer, decimals, float, open}),
	"decimal": simple("decimal(value)", 1, 1, decimals, func(a []any) (any, error) { return toDecimal(a[0]) }, []kind{text, integer, decimals, float, open}),
	"abs": simple("abs(number)", 1, 1, decimals, func(a []any) (any, error) {
		d, err := toDecimal(a[0])
		return d.Abs(), err
	}, numbers),
	"round": simple("round(number, places)", 1, 2, decimals, round, numbers, []kind{integer}),
	"ceil":  simple("ceil(number)", 1, 1, decimals, onDecimal(decimal.Decimal.Ceil), numbers),
	"floor": simple("floor(number)", 1, 1, decimals, onDecimal(decimal.Decimal.Floor), numbers),

	"coalesce": {"coalesce(value, fallback, ...)", 1, -1, func(c *compiler, n call) code { return c.coalesce(n.node, n.args) }},
	"date":     {`date("2026-01-31") or date(time, "Europe/Rome")`, 1, 2, dateOf},
	"format":   {`format(date, "2006-01-02") or format(time, layout, "Europe/Rome")`, 2, 3, format},
	"ref":      {`ref("sync", key)`, 2, -1, ref},
}

func onDecimal(f func(decimal.Decimal) decimal.Decimal) func([]any) (any, error) {
	return func(a []any) (any, error) {
		d, err := toDecimal(a[0])
		return f(d), err
	}
}

func round(a []any) (any, error) {
	d, err := toDecimal(a[0])
	if err != nil {
		return nil, err
	}
	places := int64(0)
	if len(a) == 2 {
		places = a[1].(int64)
	}
	if places > maxExponent || places < -maxExponent {
		return nil, errTooLarge
	}
	return d.Round(int32(places)), nil
}

// toText is the text of a value: dates as 2006-01-02, times as RFC 3339 in
// UTC, JSON objects and lists as JSON.
func toText(a []any) (any, error) {
	switch v := a[0].(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case bool:
		return strconv.FormatBool(v), nil
	case decimal.Decimal:
		return v.String(), nil
	case store.Civil:
		return v.String(), nil
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), nil
	case json.Number:
		return v.String(), nil
	}
	b, err := json.Marshal(a[0])
	return string(b), err
}

// toInteger drops what is behind the decimal point.
func toInteger(a []any) (any, error) {
	if i, ok := a[0].(int64); ok {
		return i, nil
	}
	d, err := toDecimal(a[0])
	if err != nil {
		return nil, err
	}
	whole := d.Truncate(0)
	if !whole.BigInt().IsInt64() {
		return nil, errOverflow
	}
	return whole.IntPart(), nil
}

func dateOf(c *compiler, n call) code {
	a := c.compile(n.args[0])
	if !a.typ.is(text, date, instant, null) {
		return c.fail(n.args[0], "date needs text, a date or a time, not "+a.typ.String(), `write date("2026-01-31")`)
	}
	zone, ok := c.zone(n, 1, a.typ)
	if !ok {
		return code{run: nothing}
	}
	return a.then(Type{kind: date, null: a.typ.null}, func(v any) (any, error) {
		switch v := v.(type) {
		case time.Time:
			return store.CivilOf(v.In(zone)), nil
		case string:
			return store.ParseCivil(v)
		}
		return v, nil
	})
}

// zone is the time zone of an argument that may be left out: UTC.
func (c *compiler) zone(n call, i int, t Type) (*time.Location, bool) {
	if len(n.args) <= i {
		return time.UTC, true
	}
	if !t.is(instant) {
		c.fail(n.args[i], fmt.Sprintf("a %s has no time zone", t), "leave the zone out")
		return nil, false
	}
	name, ok := c.written(n.args[i], "a time zone", `"Europe/Rome"`)
	if !ok {
		return nil, false
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || strings.EqualFold(name, "local") {
		c.fail(n.args[i], fmt.Sprintf("unknown time zone %q", name), `use a name like "Europe/Rome" or "UTC"`)
		return nil, false
	}
	return zone, true
}

func format(c *compiler, n call) code {
	a := c.compile(n.args[0])
	if !a.typ.is(date, instant, null) {
		return c.fail(n.args[0], "format needs a date or a time, not "+a.typ.String(), `write format(date(text), "2006-01-02")`)
	}
	layout, ok := c.written(n.args[1], "a layout", `the date 2006-01-02 15:04:05 in the wanted form: format(day, "02/01/2006")`)
	if !ok {
		return code{run: nothing}
	}
	if !strings.ContainsAny(layout, "0123456789JM") {
		return c.fail(n.args[1], "the layout has no part of a date", `write the date 2006-01-02 15:04:05 in the wanted form: "02/01/2006"`)
	}
	zone, ok := c.zone(n, 2, a.typ)
	if !ok {
		return code{run: nothing}
	}
	return a.then(Type{kind: text, null: a.typ.null}, func(v any) (any, error) {
		if d, ok := v.(store.Civil); ok {
			return d.Time().Format(layout), nil
		}
		return v.(time.Time).In(zone).Format(layout), nil
	})
}

// ref is a reference to another sync's record; null when a key is null.
func ref(c *compiler, n call) code {
	if c.scope.Sync == nil {
		return c.fail(n.node, "ref can't be used here", "it belongs in fields, create_fields and initialize")
	}
	name, ok := c.written(n.args[0], "the sync of a reference", `ref("customer", user_id)`)
	keys := make([]code, len(n.args)-1)
	t := Type{kind: reference}
	for i, a := range n.args[1:] {
		keys[i] = c.compile(a)
		t.null = t.null || keys[i].typ.null
	}
	if !ok {
		return code{run: nothing}
	}
	columns, err := c.scope.Sync(name)
	if err != nil {
		return c.fail(n.args[0], err.Message, err.Help)
	}
	if columns != nil && len(columns) != len(keys) {
		var names, readable []string
		for _, col := range columns {
			names = append(names, col.Name)
			readable = append(readable, Read("", col.Name))
		}
		return c.fail(n.node, fmt.Sprintf("sync %q has a key of %d (%s), not of %d", name, len(names), strings.Join(names, ", "), len(keys)),
			fmt.Sprintf("write ref(%q, %s)", name, strings.Join(readable, ", ")))
	}
	for i, k := range keys[:len(columns)] {
		want := Type{kind: columnKinds[columns[i].Kind]}
		switch {
		case comparable(k.typ, want) && (!k.typ.is(open, list, object, float) || k.typ.kind == bad):
		case want.is(open, float):
			c.fail(n.node, fmt.Sprintf("the key %s of sync %q is %s, and nothing can refer to such a key", columns[i].Name, name, want),
				"give its table a primary key of numbers, texts, UUIDs or dates")
		default:
			c.fail(n.args[i+1], fmt.Sprintf("the key %s of sync %q is %s, not %s", columns[i].Name, name, want, k.typ), "convert with int(...) or string(...)")
		}
	}
	c.refers[name] = true
	refer := c.scope.Ref
	return code{typ: t, run: func(f *frame) (any, error) {
		values := make([]any, len(keys))
		for i, k := range keys {
			v, err := k.run(f)
			if err != nil || v == nil {
				return nil, err
			}
			values[i] = v
		}
		return refer(name, values...), nil
	}}
}
