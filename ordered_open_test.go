package upkeep_test

import (
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// Versions of groups that a transaction's own rows do not lead to any more when
// they are folded: another transaction deleted the root row meanwhile, or let it
// refer to another one. They are delivered all the same, and then what is so.
func TestVersionsThatNoRowLeadsTo(t *testing.T) {
	t.Parallel()
	type author struct {
		Name string `db:"name"`
	}
	type ticket struct {
		ID    int64   `db:"id"`
		State string  `db:"state"`
		User  *author `belongs_to:"users.user_id"`
	}
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.tickets(2)
	s.exec(`insert into users (id, name) values (1, 'Ann'); update tickets set user_id = 1; delete from notes`)
	e := s.engine(upkeep.Sync[ticket]{
		Name: "ticket", Table: "tickets", To: s.to, Record: "ticket", Deliver: upkeep.Every,
		Translate: func(t ticket) (upkeep.Fields, error) {
			return upkeep.Fields{"state": t.User.Name, "version": t.ID}, nil
		},
	})
	s.run(e)
	s.quiet(e)
	snapshot := s.begin()
	do := func(sql string) {
		t.Helper()
		if err := snapshot.exec(s.ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	do(`set transaction isolation level repeatable read`)
	do(`select from users`)
	s.exec(`delete from tickets where id = 1`)
	s.quiet(e)
	s.wantDelivered("ticket-1", `1 "Ann"`, "deleted")
	do(`update users set name = 'Bea'`)
	if err := snapshot.end(true); err != nil {
		t.Fatal(err)
	}
	s.quiet(e)
	s.wantDelivered("ticket-1", `1 "Ann"`, "deleted") // or it would be made again
	s.wantGap(e, "1", "passed over")
	s.wantDelivered("ticket-2", `2 "Ann"`, `2 "Bea"`)

	// The row refers to another one before its version is committed.
	other := s.begin()
	if err := other.exec(s.ctx, `update users set name = 'Cid' where id = 1`); err != nil {
		t.Fatal(err)
	}
	s.exec(`insert into users (id, name) values (2, 'Dan'); update tickets set user_id = 2`)
	s.quiet(e)
	if err := other.end(true); err != nil {
		t.Fatal(err)
	}
	s.quiet(e)
	s.wantDelivered("ticket-2", `2 "Ann"`, `2 "Bea"`, `2 "Dan"`)
	if st, err := e.Status(s.ctx); err != nil || st.Syncs[0].Commands != 0 {
		t.Errorf("versions that nobody delivers: %+v, %v", st.Syncs, err)
	}
}

// A version that was read when its transaction was prepared comes to light when
// a later one has ended the record: it would make it again.
func TestVersionPreparedBeforeTheEnd(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.tickets(2)
	s.exec(`alter table notes drop constraint notes_ticket_id_fkey`) // it would keep the row
	e := s.engine(ticketSync(s.to))
	s.run(e)
	s.quiet(e)
	prepare := func(name, sql string) {
		t.Helper()
		tx := s.begin()
		for _, do := range []string{sql, "prepare transaction '" + name + "'"} {
			if err := tx.exec(s.ctx, do); err != nil {
				t.Fatal(err)
			}
		}
		_ = tx.end(false) // nothing is open any more
	}
	prepare("notes", `update notes set text = 'late' where id = 11`)
	s.exec(`set statement_timeout = '2s'; delete from tickets where id = 1; reset statement_timeout`)
	s.quiet(e)
	s.wantDelivered("ticket-1", `0 "new"`, "deleted")
	s.exec(`commit prepared 'notes'`)
	s.quiet(e)
	s.wantDelivered("ticket-1", `0 "new"`, "deleted")
	s.wantGap(e, "1", "passed over")
	// What comes after the end makes it again.
	s.exec(`insert into tickets (id, version) values (1, 7)`)
	s.quiet(e)
	s.wantDelivered("ticket-1", `0 "new"`, "deleted", `7 "new"`)

	// One that is not delivered yet has its place, whatever comes to light first.
	prepare("more", `update notes set text = 'later' where id = 21`)
	s.exec(`set statement_timeout = '2s'; update tickets set version = 1 where id = 2; reset statement_timeout`)
	s.exec(`commit prepared 'more'`)
	s.quiet(e)
	if gaps, err := e.Explain(s.ctx, "ticket", "2"); err != nil || len(gaps.Gaps) != 0 {
		t.Errorf("%+v, %v", gaps, err)
	}
}

// wantGap wants the newest gap of a ticket to say something.
func (s *shop) wantGap(e *upkeep.Engine, key, says string) {
	s.t.Helper()
	x, err := e.Explain(s.ctx, "ticket", key)
	if err != nil || len(x.Gaps) == 0 || !strings.Contains(x.Gaps[0].Reason, says) {
		s.t.Errorf("the gaps of ticket %s are %+v, want one that says %q, %v", key, x.Gaps, says, err)
	}
}

// Where constraints are immediate, versions are read in the midst of their
// transaction. One that a TRUNCATE follows was never committed: it is a gap.
func TestTruncateAfterImmediateConstraints(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.tickets(2)
	e := s.engine(ticketSync(s.to))
	s.run(e)
	s.quiet(e)
	before := len(s.remote.Applied())
	s.exec(`begin; set constraints all immediate; update tickets set state = 'old' where id = 1;
		truncate notes; update tickets set state = 'new' where id = 2; commit`)
	s.quiet(e)
	for _, q := range s.remote.Applied()[before:] {
		if string(q.Fields["state"]) == `"old"` && string(q.Fields["notes"]) != "[]" {
			t.Errorf("a version that no commit made was sent: %s %s", q.ExternalID, q.Fields["notes"])
		}
	}
	s.wantDelivered("ticket-1", `0 "new"`, `0 "old"`)
	s.inSync(e, "ticket")
}
