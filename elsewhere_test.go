package upkeep_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// A sync whose records are there can't be declared with another type or for
// another remote: its remote ids would mean nothing, and each row would get a
// second record while the first one stays.
func TestRecordsAreElsewhere(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		stop()
		calls := s.remote.Calls(memory.Create)
		client, other := customerSync(s.to), customerSync(&upkeep.Remote{Name: "crm", Connection: memory.New(memory.Config{}).Connect()})
		client.Record = "client"
		for changed, want := range map[*upkeep.Sync[User]]string{
			&client: `sync "customer": it has records of type customer at remote erp, and is declared with type client; `,
			&other:  `sync "customer": it has records of type customer at remote erp, and is declared with customer at remote crm; `,
		} {
			e := s.engine(*changed)
			_, planned := e.Plan(s.ctx)
			_, foreseen := e.Forecast(s.ctx, upkeep.ForecastOptions{})
			for what, err := range map[string]error{
				"plan": planned, "forecast": foreseen, "install": e.Install(s.ctx), "run": e.Run(s.ctx), "resync": e.Resync(s.ctx, upkeep.Resync{}),
			} {
				if !errors.Is(err, upkeep.ErrElsewhere) || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "give the sync another name") {
					t.Errorf("%s: %v", what, err)
				}
			}
			findings, err := e.Check(s.ctx)
			if err != nil || len(findings) == 0 || findings[0].Severity != upkeep.Problem || !strings.Contains(findings[0].Message, "it has records of type customer") {
				t.Errorf("check: %v, %v", findings, err)
			}
		}
		again := s.engine(customerSync(s.to)) // nothing of it was written
		if p := s.plan(again); p.Pending() {
			t.Errorf("as it was: %+v", p)
		}
		if n := s.remote.Calls(memory.Create); n != calls {
			t.Errorf("%d calls were made", n-calls)
		}
	})
}

// With nothing at the remote a sync may change both, and with its records ended
// as the error says.
func TestRecordTypeChangesWhileThereAreNone(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		leave := customerSync(s.to)
		leave.When = func(User) bool { return false }
		leave.WhenFalse = upkeep.Ending{Action: upkeep.Delete}
		leave.Version = "none"
		for _, sync := range []upkeep.Sync[User]{leave, customerSync(s.to), leave} {
			e := s.engine(sync)
			stop := s.run(e)
			s.quiet(e)
			stop()
		}
		client := customerSync(s.to)
		client.Record = "client"
		e := s.engine(client)
		s.run(e)
		s.quiet(e)
		s.field("client", "customer-1", "entityId", `"Ada"`)
		if n := len(s.remote.Records("customer")); n != 0 {
			t.Errorf("%d customers are left", n)
		}
	})
}

// What is in a job of the remote may be there, too.
func TestRecordsOfAJobAreElsewhere(t *testing.T) {
	s := newShop(t, inJobs(0))
	s.users(300)
	stop := s.run(s.engine(customerSync(s.to)))
	s.runningJob()
	stop()
	e := s.engine(customerSync(&upkeep.Remote{Name: "other", Connection: s.to.Connection}))
	if err := e.Install(s.ctx); !errors.Is(err, upkeep.ErrElsewhere) {
		t.Error(err)
	}
	s.doctorSays(e, "its sync goes to other now")
}
