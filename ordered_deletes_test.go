package upkeep_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// A deletion that the limit holds keeps its place: the versions of a row that came
// back wait behind it, and whoever looks is told so, and what a person can do.
func TestVersionsBehindAHeldDeletion(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		s.tickets(3)
		sync := byHand(ticketSync(s.to))
		sync.DeleteLimit = 1
		e := s.engine(sync)
		if err := e.Install(s.ctx); err != nil {
			t.Fatal(err)
		}
		commit := func(key int, sql string) {
			t.Helper()
			s.exec(sql, key)
			if err := e.Command(s.ctx, nil, "ticket", key); err != nil {
				t.Fatal(err)
			}
		}
		for key := 1; key <= 3; key++ {
			commit(key, `update tickets set version = 1 where id = %d`)
		}
		s.run(e)
		s.quiet(e)
		for key := 1; key <= 3; key++ {
			s.exec(`delete from notes where ticket_id = %d`, key)
			commit(key, `delete from tickets where id = %d`)
			s.quiet(e) // the limit is reached with the first
		}
		for key := 2; key <= 3; key++ {
			commit(key, `insert into tickets (id, version) values (%d, 5)`)
			commit(key, `update tickets set version = 6 where id = %d`)
		}
		s.quiet(e)
		for _, id := range []string{"ticket-2", "ticket-3"} {
			s.wantDelivered(id, `1 "new"`)
		}

		held, err := e.HeldDeletes(s.ctx)
		if err != nil || len(held) != 1 || held[0].Held != 2 || held[0].Later != 2 {
			t.Errorf("held: %+v, %v", held, err)
		}
		x, err := e.Explain(s.ctx, "ticket", "2")
		if err != nil || x.Send != "delete" || !strings.Contains(x.Why, "upkeep deletes ticket") ||
			!strings.Contains(x.Why, "later versions (2) wait behind the deletion") || !strings.Contains(x.Why, "upkeep skip ticket 2") {
			t.Errorf("%s: %s, %v", x.Send, x.Why, err)
		}
		if !slices.ContainsFunc(s.findings(e), func(f upkeep.Finding) bool {
			return f.Subject == "ticket" && strings.Contains(f.Message, "wait behind the deletion: 2") && strings.Contains(f.Fix, "upkeep skip")
		}) {
			t.Errorf("doctor does not tell: %v", s.findings(e))
		}

		if c, err := e.Skip(s.ctx, "ticket", "2"); err != nil || !c.Deleted {
			t.Fatal(c, err)
		}
		s.quiet(e)
		s.wantDelivered("ticket-2", `1 "new"`, `5 "new"`, `6 "new"`)
		if n, err := e.AllowDeletes(s.ctx, "ticket", 1); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		s.quiet(e)
		made := 0
		for _, q := range s.remote.Applied() {
			if q.ExternalID == "ticket-3" && q.Verb == memory.Create {
				made++
			}
		}
		if made != 2 || s.remote.Text("ticket", "ticket-3", "version") != "6" {
			t.Errorf("ticket-3 was made %d times and has the version %s, want 2 and 6", made, s.remote.Text("ticket", "ticket-3", "version"))
		}
	})
}

func (s *shop) findings(e *upkeep.Engine) []upkeep.Finding {
	s.t.Helper()
	found, err := e.Doctor(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}
