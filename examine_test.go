package upkeep

import (
	"database/sql"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/postgres"
)

// New refuses what would do something else than it says.
func TestNewRefuses(t *testing.T) {
	valid := func(change func(*Config, *Mapping)) Config {
		m := Mapping{Name: "a", From: &Relation{Table: "t"}, To: &Remote{Name: "r", Connection: fakeConnection{}}, Record: "x",
			Translate: func(Row) (Fields, error) { return Fields{}, nil }}
		c := Config{Database: struct{ Database }{}}
		change(&c, &m)
		c.Syncs = append([]AnySync{m}, c.Syncs...)
		return c
	}
	if _, err := New(valid(func(*Config, *Mapping) {})); err != nil {
		t.Fatal(err)
	}
	type own struct{ Parent Reference }
	for want, change := range map[string]func(*Config, *Mapping){
		`sync "a": OnDelete has Fields and no Action: set Action to upkeep.Set, or leave Fields out`: func(_ *Config, m *Mapping) { m.OnDelete.Fields = Fields{"archived": true} },
		`WhenFalse has Fields, which delete would not send`:                                          func(_ *Config, m *Mapping) { m.WhenFalse = Ending{Delete, Fields{"archived": true}} },
		`sync "a": WhenFalse is never done without When: say with When`:                              func(_ *Config, m *Mapping) { m.WhenFalse.Action = Delete },
		`OnDelete has Fields, which keep would not send`:                                             func(_ *Config, m *Mapping) { m.OnDelete = Ending{Keep, Fields{"archived": true}} },
		`OnDelete.Fields: field parent: an ending can't set a reference`: func(_ *Config, m *Mapping) {
			m.OnDelete = Ending{Set, Fields{"parent": Ref("a", 1)}}
		},
		`field all: [0]: x: an ending can't set a reference`: func(_ *Config, m *Mapping) {
			m.OnDelete = Ending{Set, Fields{"all": []map[string]Reference{{"x": Ref("a", 1)}}}}
		},
		`sync "a": Sends: nothing says what becomes of b, y, which OnDelete or WhenFalse sets, when the row comes back`: func(_ *Config, m *Mapping) {
			m.When = func(Row) (bool, error) { return true, nil }
			m.Sends, m.OnDelete, m.WhenFalse = []string{"x"}, Ending{Set, Fields{"x": 1, "y": 1}}, Ending{Set, Fields{"b": 1, "y": 2}}
		},
		`a reference inside a struct can't be sent`:                                 func(_ *Config, m *Mapping) { m.WhenFalse = Ending{Set, Fields{"own": own{Ref("a", 1)}}} },
		`OnDelete: "remove" is not an action`:                                       func(_ *Config, m *Mapping) { m.OnDelete.Action = "remove" },
		`MemberLimit is -1; it must not be negative, zero means 10,000`:             func(_ *Config, m *Mapping) { m.MemberLimit = -1 },
		`remote "r": Concurrency is -3; it must not be negative, zero means what`:   func(_ *Config, m *Mapping) { m.To.Concurrency = -3 },
		`remote "r": Rate is -0.5; it must not be negative, zero means no limit`:    func(_ *Config, m *Mapping) { m.To.Rate = -0.5 },
		`remote "r": Burst is -1; it must not be negative, zero means one second's`: func(_ *Config, m *Mapping) { m.To.Burst = -1 },
		`remote "r": Timeout is -1ns; it must not be negative, zero means what`:     func(_ *Config, m *Mapping) { m.To.Timeout = -1 },
		`remote "r": Quiet is -1s; it must not be negative, zero means what`:        func(_ *Config, m *Mapping) { m.To.Quiet = -time.Second },
		`remote "r": the connector's Traits.Quiet is -1s; it must not be negative, zero means a minute`: func(_ *Config, m *Mapping) {
			m.To.Connection = traitsConnection{traits: func() connector.Traits { return connector.Traits{Quiet: -time.Second} }}
		},
		`remote "r": the connector's Traits.Class is 7; it must be connector.Upsert, Lookup or Blind`: func(_ *Config, m *Mapping) {
			m.To.Connection = traitsConnection{traits: func() connector.Traits { return connector.Traits{Class: 7} }}
		},
		`remote "r": the connector's Traits panicked: not yet, at `: func(_ *Config, m *Mapping) {
			m.To.Connection = traitsConnection{traits: func() connector.Traits { panic("not yet") }}
		},
		`Config.Lease is -1s; it must not be negative, zero means the default`:     func(c *Config, _ *Mapping) { c.Lease = -time.Second },
		`Config.TranslateLimit is -1s; it must not be negative, zero means ten`:    func(c *Config, _ *Mapping) { c.TranslateLimit = -time.Second },
		`Config.MaxAttempts is -1; it must not be negative, zero means 12`:         func(c *Config, _ *Mapping) { c.MaxAttempts = -1 },
		`Config.Drain is -1s; it must not be negative, zero means 30 seconds`:      func(c *Config, _ *Mapping) { c.Drain = -time.Second },
		`Config.JobLimit is -1s; it must not be negative, zero means a day`:        func(c *Config, _ *Mapping) { c.JobLimit = -time.Second },
		`Config.History is -1s; it must not be negative, zero means 30 days`:       func(c *Config, _ *Mapping) { c.History = -time.Second },
		`Config.Database: postgres.New was given a nil *pgxpool.Pool`:              func(c *Config, _ *Mapping) { c.Database = postgres.New(nil) },
		`From.HasMany["w"] is nil: set it to an *upkeep.Relation with a Table, or`: func(_ *Config, m *Mapping) { m.From.HasMany = map[string]*Relation{"w": nil} },
		`sync "a": From.HasOne["w"] is nil: `: func(_ *Config, m *Mapping) {
			m.From.HasOne, m.Translate = map[string]*Relation{"w": nil}, nil
		},
		`From.BelongsTo["v"].BelongsTo["w"] is nil: `: func(_ *Config, m *Mapping) {
			m.From.BelongsTo = map[string]*Relation{"v": {Table: "v", BelongsTo: map[string]*Relation{"w": nil}}}
		},
		`From.HasMany["kids"] leads back to a relation that it is in: `: func(_ *Config, m *Mapping) { m.From.HasMany = map[string]*Relation{"kids": m.From} },
		`From.HasOne["v"].BelongsTo["w"] leads back to a relation that it is in: `: func(_ *Config, m *Mapping) {
			v := &Relation{Table: "v"}
			v.BelongsTo = map[string]*Relation{"w": v}
			m.From.HasOne = map[string]*Relation{"v": v}
		},
		`sync "a": From.HasMany["w"].Aggregates[0]: "avg" is not an aggregate; use count or sum`: func(_ *Config, m *Mapping) {
			m.From.HasMany = map[string]*Relation{"w": {Table: "w", Aggregates: []Aggregate{{Name: "n", Func: "avg", Column: "x"}}}}
		},
		`From.HasMany["w"].Aggregates[0]: a sum needs the Column to sum`: func(_ *Config, m *Mapping) {
			m.From.HasMany = map[string]*Relation{"w": {Table: "w", Aggregates: []Aggregate{{Name: "n", Func: "sum"}}}}
		},
		`From.HasOne["w"].Aggregates[0]: only a has_many can be counted or summed`: func(_ *Config, m *Mapping) {
			m.From.HasOne = map[string]*Relation{"w": {Table: "w", Aggregates: []Aggregate{{Name: "n", Func: "count"}}}}
		},
		`From.HasMany["w"]: an Order says nothing where rows are only counted`: func(_ *Config, m *Mapping) {
			m.From.HasMany = map[string]*Relation{"w": {Table: "w", Order: "id", OnlyAggregates: true, Aggregates: []Aggregate{{Name: "n", Func: "count"}}}}
		},
		`From.HasMany["w"].Table is empty: name the table`: func(_ *Config, m *Mapping) { m.From.HasMany = map[string]*Relation{"w": {}} },
		`sync "a": From: the root table takes no Where or Order; say with When`: func(_ *Config, m *Mapping) {
			m.From.Where, m.From.Order = "x > 1", "x"
		},
		`From.BelongsTo["w"]: a belongs_to takes no Where or Order: `: func(_ *Config, m *Mapping) {
			m.From.BelongsTo = map[string]*Relation{"w": {Table: "w", Where: "x > 1"}}
		},
		`sync "a": Sends[2] is empty: give the remote's name`: func(_ *Config, m *Mapping) { m.Sends = []string{"a", "b", ""} },
		`sync "a": Sends[1]: "a" is named twice`:              func(_ *Config, m *Mapping) { m.Sends = []string{"a", "a"} },
		`sync "a": Columns[0]: "nmae" is none of Sends (did you mean name?): add`: func(_ *Config, m *Mapping) {
			m.Sends, m.Columns = []string{"name"}, []connector.Column{{Name: "nmae"}}
		},
		`sync "a": Initialize is set and RefersTo is empty: name the sync`: func(_ *Config, m *Mapping) {
			m.Initialize = func(Row) (Reference, error) { return Ref("b", 1), nil }
		},
		`two remotes are called "r": use one *upkeep.Remote for all syncs that go t`: func(c *Config, m *Mapping) {
			other, to := *m, *m.To
			other.Name, other.To = "b", &to
			c.Syncs = []AnySync{other}
		},
	} {
		if _, err := New(valid(change)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := New(valid(func(_ *Config, m *Mapping) {
		m.Sends, m.From.Where, m.Initialize, m.Translate = []string{""}, "x", func(Row) (Reference, error) { return Reference{}, nil }, nil
		m.OnDelete = Ending{Set, Fields{"y": 1}}
	})); err == nil || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("one of six is not told: %v", err)
	}
	if _, err := New(valid(func(c *Config, m *Mapping) { c.Drain, c.History, m.To.Burst = -1, -1, -1 })); err == nil || strings.Count(err.Error(), "must not be negative") != 3 {
		t.Errorf("one of three is not told: %v", err)
	}
}

// traitsConnection says of itself what it is told to.
type traitsConnection struct {
	fakeConnection
	traits func() connector.Traits
}

func (c traitsConnection) Traits() connector.Traits { return c.traits() }

// With some of pgx's modes rows would come in a form that depends on settings.
func TestNewRefusesModesOfQueries(t *testing.T) {
	for mode, fits := range map[string]bool{"cache_statement": true, "cache_describe": true, "describe_exec": true, "exec": false, "simple_protocol": false} {
		pool, err := pgxpool.New(t.Context(), "postgres://127.0.0.1:1/none?default_query_exec_mode="+mode)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		_, err = New(Config{Database: postgres.New(pool), Syncs: []AnySync{Mapping{Name: "a", From: &Relation{Table: "t"}, To: &Remote{Name: "r", Connection: fakeConnection{}},
			Record: "x", Translate: func(Row) (Fields, error) { return Fields{}, nil }}}})
		if fits != (err == nil) || !fits && !strings.Contains(err.Error(), "use cache_statement, which is pgx's default, cache_describe or describe_exec") {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

// What would be sent as a date that nobody meant, or that no remote reads.
func TestDatesThatCannotBeSent(t *testing.T) {
	far := Date{Year: 12026, Month: 1, Day: 2}
	for want, v := range map[string]any{
		"field due: the zero upkeep.Date is no date; send nil for none":  Date{},
		"field due: [0]: the zero upkeep.Date is no date; send nil":      []Date{{}},
		"field due: month 2, day 30 of the year 2026 is no date":         Date{Year: 2026, Month: 2, Day: 30},
		"field due: the year 12026 of a date can't be sent":              &far,
		"field due: the year 12026 of a time can't be sent":              far.Time(),
		"field due: the zero time.Time is no moment; send nil for none":  time.Time{},
		"field due: [0]: the zero time.Time is no moment":                []*time.Time{{}},
		"field due: x: the zero time.Time is no moment":                  map[string]any{"x": sql.NullTime{Valid: true}},
		"field due: x: the year -1 of a date can't be sent; years 0 to ": map[string]any{"x": Date{Year: -1, Month: 1, Day: 1}},
	} {
		got, err := encode(Fields{"due": v}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %s, %v; want %s", v, got["due"], err, want)
		}
	}
	if got, err := encode(Fields{"due": (*Date)(nil), "from": Date{Year: 2026, Month: 1, Day: 2}}, nil); err != nil || string(got["due"]) != "null" || string(got["from"]) != `"2026-01-02"` {
		t.Errorf("%s, %v", got, err)
	}
}

// So are those inside a struct of one's own, which encoding/json writes; what it
// leaves out, and what a type says itself, is not looked at.
func TestDatesInsideStructs(t *testing.T) {
	type inner struct{ At time.Time }
	type Embedded struct{ Until time.Time }
	type hides struct {
		Embedded
		Until string
	}
	set := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		value any
		want  string // of the error; empty: none
	}{
		{inner{}, "field due: At: the zero time.Time is no moment; send nil for none"},
		{&inner{}, "field due: At: the zero time.Time"},
		{inner{At: time.Time{}.In(time.FixedZone("x", 3600))}, "field due: At: the zero time.Time"},
		{struct {
			Lines []inner `json:"lines"`
		}{[]inner{{set}, {}}}, "field due: lines: [1]: At: the zero time.Time"},
		{struct{ By map[string]*inner }{map[string]*inner{"x": {}}}, "field due: By: x: At: the zero time.Time"},
		{struct{ At *time.Time }{&time.Time{}}, "field due: At: the zero time.Time"},
		{struct{ Day Date }{}, "field due: Day: the zero upkeep.Date is no date"},
		{struct{ Any any }{inner{}}, "field due: Any: At: the zero time.Time"},
		{struct{ inner }{}, "field due: At: the zero time.Time"},
		{struct{ *inner }{&inner{}}, "field due: At: the zero time.Time"},
		{struct{ *inner }{}, ""},
		{map[int]inner{7: {}}, "field due: 7: At: the zero time.Time"},
		{struct{ At sql.NullTime }{}, "field due: At: Time: the zero time.Time"},
		{struct {
			At time.Time `json:",omitempty"`
		}{}, "field due: At: the zero time.Time"},
		{struct {
			At time.Time `json:",omitzero"`
		}{}, ""},
		{struct {
			At time.Time `json:"-"`
		}{}, ""},
		{struct{ at time.Time }{}, ""},
		{struct{ At *time.Time }{}, ""},
		{struct{ Any any }{}, ""},
		{hides{Until: "x"}, ""},
		{struct{ At ownTime }{}, ""},
		{struct{ At string }{"0001-01-01T00:00:00Z"}, ""},
		{inner{set}, ""},
	} {
		got, err := encode(Fields{"due": c.value}, nil)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%T: %s, %v; want %q", c.value, got["due"], err, c.want)
		}
	}
}

// ownTime says itself what it is as JSON.
type ownTime struct{ time.Time }

func (ownTime) MarshalJSON() ([]byte, error) { return []byte(`"never"`), nil }

// A reference and a decimal are what they are in every container; a struct of
// one's own is encoding/json's.
func TestFieldsInAnyContainer(t *testing.T) {
	north, amount, at := Ref("machine", "north", 1), decimal.RequireFromString("1.50"), time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("x", 3600))
	type names map[string]Reference
	type key string
	type own struct{ Price decimal.Decimal }
	for name, c := range map[string]struct {
		value any
		want  string
		refs  int
	}{
		"map of fields":     {map[string]Fields{"a": {"r": north, "d": amount}}, `{"a":{"d":1.5,"r":"!north,1"}}`, 1},
		"map of references": {map[string]Reference{"a": north}, `{"a":"!north,1"}`, 1},
		"named map":         {names{"a": north}, `{"a":"!north,1"}`, 1},
		"named key":         {map[key]decimal.Decimal{"a": amount}, `{"a":1.5}`, 0},
		"pointer":           {&north, `"!north,1"`, 1},
		"nil pointer":       {(*Reference)(nil), `null`, 0},
		"pointer to map":    {&map[string]any{"r": &north}, `{"r":"!north,1"}`, 1},
		"array":             {[2]any{amount, north}, `[1.5,"!north,1"]`, 1},
		"list of lists":     {[][]Reference{{north}}, `[["!north,1"]]`, 1},
		"list of rows":      {[]Row{{"d": amount, "r": north}}, `[{"d":1.5,"r":"!north,1"}]`, 1},
		"row":               {Row{"r": north}, `{"r":"!north,1"}`, 1},
		"time":              {[]*time.Time{&at}, `["2026-01-02T02:04:05Z"]`, 0},
		"uuid":              {[]id16{{1}}, `["id 1"]`, 0},
		"own list":          {ownList{1, 2}, `"2 of them"`, 0},
		"pointer method":    {[]upper{{"a"}}, `["A"]`, 0},
		"numbers as keys":   {map[int]string{7: "x"}, `{"7":"x"}`, 0},
		"nil map":           {map[string]string(nil), `null`, 0},
		"bytes":             {[]byte("ab"), `"YWI="`, 0},
		"struct":            {own{amount}, `{"Price":"1.5"}`, 0},
		"null string":       {sql.NullString{String: "a", Valid: true}, `"a"`, 0},
		"null of a null":    {sql.NullString{String: "a"}, `null`, 0},
		"null time":         {&sql.NullTime{Time: at, Valid: true}, `"2026-01-02T02:04:05Z"`, 0},
		"null of a type":    {[]sql.Null[decimal.Decimal]{{V: amount, Valid: true}, {}}, `[1.5,null]`, 0},
		"null reference":    {sql.Null[Reference]{V: north, Valid: true}, `"!north,1"`, 1},
		"null decimal":      {decimal.NullDecimal{Decimal: amount, Valid: true}, `1.5`, 0},
		"no null decimal":   {&decimal.NullDecimal{}, `null`, 0},
	} {
		f, err := frozen(Fields{"f": c.value})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		refs := map[store.ID]bool{}
		if err := references(f, refs); err != nil || len(refs) != c.refs {
			t.Errorf("%s: %d references are seen, want %d: %v", name, len(refs), c.refs, err)
		}
		var got connector.Fields
		if got, err = encode(f, func(_ string, r Reference) (json.RawMessage, error) { return json.Marshal("!" + r.Key) }); err != nil || string(got["f"]) != c.want {
			t.Errorf("%s: %s, %v, want %s", name, got["f"], err, c.want)
		}
	}
	if _, err := encode(Fields{"": 1}, nil); err == nil || !strings.Contains(err.Error(), "a field without a name") {
		t.Errorf("a field without a name: %v", err)
	}
	for name, v := range map[string]any{"struct": struct{ R Reference }{north}, "keys": map[int]Reference{1: north}} {
		if _, err := frozen(Fields{"f": v}); err == nil || !strings.Contains(err.Error(), "field f") || !strings.Contains(err.Error(), "use upkeep.Fields") {
			t.Errorf("a reference in %s: %v", name, err)
		}
	}
}

type id16 [16]byte

func (i id16) MarshalText() ([]byte, error) { return []byte{'i', 'd', ' ', '0' + i[0]}, nil }

type ownList []int

func (l ownList) MarshalJSON() ([]byte, error) {
	return json.Marshal(string(rune('0'+len(l))) + " of them")
}

type upper struct{ s string }

func (u *upper) MarshalText() ([]byte, error) { return []byte(strings.ToUpper(u.s)), nil }
