package upkeep_test

import (
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// One local row is a record at several remotes. One of them that hangs, is
// down, is out of quota or refuses the login keeps none of the others waiting,
// and has it all once it is well again.
func TestOneRemoteDelaysNoOther(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		ill := map[string]*memory.Remote{}
		syncs := []upkeep.AnySync{customerSync(s.to)}
		hold := make(chan struct{})
		for name, fault := range map[string]memory.Fault{
			"hangs":   {Until: hold},
			"down":    {Err: memory.Err(connector.Unavailable)},
			"quota":   {Err: memory.Err(connector.RateLimited)},
			"refuses": {Err: memory.Err(connector.Unauthorized)},
			"broken":  {Err: memory.Err(connector.Unknown)},
		} {
			r := memory.New(memory.Config{})
			fault.Times = -1
			r.Fail(fault)
			ill[name] = r
			sync := customerSync(&upkeep.Remote{Name: name, Connection: r.Connect()})
			sync.Name = "customer_" + name
			syncs = append(syncs, sync)
		}
		s.users(100)
		e := s.engine(syncs...)
		s.run(e)
		s.until("the well remote to have all", func() bool { return len(s.remote.Records("customer")) == 100 })
		s.exec(`update users set name = 'new'`)
		s.until("the changes at the well remote", func() bool {
			for _, r := range s.remote.Records("customer") {
				if string(r.Fields["entityId"]) != `"new"` {
					return false
				}
			}
			return true
		})
		for name, r := range ill {
			if n := len(r.Records("customer")); n != 0 {
				t.Errorf("%s has %d records", name, n)
			}
			r.Heal()
		}
		close(hold)
		s.until("the others to have all", func() bool {
			s.advance(time.Minute) // the pauses are the registry's
			for _, r := range ill {
				if len(r.Records("customer")) != 100 {
					return false
				}
			}
			return true
		})
	})
}
