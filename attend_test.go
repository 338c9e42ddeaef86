package upkeep_test

import (
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// Who looks is told that nobody is at work, as long as there is something to be done,
// also when nothing is left in the log.
func TestNobodyAtWork(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(3)
		e := s.engine(customerSync(s.to))
		looks := s.engine(customerSync(s.to)) // as a command does
		unattended := func(want ...string) {
			t.Helper()
			st, err := looks.Status(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			found, err := looks.Doctor(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			told := ""
			for _, f := range found {
				if f.Subject == "processes" {
					told = f.Message
				}
			}
			if told != st.Unattended() || (told == "") != (len(want) == 0) {
				t.Fatalf("status says %q, doctor %q", st.Unattended(), told)
			}
			for _, w := range want {
				if !strings.Contains(told, w) {
					t.Errorf("%q does not say %q", told, w)
				}
			}
		}
		why := func(want bool) {
			t.Helper()
			x, err := looks.Explain(s.ctx, "customer", "1")
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(x.Why, "; no process is at work: start upkeep run") != want {
				t.Errorf("%t is wanted: %s", want, x.Why)
			}
		}

		if err := e.Install(s.ctx); err != nil {
			t.Fatal(err)
		}
		unattended("no process is at work", "to pass over the rows of customer")
		why(true)
		stop := s.run(e)
		s.quiet(e)
		s.until("the process to be known", func() bool {
			st, err := looks.Status(s.ctx)
			return err == nil && len(st.Processes) == 1 && st.Processes[0] == e.Name()
		})
		s.pause(e, upkeep.Pause{Remote: s.to.Name})
		s.exec(`update users set name = 'Eve'`)
		s.state(looks, "customer", "1", upkeep.Dirty)
		unattended()
		why(false)
		stop()
		unattended("to send 3 groups")
		why(true)
		s.resume(looks, upkeep.Pause{Remote: s.to.Name})

		stop = s.run(s.engine(customerSync(s.to)))
		s.until("all to be sent", func() bool { return s.remote.Text("customer", "customer-3", "entityId") == `"Eve"` })
		s.quiet(looks)
		stop()
		unattended()
		why(false)
	})
}
