package upkeep_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

type upper string

func (u *upper) UnmarshalText(b []byte) error {
	*u = upper(strings.ToUpper(string(b)))
	return nil
}

type level int

func (l *level) UnmarshalText(b []byte) error {
	*l = map[string]level{"low": 1, "high": 2}[string(b)]
	if *l == 0 {
		return fmt.Errorf("there is no level %q", b)
	}
	return nil
}

type coded string

func (c *coded) Scan(v any) error {
	*c = coded(strings.TrimPrefix(v.(string), "enc:"))
	return nil
}

type km int64

func (k *km) Scan(v any) error {
	*k = km(v.(int64) / 1000)
	return nil
}

type yes bool

func (y *yes) Scan(v any) error {
	*y = v == "yes"
	return nil
}

type cents int64

func (c *cents) Scan(v any) error {
	_, err := fmt.Sscan(strings.ReplaceAll(v.(string), ".", ""), (*int64)(c))
	return err
}

type loud string

func (l *loud) UnmarshalJSON(b []byte) error {
	var s string
	err := json.Unmarshal(b, &s)
	*l = loud(s + "!")
	return err
}

// A type of an address takes an inet of one address; the mask that the database
// writes behind it is no part of it. A network is none.
func TestAddresses(t *testing.T) {
	t.Parallel()
	type host struct {
		ID   int64        `db:"id"`
		Addr netip.Addr   `db:"addr"`
		IP   net.IP       `db:"addr"`
		Net  netip.Prefix `db:"addr"`
		None *netip.Addr  `db:"none"`
	}
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.exec(`create table hosts (id integer primary key, addr inet not null, none inet); insert into hosts values (1, '10.0.0.1'), (2, '::1'), (3, '10.0.0.0/8')`)
	e := s.engine(upkeep.Sync[host]{Name: "h", Table: "hosts", To: s.to, Record: "h", Translate: func(h host) (upkeep.Fields, error) {
		return upkeep.Fields{"all": words(h.Addr, h.IP, h.Net, h.None)}, nil
	}})
	s.run(e)
	s.quiet(e)
	s.field("h", "h-1", "all", `"10.0.0.1 10.0.0.1 10.0.0.1/32 <nil>"`)
	s.field("h", "h-2", "all", `"::1 ::1 ::1/128 <nil>"`)
	if x := s.state(e, "h", "3", upkeep.Parked); !strings.Contains(x.Why, "UnmarshalText of netip.Addr: ") || !strings.Contains(x.Why, "10.0.0.0/8") {
		t.Errorf("a network: %s", x.Why)
	}
}

// What a type makes of a value is what is sent, from both databases.
func TestTypesReadTheirColumns(t *testing.T) {
	t.Parallel()
	type part struct {
		Coded coded `db:"coded"`
		Upper upper `db:"up"`
	}
	type all struct {
		ID     int64  `db:"id"`
		Up     upper  `db:"up"`
		Maybe  *upper `db:"maybe"`
		Level  level  `db:"level"`
		Coded  coded  `db:"coded"`
		None   *coded `db:"none"`
		Km     km     `db:"km"`
		Yes    yes    `db:"yes"`
		Cents  cents  `db:"cents"`
		Loud   loud   `db:"loud"`
		InJSON loud   `db:"js"`
		Parts  []part `has_many:"parts.all_id"`
	}
	for name, open := range map[string]func(*shop){"sqlite": (*shop).onSQLite, "postgres": (*shop).onPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := makeShop(t, memory.Config{}, open)
			s.exec(`create table all_types (id integer primary key, up text not null, maybe text, level text not null, coded text not null, none text, km integer not null,
				yes text not null, cents numeric(12,2) not null, loud text not null, js json not null);
			create table parts (id integer primary key, all_id integer not null references all_types(id), coded text not null, up text not null);
			insert into all_types values (1, 'low', 'low', 'high', 'enc:W1', null, 12000, 'yes', 19.95, 'x', '"y"'), (2, 'low', null, 'none', 'enc:W1', null, 12000, 'yes', 19.95, 'x', '"y"');
			insert into parts values (1, 1, 'enc:P', 'up')`)
			e := s.engine(upkeep.Sync[all]{Name: "a", Table: "all_types", To: s.to, Record: "a", ExternalID: func(v all) string { return fmt.Sprintf("a-%d", v.ID) }, Translate: func(v all) (upkeep.Fields, error) {
				return upkeep.Fields{"all": words(v.Up, *v.Maybe, int(v.Level), v.Coded, v.None == nil, int(v.Km), bool(v.Yes), int(v.Cents), v.Loud, v.InJSON, v.Parts)}, nil
			}})
			s.run(e)
			s.quiet(e)
			s.field("a", "a-1", "all", `"LOW LOW 2 W1 true 12 true 1995 x! y! [{P UP}]"`)
			s.state(e, "a", "2", upkeep.Parked)
			x, err := e.Explain(s.ctx, "a", "2")
			if want := `parked: load: level: UnmarshalText of upkeep_test.level: there is no level "none"`; err != nil || !strings.Contains(x.Why, want) {
				t.Errorf("%q (%v), want %s", x.Why, err, want)
			}
		})
	}
}
