package upkeep_test

import (
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Memo is a row whose table is given another primary key.
type Memo struct {
	Code string `db:"code"`
	Text string `db:"text"`
}

func memoSync(to *upkeep.Remote) upkeep.Sync[Memo] {
	return upkeep.Sync[Memo]{Name: "memo", Table: "memos", To: to, Record: "memo", OnDelete: upkeep.Ending{Action: upkeep.Delete},
		Translate: func(m Memo) (upkeep.Fields, error) { return upkeep.Fields{"text": m.Text}, nil }}
}

// rekey gives memos another key, as a migration does on either database.
func (s *shop) rekey(key string) {
	s.t.Helper()
	s.exec(`begin; create table others (code text not null, dept text not null, text text, primary key (%s));
		insert into others select code, dept, text from memos; drop table memos; alter table others rename to memos; commit`, key)
}

// A table is given another primary key: its rows become no second records, by whoever
// is at work and by whoever starts, and all go on when the old key is back.
func TestAnotherPrimaryKey(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		for name, key := range map[string]string{"of more columns": "code, dept", "of another column": "dept"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newShop(memory.Config{}).in(t)
				s.exec(`create table memos (code text not null primary key, dept text not null, text text); insert into memos values ('a', 'x', 'one'), ('b', 'y', 'two')`)
				e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: new(restless), Syncs: []upkeep.AnySync{memoSync(s.to), customerSync(s.to)}})
				if err != nil {
					t.Fatal(err)
				}
				stop := s.run(e)
				s.quiet(e)
				s.rekey(key)
				s.until("the sync to be held", func() bool {
					s.exec(`update memos set text = text || '!' where code = 'a'`)
					st, err := e.Status(s.ctx)
					return err == nil && strings.Contains(st.Syncs[0].Held, "primary key")
				})
				s.exec(`delete from memos where code = 'b'; insert into users (id, name) values (7, 'Goes on')`)
				s.until("the other sync", func() bool { return s.remote.Text("customer", "customer-7", "entityId") == `"Goes on"` })
				if n := len(s.remote.Records("memo")); n != 2 {
					t.Errorf("%d records of two rows", n)
				}
				stop()

				e = s.engine(memoSync(s.to), customerSync(s.to))
				if err := e.Install(s.ctx); err == nil || !strings.Contains(err.Error(), "was (code) when it was installed, and is ("+key+")") {
					t.Errorf("installed all the same: %v", err)
				}
				found, err := e.Check(s.ctx)
				if err != nil || len(found) == 0 || found[0].Severity != upkeep.Problem || !strings.Contains(found[0].Fix, "make (code) the primary key again") {
					t.Errorf("check says %v, %v", found, err)
				}

				s.rekey("code")
				s.run(e)
				s.until("all to be as the rows say", func() bool {
					return strings.HasSuffix(s.remote.Text("memo", "memo-a", "text"), `!"`)
				})
				// The table was made anew, without triggers: if they were back by the
				// time that the row went, is the worker's luck. It is told either way.
				s.until("the other row's end", func() bool {
					x, err := e.Explain(s.ctx, "memo", "b")
					return err == nil && (len(s.remote.Records("memo")) == 1 || x.Group.State == upkeep.Parked && strings.HasPrefix(x.Group.Reason, store.DeletionUnseen))
				})
			})
		}
	})
}

// Text is a row whose key no field reads.
type Text struct {
	Text string `db:"text"`
}

// A key's column that is called otherwise is the same key.
func TestRenamedKeyColumn(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(`create table memos (code text not null primary key, text text); insert into memos values ('a', 'one')`)
		named := upkeep.Sync[Text]{Name: "memo", Table: "memos", To: s.to, Record: "memo",
			Translate: func(x Text) (upkeep.Fields, error) { return upkeep.Fields{"text": x.Text}, nil }}
		e := s.engine(named)
		stop := s.run(e)
		s.quiet(e)
		stop()
		was := "code"
		for _, name := range []string{"ident", "number"} {
			s.exec(`alter table memos rename column ` + was + ` to ` + name + `; update memos set text = 'of ` + name + `'`)
			stop = s.run(e)
			s.until("the change", func() bool { return s.remote.Text("memo", "memo-a", "text") == `"of `+name+`"` })
			stop()
			e, was = s.engine(named), name
		}
		if n := len(s.remote.Records("memo")); n != 1 {
			t.Errorf("%d records of one row", n)
		}
	})
}
