package upkeep

import (
	"database/sql"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

type invoice struct {
	ID      int64           `db:"id,key"`
	Region  string          `db:"region,key"`
	Paid    *time.Time      `db:"paid_at"`
	Due     Date            `db:"due"`
	Total   decimal.Decimal `db:"total"`
	Rate    *int            `db:"rate"`
	Open    bool            `db:"open"`
	Extra   map[string]any  `db:"extra"`
	Note    string          // not loaded
	Payer   *payer          `belongs_to:"crm.people.payer_id+payer_region" to:"id+region"`
	Stamp   *stamp          `has_one:"stamps.invoice_id+invoice_region"`
	Entries []entry         `has_many:"entries.invoice_id" where:"amount > 0" order:"position desc"`
	Count   int64           `count:"notes.invoice_id" where:"visible"`
	Sum     decimal.Decimal `sum:"entries.invoice_id" column:"amount"`
}

type payer struct {
	Name string `db:"name"`
}

type stamp struct {
	At time.Time `db:"at"`
}

type entry struct {
	Amount decimal.Decimal `db:"amount"`
	Tags   []tag           `has_many:"tags.entry_id"`
}

type tag struct {
	Name string `db:"name"`
}

func TestTagsSayWhatIsLoaded(t *testing.T) {
	d, err := describe[invoice]("billing.invoices")
	if err != nil {
		t.Fatal(err)
	}
	want := &Relation{
		Table:     "billing.invoices",
		Columns:   []string{"id", "region", "paid_at", "due", "total", "rate", "open", "extra"},
		BelongsTo: map[string]*Relation{"Payer": {Table: "crm.people", Via: []string{"payer_id", "payer_region"}, To: []string{"id", "region"}, Columns: []string{"name"}}},
		HasOne:    map[string]*Relation{"Stamp": {Table: "stamps", Via: []string{"invoice_id", "invoice_region"}, Columns: []string{"at"}}},
		HasMany: map[string]*Relation{
			"Entries": {Table: "entries", Via: []string{"invoice_id"}, Where: "amount > 0", Order: "position desc", Columns: []string{"amount"},
				HasMany: map[string]*Relation{"Tags": {Table: "tags", Via: []string{"entry_id"}, Columns: []string{"name"}}}},
			"Count": {Table: "notes", Via: []string{"invoice_id"}, Where: "visible", OnlyAggregates: true, Aggregates: []Aggregate{{Name: "Count", Func: "count"}}},
			"Sum":   {Table: "entries", Via: []string{"invoice_id"}, OnlyAggregates: true, Aggregates: []Aggregate{{Name: "Sum", Func: "sum", Column: "amount"}}},
		},
	}
	if !reflect.DeepEqual(d.from, want) {
		a, _ := json.MarshalIndent(d.from, "", " ")
		b, _ := json.MarshalIndent(want, "", " ")
		t.Errorf("got %s\nwant %s", a, b)
	}
}

func TestRowsAreDecoded(t *testing.T) {
	d, err := describe[invoice]("invoices")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	row := Row{
		"id": int64(7), "region": "eu", "paid_at": at, "due": Date{Year: 2026, Month: 2, Day: 28}, "total": decimal.RequireFromString("10.50"),
		"rate": nil, "open": true, "extra": map[string]any{"a": json.Number("1")},
		"Payer": Row{"name": "Ada"}, "Stamp": nil,
		"Entries": []Row{{"amount": decimal.NewFromInt(1), "Tags": []Row{{"name": "x"}, {"name": "y"}}}},
		"Count":   int64(3), "Sum": decimal.NewFromInt(9),
	}
	var got invoice
	if err := d.decode(row, &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != 7 || got.Region != "eu" || !got.Paid.Equal(at) || got.Due.String() != "2026-02-28" || got.Total.String() != "10.5" || got.Rate != nil || !got.Open {
		t.Errorf("columns: %+v", got)
	}
	if got.Payer == nil || got.Payer.Name != "Ada" || got.Stamp != nil || len(got.Entries) != 1 || got.Entries[0].Tags[1].Name != "y" || got.Count != 3 || got.Sum.String() != "9" {
		t.Errorf("relations: %+v", got)
	}
	if got.Extra["a"] != json.Number("1") {
		t.Errorf("json: %v", got.Extra)
	}
}

func TestBadTagsAreErrors(t *testing.T) {
	type knot struct {
		ID   int64 `db:"id"`
		Self *knot `belongs_to:"knots.parent_id"`
	}
	type list struct {
		Lines line `has_many:"lines.order_id"`
	}
	type hidden struct {
		id int64 `db:"id"`
	}
	for _, c := range []struct {
		describe func(string) (*description, error)
		want     string
	}{
		{describe[int], "struct type"},
		{describe[*line], "upkeep.Sync[upkeep.line], not *upkeep.line"},
		{describe[struct{}], "no field with a db tag"},
		{describe[knot], "contains itself"},
		{describe[list], "must be a slice"},
		{describe[hidden], "must be exported"},
		{describe[struct {
			C chan int `db:"c"`
		}], "can't be read into"},
		{describe[struct {
			A []line `has_many:"lines"`
		}], "table.foreign_key"},
		{describe[struct {
			A line `has_one:"lines.x"`
		}], "must be a pointer"},
		{describe[struct {
			A int64 `sum:"lines.x"`
		}], "needs the column"},
		{describe[struct {
			A []line `upkeep:"hasmany:lines.order_id"`
		}], `.A: the tag upkeep:"hasmany:lines.order_id" has the name of none; write has_many:"table.foreign_key"`},
		{describe[struct {
			A []line `upkeep:"x"`
		}], "there are db, belongs_to, has_one, has_many, count, sum"},
		{describe[struct {
			A []line `hasMany:"lines.order_id"`
		}], `the tag hasMany is nearly has_many; write has_many:"table.foreign_key"`},
		{describe[struct {
			A *line `belongs-to:"lines.order_id"`
		}], "nearly belongs_to"},
		{describe[struct {
			A *line `has_noe:"lines.order_id"`
		}], "nearly has_one"},
		{describe[struct {
			A []line `has_noe:"lines"`
		}], "an anonymous struct.A: the tag has_noe"},
		{describe[struct {
			A struct{ B int } `has_many:"lines.x"`
		}], "an anonymous struct.A: a has_many field must be a slice, not an anonymous struct"},
		{describe[struct {
			A *line `belongs_to:"lines.x" where:"y > 1"`
		}], "a belongs_to takes no where or order"},
		{describe[struct {
			A int64 `count:"lines.x" order:"y"`
		}], "a count takes no order"},
		{describe[struct {
			A int64 `count:"lines.x" column:"y"`
		}], "a count takes no column"},
		{describe[struct {
			A string `db:""`
		}], `the tag db is empty: write db:"column"`},
		{describe[struct {
			A int64 `DB:"a"`
		}], `the tag DB is nearly db; write db:"column"`},
		{describe[struct {
			A []line `has_many:"lines.order_id" orderBy:"id"`
		}], `the tag orderBy is nearly order; write order:"SQL"`},
		{describe[struct {
			A []line `has_many:"lines.order_id" Where:"a > 1"`
		}], "nearly where"},
		{describe[struct {
			A *line `belongs_to:"a.a_id" has_one:"b.b_id"`
		}], "it has the tags belongs_to and has_one; a field has one of them"},
		{describe[struct {
			A sql.NullString `db:"a"`
		}], "a column can't be read into sql.NullString; use *string, which is nil for NULL"},
		{describe[struct {
			A *sql.NullInt64 `db:"a"`
		}], "use *int64"},
		{describe[struct {
			A sql.Null[decimal.Decimal] `db:"a"`
		}], "use *decimal.Decimal"},
		{describe[struct {
			A int64 `db:"a" where:"a > 1"`
		}], "where says more of a relation, and stands beside db"},
	} {
		if _, err := c.describe("t"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	_ = hidden{id: 1}.id
}

type line struct {
	SKU string `db:"sku"`
}

func TestNullAndOverflowAreNotGuessed(t *testing.T) {
	type row struct {
		Small int8    `db:"small"`
		Text  string  `db:"text"`
		Ratio float64 `db:"ratio"`
	}
	d, err := describe[row]("t")
	if err != nil {
		t.Fatal(err)
	}
	ok := Row{"small": int64(1), "text": "x", "ratio": 0.5}
	for column, c := range map[string]struct {
		value any
		want  string
	}{
		"small": {int64(300), "does not fit"},
		"text":  {nil, "make the field a pointer"},
		"ratio": {decimal.RequireFromString("0.1"), "exact decimal"},
	} {
		bad := Row{"small": ok["small"], "text": ok["text"], "ratio": ok["ratio"]}
		bad[column] = c.value
		var v row
		if err := d.decode(bad, &v); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), column) {
			t.Errorf("%s = %v: %v", column, c.value, err)
		}
	}
}

func TestEncodeHasOneFormForEqualValues(t *testing.T) {
	ref := func(_ string, r Reference) (json.RawMessage, error) { return json.Marshal("id of " + r.Key) }
	email := "a<b@example.com"
	got, err := encode(Fields{
		"d": decimal.RequireFromString("1.500"), "big": decimal.RequireFromString("12345678901234567890.12"), "n": nil, "p": &email, "none": (*string)(nil),
		"t": time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("x", 3600)), "day": Date{Year: 2026, Month: 1, Day: 2},
		"ref": Ref("customer", 7), "noref": Ref("customer", nil), "list": []Fields{{"b": 1, "a": Ref("customer", 8)}}, "empty": []any{},
	}, ref)
	if err != nil {
		t.Fatal(err)
	}
	want := connector.Fields{
		"d": json.RawMessage(`1.5`), "big": json.RawMessage(`12345678901234567890.12`), "n": json.RawMessage(`null`), "p": json.RawMessage(`"a<b@example.com"`), "none": json.RawMessage(`null`),
		"t": json.RawMessage(`"2026-01-02T02:04:05Z"`), "day": json.RawMessage(`"2026-01-02"`),
		"ref": json.RawMessage(`"id of 7"`), "noref": json.RawMessage(`null`), "list": json.RawMessage(`[{"a":"id of 8","b":1}]`), "empty": json.RawMessage(`[]`),
	}
	for name, w := range want {
		if string(got[name]) != string(w) {
			t.Errorf("%s: got %s, want %s", name, got[name], w)
		}
	}
	refs := map[store.ID]bool{}
	if err := references(Fields{"x": []any{map[string]any{"y": Ref("a", 1)}}, "z": Ref("b", "k", "l,m")}, refs); err != nil {
		t.Fatal(err)
	}
	if !refs[store.ID{Sync: "a", Key: "1"}] || !refs[store.ID{Sync: "b", Key: `k,l\,m`}] || len(refs) != 2 {
		t.Errorf("references: %v", refs)
	}
}

func TestDefineSaysWhatIsWrong(t *testing.T) {
	to := &Remote{Name: "r", Connection: fakeConnection{}}
	ini := &Remote{Name: "r", Connection: fakeInitializer{Connection: fakeConnection{}}}
	m := func(name string, refers ...string) AnySync {
		return Mapping{Name: name, From: &Relation{Table: "t"}, To: to, Record: "x", RefersTo: refers, Translate: func(Row) (Fields, error) { return nil, nil }}
	}
	initialized := func(name string, refers ...string) AnySync {
		x := m(name, refers...).(Mapping)
		x.To = ini
		x.Initialize = func(Row) (Reference, error) { return Reference{}, nil }
		return x
	}
	for _, c := range []struct {
		syncs []AnySync
		want  string
	}{
		{[]AnySync{m("a", "b"), m("b", "c"), m("c")}, ""},
		{[]AnySync{m("a", "b"), m("b", "c"), m("c", "b")}, ""}, // a circle: made in part, and patched
		{[]AnySync{m("a", "a")}, ""},
		{[]AnySync{initialized("a", "b"), initialized("b", "a")}, "each would wait for the other for ever"},
		{[]AnySync{m("a", "nope")}, "does not exist"},
		{[]AnySync{m("a"), m("a")}, "two syncs"},
		{[]AnySync{m("a"), m("a", "nope")}, `sync "a" refers to sync "nope", which does not exist`},
		{[]AnySync{m("a/b")}, "must not contain"},
		{nil, "no syncs"},
		{[]AnySync{Mapping{}}, "Translate is missing"},
		{[]AnySync{nil}, "Config.Syncs[0] is nil"},
		{[]AnySync{m("a"), (*Sync[line])(nil)}, "Config.Syncs[1] is nil"},
		{[]AnySync{Mapping{Name: "a"}}, `sync "a": To is missing: set it to the *upkeep.Remote`},
		{[]AnySync{Mapping{Name: "a", To: &Remote{}}}, `sync "a": To.Name is empty`},
		{[]AnySync{Mapping{Name: "a", To: &Remote{Name: "r"}}}, "To.Connection is nil: set it to what"},
		{[]AnySync{Mapping{Name: "a", To: &Remote{Name: "r", Connection: (*fakeConnection)(nil)}}}, "To.Connection is nil: set it to what"},
		{[]AnySync{Sync[struct {
			A int64 `DB:"a"`
		}]{Name: "a"}}, `Config.Syncs[0]: sync "a": an anonymous struct.A: the tag DB`},
	} {
		_, err := define(c.syncs)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// New tells of all that is wrong, also when the database is missing. A sync
// that is wrong is not told to be missing, too.
func TestNewSaysWhatToSet(t *testing.T) {
	_, err := New(Config{Syncs: []AnySync{
		Mapping{Name: "a", RefersTo: []string{"b"}, From: &Relation{Table: "t"}, To: &Remote{Name: "r", Connection: fakeConnection{}}, Record: "x", Translate: func(Row) (Fields, error) { return nil, nil }},
		Mapping{Name: "b"},
	}})
	if err == nil || !strings.Contains(err.Error(), "Config.Database is nil: set it to what postgres.New") || !strings.Contains(err.Error(), `sync "b": Translate is missing`) || strings.Contains(err.Error(), "does not exist") {
		t.Errorf("got %v", err)
	}
}

// A sync that something is wrong with has the rest of it examined too.
func TestNewSaysAllThatIsWrong(t *testing.T) {
	_, err := New(Config{Syncs: []AnySync{
		Mapping{Name: "a", RefersTo: []string{"zz"}, From: &Relation{Table: "t"}, To: &Remote{Name: "r", Rate: -1}, Record: "x", OnDelete: Ending{Action: "explode"}},
		Mapping{Name: "b", RefersTo: []string{"a"}, To: &Remote{Name: "q"}},
	}})
	for _, want := range []string{`sync "a": To.Connection is nil`, `sync "a": OnDelete: "explode"`, `sync "a": Translate is missing`,
		`sync "a" refers to sync "zz", which does not exist`, `remote "r": Rate is -1`, `sync "b": the root table`, `sync "b" refers to sync "a", which goes to another remote`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s too", err, want)
		}
	}
}

type fakeConnection struct{ connector.Connection }

type fakeInitializer struct {
	connector.Connection
	connector.Initializer
}

func (fakeConnection) Traits() connector.Traits { return connector.Traits{} }
