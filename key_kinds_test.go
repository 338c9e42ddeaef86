package upkeep_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// keyKind is a type that a key can have, and values of it, in SQL, that are
// unlike others.
type keyKind struct {
	declared string
	values   []string
}

// keyKinds are all those of PostgreSQL that work.
var keyKinds = map[string][]keyKind{
	"times": {
		{"date", []string{"'2020-01-02'", "'infinity'", "'-infinity'", "'0044-03-15'", "'0044-03-15 BC'", "'0001-12-31 BC'", "'12020-01-02'", "'5874897-12-31'", "'4713-01-01 BC'"}},
		{"timestamp", []string{"'2020-01-02 03:04:05.06'", "'infinity'", "'-infinity'", "'0044-03-15 01:02:03'", "'0044-03-15 01:02:03 BC'", "'12020-01-02'", "'294276-12-31 23:59:59.999999'", "'4713-01-01 BC'"}},
		{"timestamp(0)", []string{"'2020-01-02 03:04:05'", "'infinity'", "'0044-03-15 BC'", "'0044-03-15'"}},
		{"timestamptz", []string{"'2020-01-02 03:04:05.06+07'", "'infinity'", "'-infinity'", "'0044-03-15 01:02:03+00'", "'0044-03-15 01:02:03+00 BC'", "'0001-12-31 23:30:00-01 BC'", "'0001-01-01 00:00+00'", "'12020-01-02 00:00+00'", "'294276-12-31 23:59:59.999999+00'", "'4713-01-01 00:00+00 BC'"}},
		{"timestamptz(3)", []string{"'2020-01-02 03:04:05.678+00'", "'infinity'", "'0044-03-15 BC'", "'0044-03-15'"}},
		{"time", []string{"'00:00'", "'24:00'", "'12:34:56.789012'"}},
		{"timetz", []string{"'00:00+00'", "'24:00+14'", "'12:34:56.789012-15:59:59'"}},
		{"interval", []string{"'0'", "'-1 year 2 mons -3 days 04:05:06.789'", "'1 mon -1 day'", "'178000000 years'"}},
	},
	"numbers": {
		{"smallint", []string{"0", "-32768", "32767"}},
		{"bigint", []string{"0", "-9223372036854775808", "9223372036854775807"}},
		{"numeric", []string{"0", "1.50", "-0.000000000000000000000000000001", "1e40", "'NaN'", "'Infinity'", "'-Infinity'"}},
		{"numeric(10,2)", []string{"0", "1.50", "-12345678.9", "'NaN'"}},
		{"real", []string{"0", "1.1", "-3e38", "1e-40", "'NaN'", "'Infinity'", "'-Infinity'"}},
		{"double precision", []string{"0", "0.1::float8 + 0.2", "-1e308", "5e-324", "'NaN'", "'Infinity'", "'-Infinity'"}},
		{"boolean", []string{"false", "true"}},
		{"oid", []string{"0", "4294967295"}},
	},
	"texts": {
		{"text", []string{"''", "' '", "'a,b'", `'a\b'`, "'infinity'", "'%'", "'a/b'", "E'a\\nb'", "'NULL'", "'ä😀'", `'{"a"}'`, "'-x'"}},
		{"varchar(20)", []string{"''", "'a '", "'a'"}},
		{"char(4)", []string{"''", "'a'", "' b'"}},
		{`"char"`, []string{"''", "'a'", "' '", "','"}},
		{"name", []string{"''", "'a b'"}},
		{"citext", []string{"''", "'Ab'", "'b,c'"}},
		{"uuid", []string{"'00000000-0000-0000-0000-000000000000'", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"}},
		{"bytea", []string{"''", `'\x00'`, `'\xff5c2c'`, `'\x6162'`}},
	},
	"addresses": {
		{"inet", []string{"'10.0.0.1'", "'10.0.0.1/8'", "'::1'", "'10.0.0.0/32'"}},
		{"cidr", []string{"'10.0.0.0/8'", "'10.0.0.0/32'", "'::/0'"}},
		{"macaddr", []string{"'08:00:2b:01:02:03'"}},
		{"macaddr8", []string{"'08:00:2b:01:02:03:04:05'"}},
		{"bit(3)", []string{"B'101'", "B'000'"}},
		{"bit varying", []string{"B''", "B'101'", "B'0000'"}},
		{"pg_lsn", []string{"'0/0'", "'16/B374D848'"}},
		{"tid", []string{"'(0,1)'", "'(5,6)'"}},
		{"tsvector", []string{"''", "'a b:1A'"}},
	},
	"types of its own": {
		{"mood", []string{"'sad'", "'a, b'", "''"}},
		{"positive", []string{"1", "2147483647"}},
		{"until", []string{"'2020-01-02'", "'infinity'"}},
		{"amount", []string{"1", "1.5", "'NaN'"}},
		{"int4range", []string{"'empty'", "'[1,5)'", "'(,)'", "'[5,]'"}},
		{"daterange", []string{"'empty'", "'[2020-01-01,infinity]'", "'[0044-03-15 BC,)'", "'[2020-01-01,)'"}},
		{"tstzrange", []string{"'empty'", "'[2020-01-01,infinity]'", "'[0044-03-15 BC,)'"}},
		{"int4multirange", []string{"'{}'", "'{[1,5),[7,9)}'"}},
	},
}

const keyTypes = `create extension citext;
	create type mood as enum ('sad', 'a, b', '');
	create domain positive as integer check (value > 0);
	create domain until as date check (value > '2000-01-01');
	create domain amount as numeric(10,2);
	create domain ids as integer[];
	create domain salary as money;
	create extension hstore;
	create type pair as (a int, b text);`

// Every kind of key works for every value that it can have: each row is a
// group, which its key leads to, whatever the application's session writes
// values like.
func TestKindsOfKeys(t *testing.T) {
	t.Parallel()
	for family, kinds := range keyKinds {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			s := makeShop(t, memory.Config{}, (*shop).onPostgres)
			s.exec(keyTypes + `set timezone = 'Europe/Berlin'; set datestyle = 'SQL, DMY'; set intervalstyle = 'sql_standard';
				set bytea_output = 'escape'; set extra_float_digits = 0`)
			kinds := s.known(kinds)
			k := &keyed{shop: s, kinds: kinds}
			var syncs []upkeep.AnySync
			for i, kind := range kinds {
				s.exec(`create table v` + fmt.Sprint(i) + ` (id ` + kind.declared + ` primary key, name text not null)`)
				syncs = append(syncs, upkeep.Mapping{Name: k.sync(i), To: s.to, Record: k.sync(i),
					From:      &upkeep.Relation{Table: k.sync(i), Columns: []string{"name"}},
					Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"name": r["name"]}, nil }})
			}
			k.insert(0)
			e := s.engine(syncs...)
			k.e = e
			s.run(e)
			s.quiet(e)
			k.insert(1)
			k.want("inserted", "a", func(n int) int { return n })
			k.each(`update %s set name = 'b'`)
			k.want("changed", "b", func(n int) int { return n })
			for i := range kinds {
				k.look(i)
			}
			if _, err := e.Forecast(s.ctx, upkeep.ForecastOptions{}); err != nil {
				t.Errorf("forecast: %v", err)
			}
			if err := e.Resync(s.ctx, upkeep.Resync{Force: true}); err != nil {
				t.Fatal(err)
			}
			k.want("swept", "b", func(n int) int { return n })
			for i, kind := range kinds {
				s.exec(`delete from %s where id = (%s)::%s`, k.sync(i), kind.values[0], kind.declared)
			}
			k.want("one deleted", "b", func(n int) int { return n - 1 })
			k.each(`delete from %s`)
			k.want("deleted", "b", func(int) int { return 0 })
		})
	}
}

// known leaves out what servers before PostgreSQL 14 do not know.
func (s *shop) known(kinds []keyKind) (known []keyKind) {
	s.t.Helper()
	tx, version := s.begin(), 0
	if err := tx.handle.(pgx.Tx).QueryRow(s.ctx, "select current_setting('server_version_num')::integer").Scan(&version); err != nil {
		s.t.Fatal(err)
	}
	if err := tx.end(false); err != nil {
		s.t.Fatal(err)
	}
	for _, kind := range kinds {
		if version < 140000 && kind.declared == "numeric" {
			kind.values = slices.DeleteFunc(slices.Clone(kind.values), func(v string) bool { return strings.Contains(v, "Infinity") })
		}
		if version >= 140000 || !strings.HasSuffix(kind.declared, "multirange") {
			known = append(known, kind)
		}
	}
	return known
}

// The others are refused.
func TestKindsOfKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.exec(keyTypes)
	for declared, want := range map[string]string{
		"text[]":    "id of public.v is of type text[], which can be no key: it holds many values",
		"date[]":    "id of public.v is of type date[], which can be no key",
		"ids":       "id of public.v is of type public.ids, which can be no key",
		"pair":      "id of public.v is of type public.pair, which can be no key",
		"oidvector": "id of public.v is of type oidvector, which can be no key",
		"jsonb":     "id of public.v is of type jsonb, which can be no key",
		"hstore":    "id of public.v is of type public.hstore, which can be no key",
		"money":     "id of public.v is of type money, which can be no key: its text depends on a setting",
		"salary":    "id of public.v is of type public.salary, which can be no key: its text depends on a setting",
	} {
		s.exec(`drop table if exists v; create table v (id ` + declared + ` primary key, name text not null)`)
		found, err := s.engine(upkeep.Mapping{Name: "v", To: s.to, Record: "v", From: &upkeep.Relation{Table: "v", Columns: []string{"name"}},
			Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"name": r["name"]}, nil }}).Check(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got := findingsOf(found, "v"); !strings.Contains(got, want) {
			t.Errorf("%s: %q in %+v, want %q", declared, got, found, want)
		}
	}
}

// keyed is a shop with a sync for each kind of key.
type keyed struct {
	*shop
	kinds []keyKind
	e     *upkeep.Engine
}

func (k *keyed) sync(i int) string { return fmt.Sprintf("v%d", i) }

// insert inserts every other value, beginning with one.
func (k *keyed) insert(from int) {
	k.t.Helper()
	for i, kind := range k.kinds {
		for j := from; j < len(kind.values); j += 2 {
			k.exec(`insert into %s values (%s, 'a')`, k.sync(i), kind.values[j])
		}
	}
}

func (k *keyed) each(sql string) {
	k.t.Helper()
	for i := range k.kinds {
		k.exec(sql, k.sync(i))
	}
}

// want waits until all is quiet. Of each sync all groups that are not gone are
// to be clean, and to have a record with the name.
func (k *keyed) want(when, name string, want func(values int) int) {
	k.t.Helper()
	k.quiet(k.e)
	for i, kind := range k.kinds {
		keys := k.groups(k.e, k.sync(i))
		n := want(len(kind.values))
		if got := len(k.remote.Records(k.sync(i))); len(keys) != n || got != n {
			k.t.Errorf("%s, %s: the groups are %q and there are %d records, want %d", when, kind.declared, keys, got, n)
		}
		for _, key := range keys {
			if x, err := k.e.Explain(k.ctx, k.sync(i), key); err != nil || x.Group.State != upkeep.Clean {
				k.t.Errorf("%s, %s: %q is not clean: %+v, %v", when, kind.declared, key, x, err)
			}
			if got := k.remote.Text(k.sync(i), k.sync(i)+"-"+key, "name"); got != `"`+name+`"` {
				k.t.Errorf("%s, %s: the record of %q has the name %s", when, kind.declared, key, got)
			}
		}
	}
}

// look uses each key of a sync as a person does.
func (k *keyed) look(i int) {
	k.t.Helper()
	declared, keys := k.kinds[i].declared, k.groups(k.e, k.sync(i))
	k.t.Logf("%s: %q", declared, keys)
	for _, key := range keys {
		if err := k.e.Touch(k.ctx, nil, k.sync(i), key); err != nil {
			k.t.Errorf("%s: %v", declared, err)
		}
	}
	tx := k.begin() // where only the fold can tell
	for _, key := range keys {
		if err := k.e.Touch(k.ctx, tx.handle, k.sync(i), key); err != nil {
			k.t.Errorf("%s: %v", declared, err)
		}
	}
	if err := tx.end(true); err != nil {
		k.t.Fatal(err)
	}
	k.want("touched", "b", func(n int) int { return n })
	for _, key := range keys {
		x, err := k.e.Explain(k.ctx, k.sync(i), key)
		if err != nil || x.Group == nil || x.Group.Cause.Op != "touch" {
			k.t.Errorf("%s: %q was not touched: %+v, %v", declared, key, x, err)
		}
	}
	if v, err := k.e.Verify(k.ctx, k.sync(i), nil, keys...); err != nil || v.Groups != len(keys) || len(v.Differences) > 0 {
		k.t.Errorf("%s: verify: %+v, %v", declared, v, err)
	}
	if missed, err := k.e.Audit(k.ctx, k.sync(i), nil); err != nil || len(missed) > 0 {
		k.t.Errorf("%s: audit: %+v, %v", declared, missed, err)
	}
}
