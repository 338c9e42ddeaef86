package upkeep_test

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// family are two syncs: a kid refers to its parent by a text key.
func (s *shop) family() []upkeep.AnySync {
	s.exec(`create table parents (code text primary key, name text); create table kids (id integer primary key, code text)`)
	parent := upkeep.Mapping{Name: "parent", From: &upkeep.Relation{Table: "parents", Columns: []string{"name"}}, To: s.to, Record: "parent",
		Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"name": r["name"]}, nil }}
	kid := upkeep.Mapping{Name: "kid", From: &upkeep.Relation{Table: "kids", Columns: []string{"code"}}, To: s.to, Record: "kid", RefersTo: []string{"parent"},
		Translate: func(r upkeep.Row) (upkeep.Fields, error) {
			if r["code"] == nil {
				return upkeep.Fields{"parent": nil}, nil
			}
			return upkeep.Fields{"parent": upkeep.Ref("parent", r["code"])}, nil
		}}
	return []upkeep.AnySync{parent, kid}
}

// kids waits until so many kids are clean; none is in doubt.
func (s *shop) kids(e *upkeep.Engine, clean int64) {
	s.t.Helper()
	s.until("the other kids", func() bool {
		st, err := e.Status(s.ctx)
		if err != nil {
			return false
		}
		for _, c := range st.Syncs {
			if c.Sync == "kid" && c.InDoubt > 0 {
				s.t.Fatalf("%d kids are in doubt", c.InDoubt)
			}
			if c.Sync == "kid" && c.Clean == clean {
				return true
			}
		}
		return false
	})
}

// A reference to a key that no index takes parks its record, and delays no other.
func TestReferenceToAnOverlongKey(t *testing.T) {
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	e := s.engine(s.family()...)
	s.run(e)
	s.quiet(e)
	b := make([]byte, 4000)
	_, _ = rand.Read(b)
	s.exec(`insert into kids select n, case when n = 7 then '%s' end from generate_series(1, 20) n`, hex.EncodeToString(b))
	s.kids(e, 19)
	x := s.state(e, "kid", "7", upkeep.Parked)
	if !strings.Contains(x.Group.Reason, "a text of 8000 bytes") || len(x.Group.Reason) > 500 {
		t.Errorf("it is parked since %q", x.Group.Reason)
	}
	// A key that an index can compress may be as long.
	s.exec(`insert into parents values (repeat('ab', 4000), 'long'); insert into kids values (21, repeat('ab', 4000))`)
	s.kids(e, 20)
	s.exec(`update kids set code = null where id = 7`)
	s.kids(e, 21)
}

// One result that the database does not take delays no other, and nothing that
// was done at the remote is forgotten for it.
func TestResultThatTheDatabaseDoesNotTake(t *testing.T) {
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	e := s.engine(s.family()...)
	s.run(e)
	s.exec(`insert into parents values ('there', 'there')`)
	s.quiet(e)
	s.exec(`create function public.refuse() returns trigger language plpgsql as $$ begin
		if new.key = 'poison' or 'parent/there' = any(new.refs) then
			raise exception 'index row size 4040 exceeds maximum' using errcode = '54000';
		end if; return new; end $$;
		create trigger stands_in_the_way before insert or update on upkeep.groups for each row execute function public.refuse()`)
	s.exec(`insert into kids select n, case n when 7 then 'poison' when 9 then 'there' end from generate_series(1, 20) n`)
	s.kids(e, 18)
	x := s.state(e, "kid", "7", upkeep.Parked)
	if !strings.Contains(x.Group.Reason, "shorten the key") || !strings.Contains(x.Group.Reason, "54000") {
		t.Errorf("it is parked since %q", x.Group.Reason)
	}
	s.until("the made one", func() bool {
		var err error
		x, err = e.Explain(s.ctx, "kid", "9")
		return err == nil && x.Group != nil && x.Group.RemoteID != ""
	})
	if x.Group.State != upkeep.Dirty || !strings.Contains(x.Group.Reason, "shorten the key") || len(x.Attempts) != 1 {
		t.Errorf("its group is %+v after %+v, want it dirty with its record known, and one call", x.Group, x.Attempts)
	}
	s.exec(`drop trigger stands_in_the_way on upkeep.groups; update kids set code = null where id = 7; update kids set code = code where id = 9`)
	if _, err := e.Retry(s.ctx, "", ""); err != nil {
		t.Fatal(err)
	}
	s.kids(e, 19)
}
