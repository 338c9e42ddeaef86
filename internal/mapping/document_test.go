package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// documented are the tables of the order on the page.
func documented() *Table {
	return &Table{Info: info("orders", "id:int", "state:text", "ref_no:text?", "user_id:int?", "net:decimal", "total:decimal?", "weight:float?",
		"paid:bool?", "sent_on:date?", "placed_at:time", "Order No:text", "meta:json?"),
		Members: map[string]*Table{
			"billing":  {Name: "billing", Relation: store.HasOne, Info: info("billing_infos", "vat:text?", "street:text?")},
			"customer": {Name: "customer", Relation: store.BelongsTo, Info: info("customers", "id:int", "segment:text?")},
			"lines": {Name: "lines", Relation: store.HasMany, Info: info("line_items", "sku:text", "qty:int?", "price:decimal", "note:text?"),
				Members: map[string]*Table{
					"product": {Name: "product", Relation: store.BelongsTo, Info: info("products", "id:int", "name:text")},
				}},
		}}
}

// loaded is a row as a database would have loaded it.
func loaded(t *testing.T, table *Table, in map[string]any) store.Row {
	t.Helper()
	if in == nil {
		return nil
	}
	row := store.Row{}
	for _, c := range table.Info.Columns {
		row[c.Name] = column(t, c.Kind, in[c.Name])
	}
	for name, m := range table.Members {
		if m.Relation == store.HasMany {
			rows, sum := []store.Row{}, decimal.Zero
			for _, e := range in[name].([]any) {
				r := loaded(t, m, e.(map[string]any))
				if q, ok := r["qty"].(int64); ok {
					sum = sum.Add(decimal.NewFromInt(q))
				}
				rows = append(rows, r)
			}
			row[name], row["count("+name+")"], row["sum("+name+".qty)"] = rows, int64(len(rows)), sum
			continue
		}
		one, _ := in[name].(map[string]any)
		row[name] = loaded(t, m, one)
	}
	return row
}

func column(t *testing.T, kind store.Kind, v any) any {
	t.Helper()
	if v == nil {
		return nil
	}
	text := fmt.Sprint(v)
	var out any = v
	var err error
	switch kind {
	case store.Int:
		out, err = v.(json.Number).Int64()
	case store.Decimal:
		out, err = decimal.NewFromString(text)
	case store.Float:
		out, err = v.(json.Number).Float64()
	case store.Date:
		out, err = store.ParseCivil(text)
	case store.Time:
		out, err = time.Parse(time.RFC3339, text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// written is a value as the page has it: JSON, with exact numbers.
func written(v any) any {
	switch v := v.(type) {
	case decimal.Decimal:
		return json.Number(v.String())
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, written(e))
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = written(e)
		}
		return out
	}
	return v
}

// Every example of docs/expressions.md gives what the page says, and the page
// has every function and every operator.
func TestExamplesOnThePage(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "expressions.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	var in map[string]any
	d := json.NewDecoder(strings.NewReader(regexp.MustCompile("(?s)```json\n(.*?)```").FindStringSubmatch(page)[1]))
	d.UseNumber()
	if err := d.Decode(&in); err != nil {
		t.Fatal(err)
	}
	var examples []string
	row := regexp.MustCompile("(?m)^\\|.* \\| `([^`]+)` \\| `([^`]+)` \\|$")
	for _, m := range row.FindAllStringSubmatch(page, -1) {
		source, want := strings.ReplaceAll(m[1], `\|`, "|"), m[2]
		examples = append(examples, source)
		t.Run(source, func(t *testing.T) {
			s := scope()
			s.Root = documented()
			s.Ref = func(sync string, key ...any) any { return fmt.Sprint("-> ", sync, " ", key[0]) }
			e, errs := s.Compile(source, Value)
			if len(errs) > 0 {
				t.Fatal(errs[0])
			}
			v, err := e.Eval(loaded(t, s.Root, in))
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			enc := json.NewEncoder(&got)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(written(v)); err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(got.String()) != want {
				t.Errorf("gives %s, the page says %s", strings.TrimSpace(got.String()), want)
			}
		})
	}
	rows := strings.Count(page, "\n| ") - strings.Count(page, "| example | result |")
	if len(examples) != rows {
		t.Errorf("%d of %d rows are examples: a row must end with `example` | `result`", len(examples), rows)
	}
	all := strings.Join(examples, "\n")
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		if !strings.Contains(page, "| `"+functions[name].usage+"` | ") {
			t.Errorf("the page lacks %s", functions[name].usage)
		}
		if !regexp.MustCompile(`\b` + name + `\(`).MatchString(all) {
			t.Errorf("no example calls %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("the page does not say that %s is refused", name)
		}
	}
	for _, op := range []string{"? ", " : ", "| ", "??", " or ", "&&", "!", "not ", "==", "!=", "<", "<=", ">", ">=", " in ", " contains ", " startsWith ",
		" endsWith ", " matches ", "+", "-", "*", "/", "%", "[-2:]", "let ", "if "} {
		if !strings.Contains(all, op) {
			t.Errorf("no example has the operator %s", op)
		}
	}
}
