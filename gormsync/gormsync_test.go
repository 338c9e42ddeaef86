package gormsync_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/gormsync"
	"github.com/upkeep-sync/upkeep/upkeeptest"
)

const shop = `
create table users (id integer primary key, created_at datetime, updated_at datetime, deleted_at datetime, name text, email text);
create table orders (id integer primary key, created_at datetime, updated_at datetime, deleted_at datetime, state text, user_id integer references users(id));
create table line_items (id integer primary key, created_at datetime, updated_at datetime, deleted_at datetime, order_id integer references orders(id), sku text, price decimal(10,2));
insert into users(id, name) values (1, 'Ada');
insert into orders(id, state, user_id) values (42, 'placed', 1), (43, 'draft', 1);
insert into line_items(id, order_id, sku, price) values (1, 42, 'A', 9.90), (2, 42, 'B', 0.10);`

func TestModelIsFollowed(t *testing.T) {
	t.Parallel()
	db := upkeeptest.New(t, shop, salesOrder(nil))
	db.Record("sales_order", 42).Want(`{"otherRefNum": 42, "customer": "Ada", "item": [{"item": "A", "rate": 9.90}, {"item": "B", "rate": 0.10}]}`)
	db.Record("sales_order", 43).WantNone()
	for _, c := range []struct {
		change  string
		touched []string
	}{
		{`update orders set updated_at = '2026-01-01 00:00:00'`, nil},
		{`update users set email = 'ada@example.com'`, nil},
		{`update users set name = 'Ada L.'`, []string{"sales_order/42", "sales_order/43"}},
		{`update line_items set deleted_at = '2026-01-01 00:00:00' where id = 2`, []string{"sales_order/42"}},
	} {
		if got := db.Touched(func() { db.Exec(c.change) }); !slices.Equal(got, c.touched) {
			t.Errorf("%s touched %v, want %v", c.change, got, c.touched)
		}
	}
	db.Record("sales_order", 42).Want(`{"otherRefNum": 42, "customer": "Ada L.", "item": [{"item": "A", "rate": 9.90}]}`)
	db.Exec(`update users set deleted_at = '2026-01-01 00:00:00'`)
	db.Record("sales_order", 42).Want(`{"otherRefNum": 42, "customer": "", "item": [{"item": "A", "rate": 9.90}]}`)
	db.Exec(`update orders set deleted_at = '2026-01-01 00:00:00'`)
	db.Record("sales_order", 42).WantNone()
}

// Models of all kinds.

type Address struct {
	City string
	Zip  *string
}

type Company struct {
	Code    string `gorm:"primaryKey;column:company_code"`
	Country string `gorm:"primaryKey"`
	Title   string
}

// Friend gives GORM a relation of its own, which has no field.
type Friend struct {
	ID    uint
	Peers []Peer
	Likes []Peer `gorm:"many2many:likes"`
}

type Peer struct {
	ID       uint
	FriendID uint
}

func (Company) TableName() string { return "firms" }

type Note struct {
	ID        uint
	OwnerID   uint
	OwnerType string
	Text      string
}

type Badge struct {
	PersonID uint `gorm:"primaryKey"`
	Number   int16
}

type Person struct {
	ID             uint
	Name           string
	Born           *time.Time
	Height         float64
	Active         bool
	Tags           []string `gorm:"serializer:json"`
	Home           Address  `gorm:"embedded;embeddedPrefix:home_"`
	CompanyCode    *string
	CompanyCountry *string
	Company        *Company `gorm:"foreignKey:CompanyCode,CompanyCountry;references:Code,Country"`
	Badge          *Badge
	Notes          []*Note `gorm:"polymorphic:Owner"`
	BossID         *uint
	Boss           *Person
	Team           []Person `gorm:"foreignKey:BossID"`
	Friends        []Person `gorm:"many2many:friends"`
	Secret         string   `gorm:"-"`
}

const office = `
create table firms (company_code text, country text, title text, primary key (company_code, country));
create table people (id integer primary key, name text, born date, height double, active boolean, tags json, home_city text, home_zip text,
	company_code text, company_country text, boss_id integer references people(id));
create table badges (person_id integer primary key references people(id), number integer);
create table notes (id integer primary key, owner_id integer, owner_type text, text text);
insert into firms values ('X', 'it', 'Acme');
insert into people values (1, 'Ada', '1815-12-10', 1.6, true, '["a","b"]', 'London', null, 'X', 'it', null), (2, 'Bob', null, null, false, null, null, 'Z', null, null, 1);
insert into badges values (1, 7);
insert into notes values (1, 1, 'people', 'hers'), (2, 1, 'dogs', 'not hers'), (3, 2, 'people', 'his');`

func people(load ...string) gormsync.Model[Person] {
	return gormsync.Model[Person]{
		Name: "person", Record: "employee", Load: load,
		ExternalID: func(p Person) string { return fmt.Sprintf("p%d", p.ID) },
		Translate: func(p Person) (upkeep.Fields, error) {
			f := upkeep.Fields{"name": p.Name, "height": p.Height, "active": p.Active, "tags": p.Tags, "city": p.Home.City, "zip": p.Home.Zip}
			if p.Born != nil {
				f["born"] = p.Born.Format(time.DateOnly)
			}
			if p.Company != nil {
				f["company"] = p.Company.Title
			}
			if p.Badge != nil {
				f["badge"] = p.Badge.Number
			}
			if p.Boss != nil {
				f["boss"] = p.Boss.Name
			}
			team := []string{}
			for _, m := range p.Team {
				team = append(team, m.Name)
			}
			f["team"] = team
			notes := []string{}
			for _, n := range p.Notes {
				notes = append(notes, n.Text)
			}
			f["notes"] = notes
			return f, nil
		},
	}
}

func TestEveryKindOfField(t *testing.T) {
	t.Parallel()
	db := upkeeptest.New(t, office, people("Company", "Badge", "Boss.Name", "Team.Name", "Notes"))
	ada := db.Record("person", 1)
	ada.Want(`{"name": "Ada", "height": 1.6, "active": true, "tags": ["a", "b"], "city": "London", "born": "1815-12-10", "company": "Acme", "badge": 7, "team": ["Bob"], "notes": ["hers"]}`)
	if ada.ExternalID != "p1" {
		t.Error(ada.ExternalID)
	}
	db.Record("person", 2).Want(`{"name": "Bob", "height": 0, "active": false, "tags": [], "city": "", "zip": "Z", "boss": "Ada", "team": [], "notes": ["his"]}`)
}

func TestOnlyWhatIsNamedIsLoaded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		load    []string
		columns []string
		related string
	}{
		{nil, []string{"id", "name", "born", "height", "active", "tags", "home_city", "home_zip", "company_code", "company_country", "boss_id"}, ""},
		{[]string{"Name", "Home.City"}, []string{"id", "name", "home_city"}, ""},
		{[]string{"Home"}, []string{"id", "home_city", "home_zip"}, ""},
		{[]string{"Boss.Home"}, []string{"id", "name", "born", "height", "active", "tags", "home_city", "home_zip", "company_code", "company_country", "boss_id"}, "Boss"},
		{[]string{"Name", "Company.Title"}, []string{"id", "name"}, "Company"},
		{[]string{"Name", "Boss.Company.Title", "Boss.Name"}, []string{"id", "name"}, "Boss"},
	} {
		m, err := people(c.load...).Declaration()
		if err != nil {
			t.Fatal(err)
		}
		related := ""
		for name := range m.From.BelongsTo {
			related += name
		}
		if !slices.Equal(m.From.Columns, c.columns) || related != c.related || len(m.From.HasMany)+len(m.From.HasOne) > 0 {
			t.Errorf("%v: columns %v, related %q", c.load, m.From.Columns, related)
		}
	}
}

// What GORM never reads is not read here either: a password that is only written
// would be loaded, watched and, with a Translate that copies the model, sent.
func TestWriteOnlyFieldsAreLeftOut(t *testing.T) {
	t.Parallel()
	type secrets struct {
		Answer string `gorm:"->:false;<-:create"`
		Hint   string
	}
	type account struct {
		ID       int64
		Password string  `gorm:"->:false"`
		Origin   string  `gorm:"<-:false"`
		Secrets  secrets `gorm:"embedded;embeddedPrefix:secrets_"`
	}
	accounts := func(load ...string) gormsync.Model[account] {
		return gormsync.Model[account]{Name: "account", Record: "account", Load: load,
			Translate: func(account) (upkeep.Fields, error) { return upkeep.Fields{}, nil }}
	}
	for _, c := range []struct{ load, columns []string }{
		{nil, []string{"id", "origin", "secrets_hint"}},
		{[]string{"Secrets"}, []string{"id", "secrets_hint"}},
	} {
		m, err := accounts(c.load...).Declaration()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(m.From.Columns, c.columns) {
			t.Errorf("%v: columns %v", c.load, m.From.Columns)
		}
	}
	for _, path := range []string{"Password", "Secrets.Answer"} {
		if _, err := accounts(path).Declaration(); err == nil || !strings.Contains(err.Error(), "write-only") {
			t.Errorf("Load %q: %v", path, err)
		}
	}
}

// A save that changes nothing but the time of update touches nothing.
func TestTimeOfUpdateIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ load, columns []string }{
		{nil, []string{"id", "created_at", "deleted_at", "name", "email"}},
		{[]string{"UpdatedAt"}, []string{"id", "updated_at", "deleted_at"}},
	} {
		m, err := gormsync.Model[User]{Load: c.load}.Declaration()
		if err != nil || !slices.Equal(m.From.Columns, c.columns) {
			t.Errorf("%v: columns %v, %v", c.load, m.From.Columns, err)
		}
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	t.Parallel()
	type stamped struct {
		ID        uint
		DeletedAt gorm.DeletedAt
	}
	translate := func(stamped) (upkeep.Fields, error) { return nil, nil }
	for _, c := range []struct {
		sync upkeep.AnySync
		want string
	}{
		{people("Nmae"), "no column or relation Nmae (did you mean Name?); it has ID, Name"},
		{people("Name", "Nmae", "Bos.Name"), "no relation Bos (did you mean Boss"},
		{people("Company.Nmae"), "Company has no column or relation Nmae"},
		{gormsync.Model[*Person]{Name: "person"}, `sync "person": gorm model *gormsync_test.Person: the functions get the model itself, not a pointer: gormsync.Model[gormsync_test.Person]`},
		{people("Name.First"), "no relation Name; it has Badge, Boss, Company"},
		{people("Secret"), "no column or relation Secret"},
		{people("Friends"), "join table friends"},
		{gormsync.Model[int]{}, "gorm model int: a model is a struct"},
		{people("Home.Town"), "the embedded Home of Person has no column Town; of columns it has ID, Name, Born, Height, Active, Tags, Home.City, Home.Zip,"},
		{people("Freinds"), "BossID, Badge, Boss, Company, Notes, Team"},
		{gormsync.Model[User]{Load: []string{"Nmae"}}, "it has ID, CreatedAt, UpdatedAt, DeletedAt, Name, Email"},
		{gormsync.Model[Friend]{Load: []string{"Nmae"}}, "it has ID, Peers"},
		{gormsync.Model[**Person]{}, "not a pointer"},
		{gormsync.Model[stamped]{When: func(stamped) bool { return true }, Translate: translate}, "WhenFalse is missing"},
	} {
		if _, err := c.sync.Declaration(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	if _, err := people("Nmae", "Foo").Declaration(); err == nil || strings.Count(err.Error(), `sync "person": gorm model `) != 2 {
		t.Errorf("each line says where it belongs: %v", err)
	}
	m, err := gormsync.Model[stamped]{Translate: translate}.Declaration()
	if err != nil || m.WhenFalse.Action != upkeep.Delete {
		t.Errorf("a soft deleted row must delete its record: %v, %v", m, err)
	}
	m, err = gormsync.Model[stamped]{Translate: translate, OnDelete: upkeep.Ending{Action: upkeep.Keep}}.Declaration()
	if err != nil || m.WhenFalse.Action != upkeep.Keep {
		t.Errorf("a soft deleted row must end as a deleted one: %v, %v", m, err)
	}
}

func TestNamingStrategy(t *testing.T) {
	t.Parallel()
	m := people()
	m.Naming = schema.NamingStrategy{TablePrefix: "hr_", SingularTable: true}
	d, err := m.Declaration()
	if err != nil || d.From.Table != "hr_person" {
		t.Errorf("%v, %v", d, err)
	}
}

// What a Sync of package upkeep can say, a Model can.
func TestModelSaysWhatASyncSays(t *testing.T) {
	t.Parallel()
	model, sync := reflect.TypeFor[gormsync.Model[Order]](), reflect.TypeFor[upkeep.Sync[Order]]()
	m := reflect.New(model).Elem()
	for i := range sync.NumField() {
		name := sync.Field(i).Name
		if name == "Table" { // the model has it
			continue
		}
		f, there := model.FieldByName(name)
		if !there || f.Type != sync.Field(i).Type {
			t.Errorf("Model has no field %s of type %s", name, sync.Field(i).Type)
			continue
		}
		if into := m.FieldByName(name); f.Type.Kind() != reflect.Func {
			into.Set(some(f.Type))
		}
	}
	d, err := m.Interface().(gormsync.Model[Order]).Declaration()
	if err != nil {
		t.Fatal(err)
	}
	for i := range sync.NumField() {
		name := sync.Field(i).Name
		if name == "Table" || sync.Field(i).Type.Kind() == reflect.Func {
			continue
		}
		if got := reflect.ValueOf(d).Elem().FieldByName(name); !reflect.DeepEqual(got.Interface(), m.FieldByName(name).Interface()) {
			t.Errorf("%s is lost: %v", name, got)
		}
	}
}

// some is a value of a type that is not its zero value.
func some(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.String:
		v.SetString("delete")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(7)
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(t.Elem())))
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
	case reflect.Struct:
		v.Field(0).Set(some(t.Field(0).Type))
	}
	return v
}
