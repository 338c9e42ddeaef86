package upkeep_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// Of a row and a record that are gone nothing stays in the registry, if that is asked for;
// and of nothing else.
func TestForget(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		const key, other = "7700123", "7700456"
		s := newShop(memory.Config{}).in(t)
		s.exec(`insert into users (id, name) values (%s, 'Ada'), (%s, 'Bob'), (1, 'Cid')`, key, other)
		customer := customerSync(s.to)
		customer.OnDelete = upkeep.Ending{Action: upkeep.Delete}
		customer.When = func(u User) bool { return u.Name != "off" }
		e := s.engine(customer)
		s.run(e)
		s.quiet(e)
		forget := func(key string, want error, says string) {
			t.Helper()
			err := e.Forget(s.ctx, upkeep.Forget{Sync: "customer", Key: key})
			if !errors.Is(err, want) || err != nil && !strings.Contains(err.Error(), says) {
				t.Errorf("forget %s: %v, want %v: %s", key, err, want, says)
			}
		}
		forget(key, upkeep.ErrNotGone, "the row of customer/7700123 is there")
		forget("99", upkeep.ErrNoGroup, "customer/99")
		if err := e.Resync(s.ctx, upkeep.Resync{Sync: "customer", Key: key, Force: true}); err != nil {
			t.Fatal(err)
		}
		s.exec(`update users set name = 'off' where id = 1`) // its record is kept
		s.quiet(e)
		s.exec(`delete from users where id in (%s, 1)`, key)
		s.quiet(e)
		s.state(e, "customer", key, upkeep.Gone)
		forget(key, nil, "")
		if found := s.traces(key); len(found) > 0 {
			t.Errorf("left of it: %q", found)
		}
		if found := s.traces(other); len(found) == 0 {
			t.Error("of the other one nothing is left, or this can't be seen")
		}
		forget(key, upkeep.ErrNoGroup, "")
		all, err := e.Interventions(s.ctx, "customer", "", 100)
		if err != nil {
			t.Fatal(err)
		}
		var did []string
		for _, i := range all {
			did = append(did, fmt.Sprint(i.Did, " ", i.Key, " ", i.Detail))
		}
		if got := strings.Join(did, "; "); !strings.Contains(got, "forget  a group that is gone") || !strings.Contains(got, "resync  forgotten") {
			t.Errorf("done by hand: %s", got)
		}
		// It is a new row for all that is known.
		s.exec(`insert into users (id, name) values (%s, 'Ada')`, key)
		s.quiet(e)
		s.inSync(e, "customer")
	})
}

// A record that is kept at the remote is known, unless that is asked for.
func TestForgetOfAKeptRecord(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{}).in(t)
		s.exec(`insert into users (id, name) values (7700123, 'Ada')`)
		customer := customerSync(s.to)
		customer.OnDelete = upkeep.Ending{Action: upkeep.Keep}
		e := s.engine(customer)
		s.run(e)
		s.quiet(e)
		s.exec(`delete from users where id = 7700123`)
		s.quiet(e)
		err := e.Forget(s.ctx, upkeep.Forget{Sync: "customer", Key: "7700123"})
		if !errors.Is(err, upkeep.ErrNotGone) || !strings.Contains(err.Error(), "may be made twice") {
			t.Errorf("forget: %v", err)
		}
		if err := e.Forget(s.ctx, upkeep.Forget{Sync: "customer", Key: "7700123", Kept: true}); err != nil {
			t.Error(err)
		}
		if found := s.traces("7700123"); len(found) > 0 {
			t.Errorf("left of it: %q", found)
		}
		s.oneCustomer()
	})
}

// traces are the tables of Upkeep that have a text.
func (s *shop) traces(text string) (found []string) {
	s.t.Helper()
	driver, source, tables := "sqlite", "file:"+s.url+"?_pragma=busy_timeout(10000)", `select name from sqlite_master where type = 'table' and name like 'upkeep%'`
	if strings.HasPrefix(s.url, "postgres") {
		driver, source, tables = "pgx", s.url, `select format('upkeep.%I', tablename) from pg_tables where schemaname = 'upkeep'`
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	read := func(query string) (lines []string) {
		s.t.Helper()
		rows, err := db.QueryContext(s.ctx, query)
		if err != nil {
			s.t.Fatal(err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			s.t.Fatal(err)
		}
		values := make([]sql.RawBytes, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				s.t.Fatal(err)
			}
			lines = append(lines, fmt.Sprintf("%s", values))
		}
		if err := rows.Err(); err != nil {
			s.t.Fatal(err)
		}
		return lines
	}
	for _, table := range read(tables) {
		table = strings.Trim(table, "[]")
		if strings.Contains(strings.Join(read("select * from "+table), "\n"), text) {
			found = append(found, table)
		}
	}
	return found
}
