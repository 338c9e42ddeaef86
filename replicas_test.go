package upkeep_test

import (
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// Replicas of a deployment may all be given one name: they share what the
// remote allows at once, and their claims are told apart.
func TestReplicasOfOneName(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.to.Concurrency = 2
		hold := make(chan struct{})
		s.remote.Fail(memory.Fault{On: memory.Create, Times: -1, Until: hold})
		s.users(40)
		var engines [2]*upkeep.Engine
		for i := range engines {
			var err error
			engines[i], err = upkeep.New(upkeep.Config{Name: "app", Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to)}})
			if err != nil {
				t.Fatal(err)
			}
			if name := engines[i].Name(); !strings.HasPrefix(name, "app:") {
				t.Errorf("the name is %q", name)
			}
			s.run(engines[i])
		}
		db := s.open()
		s.until("both to ask for slots", func() bool {
			holders, err := db.Holders(s.ctx, "erp")
			if err != nil {
				t.Fatal(err)
			}
			return len(holders) == 2 || s.remote.InFlight() > 2
		})
		close(hold)
		s.remote.Heal()
		s.quiet(engines[0])
		if most, one := s.remote.MaxInFlight(); most > 2 || one != 1 {
			t.Errorf("%d calls at once, %d of them for one record; the remote allows 2", most, one)
		}
	})
}

// The second Run of one engine is refused, and the first is left alone.
func TestRunTwice(t *testing.T) {
	s := newShop(t, memory.Config{})
	s.fill()
	e := s.engine(customerSync(s.to))
	stop := s.run(e)
	s.quiet(e) // it runs
	if err := e.Run(s.ctx); err == nil || !strings.Contains(err.Error(), "runs already") {
		t.Errorf("the second run: %v", err)
	}
	s.exec(`update users set name = 'new' where id = 1`)
	s.quiet(e)
	s.field("customer", "customer-1", "entityId", `"new"`)
	stop()
	s.run(e) // a run that has ended may be followed by another
	s.exec(`update users set name = 'newer' where id = 1`)
	s.quiet(e)
	s.field("customer", "customer-1", "entityId", `"newer"`)
}
