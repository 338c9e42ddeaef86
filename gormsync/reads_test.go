package gormsync_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/shopspring/decimal"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"
	"gorm.io/gorm/utils/tests"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/gormsync"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/postgres"
	"github.com/upkeep-sync/upkeep/upkeeptest"
)

// Types with a Scan of their own, one of each kind. Each leaves a mark, so that
// a value that was set without it is seen.

type Coded string

func (c *Coded) Scan(v any) error {
	s, err := text(v)
	*c = Coded("scanned " + strings.TrimPrefix(s, "enc:"))
	return err
}

type Km int64

func (k *Km) Scan(v any) error {
	m, ok := v.(int64)
	*k = Km(m / 1000)
	return unless(ok, v)
}

type Small uint8

func (s *Small) Scan(v any) error {
	n, ok := v.(int64)
	*s = Small(n + 100)
	return unless(ok, v)
}

type Fahrenheit float64

func (f *Fahrenheit) Scan(v any) error {
	c, ok := v.(float64)
	*f = Fahrenheit(c*9/5 + 32)
	return unless(ok, v)
}

type YesNo bool

func (y *YesNo) Scan(v any) error {
	s, err := text(v)
	*y = s == "yes"
	return err
}

// Cents is scanned from what the drivers make of a decimal: PostgreSQL's a
// text with all its digits, SQLite's a number.
type Cents int64

func (c *Cents) Scan(v any) error {
	switch v := v.(type) {
	case string:
		whole, part, _ := strings.Cut(v, ".")
		n, err := strconv.ParseInt(whole+(part + "00")[:2], 10, 64)
		*c = Cents(n)
		return err
	case float64:
		*c = Cents(v*100 + 0.5)
	default:
		return unless(false, v)
	}
	return nil
}

type Letters []string

func (l *Letters) Scan(v any) error {
	s, err := text(v)
	*l = strings.Split(s, "")
	return err
}

type Blob []byte

func (b *Blob) Scan(v any) error {
	raw, ok := v.([]byte)
	*b = append(Blob("scanned "), raw...)
	return unless(ok, v)
}

type Pair [2]string

func (p *Pair) Scan(v any) error {
	s, err := text(v)
	p[0], p[1], _ = strings.Cut(s, "/")
	return err
}

type Attributes map[string]any

func (a *Attributes) Scan(v any) error {
	b, ok := v.([]byte)
	if s, isText := v.(string); isText {
		b, ok = []byte(s), true
	}
	if !ok {
		return unless(false, v)
	}
	return json.Unmarshal(b, a)
}

type Level struct{ N int64 }

func (l *Level) Scan(v any) error {
	n, ok := v.(int64)
	l.N = n * 10
	return unless(ok, v)
}

// Minute is a time of another kind.
type Minute int64

func (m *Minute) Scan(v any) error {
	at, ok := v.(time.Time)
	*m = Minute(at.Unix() / 60)
	return unless(ok, v)
}

// Sealed is its own serializer, as GORM lets a type be.
type Sealed string

func (s *Sealed) Scan(_ context.Context, _ *schema.Field, _ reflect.Value, v any) error {
	if v == nil {
		return nil
	}
	b, err := text(v)
	*s = Sealed("opened " + b)
	return err
}

func (s Sealed) Value(context.Context, *schema.Field, reflect.Value, any) (any, error) {
	return string(s), nil
}

// JSON is as the one of GORM's data types.
type JSON json.RawMessage

func (j *JSON) Scan(v any) error {
	s, err := text(v)
	*j = JSON(s)
	return err
}

func (JSON) GormDataType() string { return "json" }

func (j JSON) MarshalJSON() ([]byte, error) { return json.RawMessage(j).MarshalJSON() }

func text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	}
	return "", unless(false, v)
}

// Value makes a column of the struct, for GORM.
func (l Level) Value() (driver.Value, error) { return l.N, nil }

func unless(ok bool, v any) error {
	if ok {
		return nil
	}
	return fmt.Errorf("a %T was scanned", v)
}

// Plain types of a program, without a method.
type (
	Status string
	Count  int32
	Ratio  float32
	Raw    []byte
)

type Inside struct {
	Coded Coded
	Km    *Km
}

type Thing struct {
	ID      int64
	Coded   Coded
	CodedP  *Coded
	Km      Km
	KmP     *Km
	Small   Small
	Deg     Fahrenheit
	YesNo   YesNo
	YesNoP  *YesNo
	Cents   Cents
	CentsP  *Cents
	Letters Letters `gorm:"type:text"`
	Blob    Blob
	Pair    Pair       `gorm:"type:text"`
	Attrs   Attributes `gorm:"type:text"`
	Level   Level      `gorm:"type:integer"`
	LevelP  *Level     `gorm:"type:integer"`
	Minute  Minute
	In      Inside  `gorm:"embedded;embeddedPrefix:in_"`
	Deep    *Inside `gorm:"embedded;embeddedPrefix:deep_"`
	Sealed  Sealed
	Tags    []string       `gorm:"serializer:json"`
	Meta    map[string]any `gorm:"serializer:json"`
	Seen    int64          `gorm:"serializer:unixtime"`
	Status  Status
	Count   Count
	CountP  *Count
	Ratio   Ratio
	Enabled bool
	Raw     Raw
	Bytes   []byte
	Doc     JSON
	Born    time.Time
	BornP   *time.Time
	At      time.Time
	Price   decimal.Decimal
	PriceN  decimal.NullDecimal
	PriceF  float64
	PriceS  string
	Note    sql.NullString
	Many    sql.Null[int32]
	Num     string // of an integer column
	Flag    bool   // of an integer column
	Text    int    // of a text column
	Day     string // of a date column
	Gone    gorm.DeletedAt
	MakerID *int64
	Maker   *Maker
	Parts   []Part
}

type Maker struct {
	ID    int64
	Coded Coded
	YesNo *YesNo
}

type Part struct {
	ID      int64
	ThingID *int64
	Coded   Coded
	Km      Km
	Cents   *Cents
}

// things is the table of Thing, as DDL of both databases.
const things = `
create table makers (id integer primary key, coded text, yes_no text);
create table parts (id integer primary key, thing_id integer, coded text, km integer, cents numeric(12,2));
create table things (id integer primary key,
	coded text, coded_p text, km integer, km_p integer, small integer, deg double precision, yes_no text, yes_no_p text,
	cents numeric(12,2), cents_p numeric(12,2), letters text, blob bytea, pair text, attrs json, level integer, level_p integer, minute timestamp,
	in_coded text, in_km integer, deep_coded text, deep_km integer,
	sealed text, tags json, meta json, seen timestamp, status text, count integer, count_p integer, ratio real, enabled boolean, raw bytea, bytes bytea, doc json,
	born date, born_p date, at timestamp, price numeric(12,2), price_n numeric(12,2), price_f numeric(12,2), price_s numeric(12,2),
	note text, many integer, num integer, flag integer, text text, day date, gone timestamp, maker_id integer);
insert into makers values (1, 'enc:M', 'yes');
insert into parts values (2, 1, 'enc:A', 1000, null), (3, 1, 'enc:B', 2000, 7.25);
insert into things values (1,
	'enc:W1', 'enc:W2', 12000, 13000, 7, 20.5, 'yes', 'yes',
	19.99, 5.25, 'abc', BLOB, 'a/b', '{"a":1,"b":["x"]}', 3, 4, '2026-01-02 03:04:05',
	'enc:I', 4000, 'enc:D', 6000,
	'shut', '["a","b"]', '{"a":1}', '2026-01-02 03:04:05', 'open', 5, 6, 1.5, true, BLOB, BLOB, '{"a":1}',
	'1815-12-10', '1815-12-11', '2026-01-02 03:04:05.678', 9.75, 8.25, 7.25, 6.25,
	'note', 3, 42, 1, '17', '2026-01-02', null, 1);
insert into things(id) values (2);`

// What g.First reads and what Upkeep loads is the same, for every kind of
// field, with values and with NULL, in the model and in what it relates to.
func TestReadsWhatGORMReads(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		made := newReading()
		db := upkeeptest.New(t, strings.NewReplacer("BLOB", "x'00ff'", "bytea", "blob").Replace(things), made.sync())
		compareReading(t, db, made)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := pgtest.New(t)
		app, err := sql.Open("pgx", url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = app.Close() })
		if _, err := app.Exec(strings.ReplaceAll(things, "BLOB", `'\x00ff'`)); err != nil {
			t.Fatal(err)
		}
		database, err := postgres.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = database.Close() })
		made := newReading()
		compareReading(t, upkeeptest.On(t, database, app, made.sync()), made)
	})
}

// reading keeps what Translate is given.
type reading struct {
	mu     sync.Mutex
	things map[int64]Thing
}

func newReading() *reading { return &reading{things: map[int64]Thing{}} }

func (r *reading) sync() gormsync.Model[Thing] {
	return gormsync.Model[Thing]{
		Name: "thing", Record: "thing", Load: []string{"Maker", "Parts"},
		Translate: func(t Thing) (upkeep.Fields, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.things[t.ID] = t
			return upkeep.Fields{"id": t.ID}, nil
		},
	}
}

func compareReading(t *testing.T, db *upkeeptest.DB, made *reading) {
	orm, err := gorm.Open(dialect{}, &gorm.Config{ConnPool: db.SQL, Logger: logger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []int64{1, 2} {
		var want Thing
		if err := orm.Preload("Maker").Preload("Parts", func(tx *gorm.DB) *gorm.DB { return tx.Order("id") }).First(&want, id).Error; err != nil {
			t.Fatal("GORM itself can't read it: ", err)
		}
		if r := db.Record("thing", id); !r.Exists {
			t.Fatal(r)
		}
		made.mu.Lock()
		got := made.things[id]
		made.mu.Unlock()
		g, w := reflect.ValueOf(got), reflect.ValueOf(want)
		for i := range g.NumField() {
			a, b := fmt.Sprintf("%+v", plainValue(g.Field(i))), fmt.Sprintf("%+v", plainValue(w.Field(i)))
			if a != b {
				t.Errorf("%s of %d: Upkeep gives %s, and GORM reads %s", g.Type().Field(i).Name, id, a, b)
			}
		}
	}
}

// plainValue is a value without its pointers, for comparing and for reading.
func plainValue(v reflect.Value) any {
	b, err := json.Marshal(v.Interface())
	if err != nil {
		return err
	}
	return string(b)
}

// dialect is that of both databases, for a SELECT; a program uses the driver
// of GORM for its own.
type dialect struct{ tests.DummyDialector }

func (dialect) BindVarTo(w clause.Writer, stmt *gorm.Statement, _ any) {
	_, _ = w.WriteString("$" + strconv.Itoa(len(stmt.Vars)))
}

func (dialect) QuoteTo(w clause.Writer, name string) {
	_, _ = w.WriteString(`"` + strings.ReplaceAll(name, ".", `"."`) + `"`)
}
