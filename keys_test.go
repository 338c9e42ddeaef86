package upkeep_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// spellings are keys of a type, the second in another spelling of the first.
var spellings = map[string][]struct{ declared, key, other string }{
	"sqlite": {
		{"integer primary key", "7", "007"},
		{"text primary key collate nocase", "abc", "ABC"},
		{"numeric primary key", "7", "7.0"},
		{"date primary key", "infinity", "infinity"}, // which keeps any text
		{"timestamp primary key", "0044-03-15 01:02:03 BC", "0044-03-15 01:02:03 BC"},
	},
	"postgres": {
		{"integer primary key", "7", "007"},
		{"uuid primary key", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"},
		{"numeric primary key", "7", "7.0"},
		{"citext primary key", "abc", "ABC"},
		{"char(5) primary key", "abc", "abc  "},
		{"timestamptz primary key", "2020-01-02 03:04:05.000000+00", "2020-01-02T03:04:05Z"},
	},
}

// onSpellings runs a test for each of them, with v, the table that has the key,
// and w, whose rows refer to it.
func onSpellings(t *testing.T, test func(t *testing.T, s *shop, key, other string)) {
	t.Parallel()
	for name, open := range map[string]func(*shop){"sqlite": (*shop).onSQLite, "postgres": (*shop).onPostgres} {
		for _, c := range spellings[name] {
			t.Run(name+" "+c.declared, func(t *testing.T) {
				s := makeShop(t, memory.Config{}, open)
				if strings.HasPrefix(c.declared, "citext") {
					s.exec(`create extension citext`)
				}
				s.exec(`create table v (id %s, name text not null); create table w (id integer primary key, v text not null)`, c.declared)
				test(t, s, c.key, c.other)
			})
		}
	}
}

func keySyncs(to *upkeep.Remote, byHand bool) []upkeep.AnySync {
	return []upkeep.AnySync{
		upkeep.Mapping{Name: "v", To: to, Record: "v", ByHand: byHand, From: &upkeep.Relation{Table: "v", Columns: []string{"name"}},
			Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"name": r["name"]}, nil }},
		upkeep.Mapping{Name: "w", To: to, Record: "w", RefersTo: []string{"v"}, From: &upkeep.Relation{Table: "w", Columns: []string{"v"}},
			Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"v": upkeep.Ref("v", r["v"])}, nil }},
	}
}

// groups are the keys of a sync's groups that are not gone.
func (s *shop) groups(e *upkeep.Engine, sync string) (keys []string) {
	s.t.Helper()
	groups, err := e.Groups(s.ctx, sync, "", upkeep.ID{}, 100)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, g := range groups {
		if g.State != upkeep.Gone {
			keys = append(keys, g.Key)
		}
	}
	return keys
}

func (s *shop) wantGroups(e *upkeep.Engine, when string, want ...string) {
	s.t.Helper()
	s.quiet(e)
	if got := s.groups(e, "v"); !slices.Equal(got, want) {
		s.t.Errorf("%s: the groups are %q, want %q", when, got, want)
	}
	if got := len(s.remote.Records("v")); got != len(want) {
		s.t.Errorf("%s: there are %d records, want %d", when, got, len(want))
	}
}

// However a key is written by who refers to it or touches it, one row is one
// group and one record.
func TestOneRowIsOneGroup(t *testing.T) {
	onSpellings(t, func(t *testing.T, s *shop, key, other string) {
		s.exec(`insert into v values ('%s', 'a')`, key)
		s.exec(`insert into w values (1, '%s')`, other)
		e := s.engine(keySyncs(s.to, false)...)
		s.run(e)
		s.wantGroups(e, "referred to", key)
		s.state(e, "w", "1", upkeep.Clean)
		if err := e.Touch(s.ctx, nil, "v", other); err != nil {
			t.Error(err)
		}
		s.wantGroups(e, "touched", key)
		tx := s.begin() // where only the fold can tell
		if err := e.Register(s.ctx, tx.handle, "v", other); err != nil {
			t.Error(err)
		}
		if err := tx.end(true); err != nil {
			t.Fatal(err)
		}
		s.wantGroups(e, "registered", key)
		x, err := e.Explain(s.ctx, "v", other)
		if err != nil || x.Group == nil || x.Group.Cause.Op != "register" {
			t.Errorf("the touch did not reach the group: %+v, %v", x.Group, err)
		}
		s.exec(`delete from w; delete from v`)
		s.quiet(e)
		if left := s.remote.Records("v"); len(left) > 0 {
			t.Errorf("records without a row: %v", left)
		}
	})
}

// By hand too, also when the row comes in the transaction that registers it.
func TestRegisterInAnySpelling(t *testing.T) {
	onSpellings(t, func(t *testing.T, s *shop, key, other string) {
		e := s.engine(keySyncs(s.to, true)...)
		s.run(e)
		if err := e.Register(s.ctx, nil, "v", other); err != nil {
			t.Fatal(err)
		}
		s.quiet(e)
		s.exec(`insert into v values ('%s', 'a')`, key)
		if err := e.Register(s.ctx, nil, "v", other); err != nil {
			t.Fatal(err)
		}
		s.wantGroups(e, "registered", key)
		s.exec(`update v set name = 'b'`)
		s.wantGroups(e, "changed", key)
		s.field("v", "v-"+key, "name", `"b"`)
	})
}

// A group under another spelling that is there already sends nothing of the
// row, and says whose it is; what it was touched for goes to that one.
func TestGroupUnderAnotherSpelling(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(`create table v (id text primary key, name text not null); create table w (id integer primary key, v text not null);
			insert into v values ('007', 'a')`)
		e := s.engine(keySyncs(s.to, false)...)
		stop := s.run(e)
		s.wantGroups(e, "as text", "007")
		stop()
		s.exec(`drop table v; create table v (id integer primary key, name text not null); insert into v values (7, 'a')`)
		e = s.engine(keySyncs(s.to, false)...)
		s.run(e)
		if err := e.Resync(s.ctx, upkeep.Resync{Sync: "v", Key: "007", Force: true}); err != nil {
			t.Fatal(err)
		}
		x := s.state(e, "v", "007", upkeep.Parked)
		if want := "another spelling of v/7"; !strings.Contains(x.Group.Reason, want) {
			t.Errorf("the reason is %q, want %q", x.Group.Reason, want)
		}
		s.state(e, "v", "7", upkeep.Clean)
		if err := e.Resync(s.ctx, upkeep.Resync{Sync: "v", Key: "007", Deleted: true}); err != nil {
			t.Fatal(err)
		}
		s.until("the other record to be deleted", func() bool { return len(s.remote.Records("v")) == 1 })
		s.state(e, "v", "7", upkeep.Clean)
		s.field("v", "v-7", "name", `"a"`)
	})
}

// What can be no key of the table is said, and not silently nothing.
func TestTouchOfNoKey(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(`create table v (id integer primary key, name text not null); create table w (id integer primary key, v text not null);
			insert into w values (1, 'abc')`)
		e := s.engine(keySyncs(s.to, true)...)
		s.run(e)
		tx := s.begin()
		for name, handle := range map[string]any{"alone": nil, "in a transaction": tx.handle} {
			err := e.Register(s.ctx, handle, "v", "abc")
			if want := `"abc" can be no key of `; err == nil || !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
		if err := tx.end(true); err != nil {
			t.Fatal(err)
		}
		x := s.state(e, "w", "1", upkeep.Parked)
		if want := `"abc" can be no key of `; !strings.Contains(x.Group.Reason, want) {
			t.Errorf("the reason is %q, want %q", x.Group.Reason, want)
		}
		s.wantGroups(e, "in the end")
	})
}

// A key whose case changes where case is ignored is another key: the record of
// the old one is deleted, and one of the new one is made.
func TestKeyThatChangesItsCase(t *testing.T) {
	onSpellings(t, func(t *testing.T, s *shop, key, other string) {
		if key != "abc" || other != "ABC" {
			return
		}
		s.exec(`insert into v values ('abc', 'a')`)
		s.exec(`insert into w values (1, 'abc')`)
		e := s.engine(keySyncs(s.to, false)...)
		s.run(e)
		s.wantGroups(e, "at first", "abc")
		s.exec(`update v set id = 'ABC'`)
		s.wantGroups(e, "changed", "ABC")
		if p := s.parked(e); len(p) > 0 {
			t.Errorf("parked: %v", p)
		}
		s.exec(`update v set id = 'ABC', name = 'b'`)
		s.wantGroups(e, "the same again", "ABC")
		s.field("v", "v-ABC", "name", `"b"`)
		s.exec(`delete from v`)
		s.wantGroups(e, "deleted")
	})
}

// Where groups are made by hand, a group under another spelling makes the one
// that has the row, when it is touched.
func TestGroupUnderAnotherSpellingHandsOver(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(`create table v (id text primary key, name text not null); create table w (id integer primary key, v text not null);
			insert into v values ('007', 'a')`)
		e := s.engine(keySyncs(s.to, true)...)
		stop := s.run(e)
		if err := e.Register(s.ctx, nil, "v", "007"); err != nil {
			t.Fatal(err)
		}
		s.wantGroups(e, "as text", "007")
		stop()
		s.exec(`drop table v; create table v (id integer primary key, name text not null); insert into v values (7, 'a')`)
		e = s.engine(keySyncs(s.to, true)...)
		s.run(e)
		if err := e.Resync(s.ctx, upkeep.Resync{Sync: "v", Key: "007", Force: true}); err != nil {
			t.Fatal(err)
		}
		s.state(e, "v", "7", upkeep.Clean)
		s.field("v", "v-7", "name", `"a"`)
	})
}

// A time is the key of the row that has it, with a zone and without.
func TestTimeAsAKey(t *testing.T) {
	t.Parallel()
	for _, declared := range []string{"timestamptz", "timestamp"} {
		t.Run(declared, func(t *testing.T) {
			s := makeShop(t, memory.Config{}, (*shop).onPostgres)
			s.exec(`create table v (id %s primary key, name text not null); create table w (id integer primary key, v text not null);
				insert into v values ('2020-01-02 03:04:05Z', 'a'), ('0044-03-15 01:02:03Z BC', 'a'), ('infinity', 'a')`, declared)
			e := s.engine(keySyncs(s.to, false)...)
			s.run(e)
			s.quiet(e)
			for _, key := range []any{
				time.Date(2020, 1, 2, 4, 4, 5, 0, time.FixedZone("x", 3600)), time.Date(-43, 3, 15, 1, 2, 3, 0, time.UTC), "Infinity",
			} {
				if err := e.Touch(s.ctx, nil, "v", key); err != nil {
					t.Fatal(err)
				}
			}
			s.quiet(e)
			if got := s.groups(e, "v"); len(got) != 3 {
				t.Errorf("the groups are %q", got)
			}
			for _, key := range []string{"2020-01-02T03:04:05Z", "0044-03-15 01:02:03+00 BC", "infinity"} {
				if x, err := e.Explain(s.ctx, "v", key); err != nil || x.Group == nil || x.Group.Cause.Op != "touch" || x.Group.State != upkeep.Clean {
					t.Errorf("the touch did not reach the group %q: %+v, %v", key, x, err)
				}
			}
		})
	}
}

// A table of what holds until when has the row that holds now at infinity.
func TestInfinityInAKey(t *testing.T) {
	t.Parallel()
	for _, deliver := range []upkeep.Delivery{upkeep.Latest, upkeep.Every} {
		t.Run(fmt.Sprint(deliver), func(t *testing.T) {
			t.Parallel()
			s := makeShop(t, memory.Config{}, (*shop).onPostgres)
			s.within(3 * time.Minute)
			s.fill()
			s.exec(`create table price (item text, valid_to date, amount numeric not null, primary key (item, valid_to));
				create table tier (id integer primary key, item text, valid_to date, foreign key (item, valid_to) references price on update cascade);
				insert into price values ('i1', '2020-01-01', 1), ('i1', 'infinity', 2); insert into tier values (1, 'i1', 'infinity')`)
			e := s.engine(plainCustomer(s.to), upkeep.Mapping{Name: "price", To: s.to, Record: "price", Deliver: deliver,
				From: &upkeep.Relation{Table: "price", Columns: []string{"amount"},
					HasMany: map[string]*upkeep.Relation{"tiers": {Table: "tier", Columns: []string{"id"}}}},
				Translate: func(r upkeep.Row) (upkeep.Fields, error) {
					return upkeep.Fields{"amount": r["amount"], "tiers": len(r["tiers"].([]upkeep.Row))}, nil
				}})
			s.run(e)
			s.quiet(e)
			s.exec(`insert into price values ('i2', 'infinity', 7), ('i3', '0044-03-15 BC', 8), ('i3', '0044-03-15', 9);
				insert into tier values (2, 'i2', 'infinity'), (3, 'i3', '0044-03-15 BC'); update users set name = 'goes on' where id = 1`)
			s.quiet(e)
			s.field("customer", "customer-1", "entityId", `"goes on"`)
			s.inSync(e, "price")
			for key, want := range map[string]string{"i1,2020-01-01": "1/0", "i1,infinity": "2/1", "i2,infinity": "7/1", "i3,0044-03-15 BC": "8/1", "i3,0044-03-15": "9/0"} {
				s.state(e, "price", key, upkeep.Clean)
				if got := s.remote.Text("price", "price-"+key, "amount") + "/" + s.remote.Text("price", "price-"+key, "tiers"); got != want {
					t.Errorf("%s: %s, want %s", key, got, want)
				}
			}
			s.exec(`delete from tier where id = 3; update price set valid_to = '2026-01-01' where item = 'i2'; delete from price where item = 'i3' and valid_to < '0001-01-01'`)
			s.quiet(e)
			s.inSync(e, "price")
			keys := s.groups(e, "price")
			if want := []string{"i1,2020-01-01", "i1,infinity", "i2,2026-01-01", "i3,0044-03-15"}; !slices.Equal(keys, want) {
				t.Errorf("the groups are %q, want %q", keys, want)
			}
			if got := len(s.remote.Records("price")); got != 4 {
				t.Errorf("there are %d records, want 4", got)
			}
		})
	}
}
