package upkeep_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// A process that only gives commands learns what a migration has changed, as
// one that runs does.
func TestCommandsAfterMigrations(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		s.exec(`create table papers (id integer primary key, body integer); insert into papers values (1, 10)`)
		sync := upkeep.Mapping{Name: "paper", From: &upkeep.Relation{Table: "papers", Columns: []string{"body"}}, To: s.to, Record: "paper", ByHand: true, Deliver: upkeep.Every,
			Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"body": fmt.Sprint(r["body"])}, nil }}
		s.within(3 * time.Minute)
		app := s.engine(sync)
		stop := s.run(s.engine(sync))
		command := func(what, want string) {
			t.Helper()
			if err := app.Command(s.ctx, nil, "paper", 1); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			s.until(what+" to be delivered", func() bool {
				return s.remote.Text("paper", "paper-1", "body") == want
			})
		}
		command("the first", `"10"`)
		stop()
		if strings.HasSuffix(t.Name(), "sqlite") {
			s.exec(`create table new_papers (id integer primary key, body text); insert into new_papers select id, body from papers; drop table papers; alter table new_papers rename to papers`)
		} else {
			s.exec(`begin; select upkeep.release('papers'); alter table papers alter column body type text; commit`)
		}
		s.exec(`update papers set body = 'text'`)
		s.run(s.engine(sync))
		command("a version of another type", `"text"`)
	})
}

// A key column that was renamed, which a process that only gives commands does
// not know: no version of its is taken for a deletion.
func TestCommandWithAKeyOfBefore(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.exec(`create table papers (id integer primary key, body text); insert into papers values (1, 'first')`)
	sync := upkeep.Mapping{Name: "paper", From: &upkeep.Relation{Table: "papers", Columns: []string{"body"}}, To: s.to, Record: "paper", ByHand: true, Deliver: upkeep.Every,
		Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"body": r["body"]}, nil }}
	worker, app := s.engine(sync), s.engine(sync)
	stop := s.run(worker)
	delivered := func(want string) {
		t.Helper()
		if err := app.Command(s.ctx, nil, "paper", 1); err != nil {
			t.Fatal(err)
		}
		s.until(want+" to be delivered", func() bool { return s.remote.Text("paper", "paper-1", "body") == want })
	}
	delivered(`"first"`)
	stop()
	s.exec(`begin; select upkeep.release('papers'); alter table papers rename column id to no; commit`)
	after := s.engine(sync)
	s.run(after)
	s.exec(`update papers set body = 'second'`)
	delivered(`"second"`)
	for _, q := range s.remote.Applied() {
		if q.Verb == memory.Delete {
			t.Errorf("the record was deleted: %+v", q)
		}
	}
}
