package upkeep_test

import (
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// Arrays of PostgreSQL come into slices.
func TestArrays(t *testing.T) {
	t.Parallel()
	type arrays struct {
		Tags  []string          `db:"tags"`
		Sizes []int64           `db:"sizes"`
		Big   []decimal.Decimal `db:"big"`
		Flags []bool            `db:"flags"`
		Days  []upkeep.Date     `db:"days"`
		Ratio []float64         `db:"ratio"`
		IDs   []uuid            `db:"ids"`
		Some  []*string         `db:"maybe"`
		None  []string          `db:"none"`
		Text  string            `db:"tags"`
	}
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.exec(`create table arrays (id integer primary key, tags text[] not null, sizes integer[] not null, big numeric[] not null, flags boolean[] not null, days date[] not null,
			ratio double precision[] not null, ids uuid[] not null, maybe varchar(9)[], none text[]);
		insert into arrays values (1, '{red,"dark, blue",""}', '{3,-4}', '{12345678901234567890.10}', '{t,f}', '{2026-01-02}', '{0.1}', '{0e37df36-f698-11e6-8dd4-cb9ced3df976}', '{a,NULL}', null),
			(2, '{NULL}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'), (3, '{{a},{b}}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
			(4, '[0:1]={a,b}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')`)
	sync := upkeep.Sync[arrays]{Name: "a", Table: "arrays", To: s.to, Record: "a", Translate: func(v arrays) (upkeep.Fields, error) {
		f := upkeep.Fields{"tags": v.Tags, "all": words(v.Sizes, v.Big, v.Flags, v.Days, v.Ratio, len(v.IDs), len(v.Some), v.None == nil, v.Text)}
		if len(v.Some) > 0 {
			f["some"] = v.Some
		}
		return f, nil
	}}
	e := s.engine(sync)
	findings, err := e.Check(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Errorf("%s: %s", f.Subject, f.Message)
	}
	s.run(e)
	s.quiet(e)
	s.field("a", "a-1", "tags", `["red","dark, blue",""]`)
	s.field("a", "a-1", "some", `["a",null]`)
	s.field("a", "a-1", "all", `"[3 -4] [12345678901234567890.1] [true false] [2026-01-02] [0.1] 1 2 true {red,\"dark, blue\",\"\"}"`)
	s.field("a", "a-4", "tags", `["a","b"]`)
	for key, why := range map[string]string{"2": "element 1 of the array: it is NULL; make the elements pointers ([]*string)", "3": "several dimensions"} {
		s.state(e, "a", key, upkeep.Parked)
		x, err := e.Explain(s.ctx, "a", key)
		if err != nil || !strings.Contains(x.Why, why) {
			t.Errorf("group %s: %q (%v), want %q", key, x.Why, err, why)
		}
	}
}

// A slice that can't take the elements is told by Check.
func TestArraysThatDoNotFit(t *testing.T) {
	t.Parallel()
	type wrong struct {
		Tags  []int64  `db:"tags"`
		Sizes []bool   `db:"sizes"`
		Name  []string `db:"name"`
		Raw   []byte   `db:"sizes"`
	}
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.exec(`create table arrays (id integer primary key, tags text[] not null, sizes integer[] not null, name text not null)`)
	e := s.engine(upkeep.Sync[wrong]{Name: "a", Table: "arrays", To: s.to, Record: "a", Translate: func(wrong) (upkeep.Fields, error) { return upkeep.Fields{}, nil }})
	findings, err := e.Check(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, f := range findings {
		told = append(told, f.Message+"; "+f.Fix)
	}
	all := strings.Join(told, "\n")
	for _, want := range []string{"field Tags: element 1 of the array: \"x\" can't be read into int64", "field Sizes: element 1", "field Name: a text can't be read into []string; use string", "field Raw: a text can't be read into []uint8"} {
		if !strings.Contains(all, want) {
			t.Errorf("not told %q in\n%s", want, all)
		}
	}
}
