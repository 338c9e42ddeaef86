package upkeep_test

import (
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// keptOff is a sync of those customers who are not called off; the records of the
// others are kept as they are.
func keptOff(s *shop) upkeep.Sync[User] {
	sync := customerSync(s.to)
	sync.When = func(u User) bool { return u.Name != "off" }
	return sync
}

// rename lets it be sent, and all doubts be over.
func (s *shop) rename(e *upkeep.Engine, name string) {
	s.t.Helper()
	s.exec(`update users set name = '` + name + `' where id = 1`)
	s.settle(e)
	s.quiet(e)
}

func (s *shop) oneCustomer() {
	s.t.Helper()
	if n := len(s.remote.Records("customer")); n != 1 {
		s.t.Errorf("%d records of one row", n)
	}
}

// A row that is left out while its record is in doubt settles nothing: when it
// passes again, nothing is taken for granted.
func TestKeptRecordStaysInDoubt(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		for _, c := range []struct {
			name  string
			class connector.Class
		}{{"upsert", connector.Upsert}, {"lookup", connector.Lookup}} {
			t.Run(c.name, func(t *testing.T) {
				s := newShop(memory.Config{Class: c.class}).in(t)
				s.exec(`insert into users (id, name) values (1, 'Ada')`)
				e := s.engine(keptOff(s))
				s.run(e)
				s.quiet(e)
				s.remote.Fail(memory.Fault{On: memory.Update, Applied: true, Err: memory.Err(connector.Unknown)})
				s.exec(`update users set name = 'old' where id = 1`)
				s.until("the update to be in doubt", func() bool {
					x, err := e.Explain(s.ctx, "customer", "1")
					return err == nil && len(x.Attempts) == 2
				})
				s.rename(e, "off")
				s.rename(e, "Ada") // as it was acknowledged
				s.state(e, "customer", "1", upkeep.Clean)
				s.field("customer", "customer-1", "entityId", `"Ada"`)
				s.oneCustomer()
			})
		}
	})
}

// The same of a record that may have been made, where nobody can look.
func TestKeptRecordThatMayBeThere(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{Class: connector.Blind})
		s.exec(`insert into users (id, name) values (1, 'on')`)
		s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-1", Applied: true, Err: memory.Err(connector.Unknown)})
		e := s.engine(keptOff(s))
		s.run(e)
		s.state(e, "customer", "1", upkeep.Parked)
		s.rename(e, "off")
		s.rename(e, "on again")
		s.oneCustomer()
		s.state(e, "customer", "1", upkeep.Parked)
	})
}

// A second installation looks for a record when its row passes, also long after
// its first sweep.
func TestKeptBySecondInstallation(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{Class: connector.Lookup})
		s.exec(`insert into users (id, name) values (1, 'on')`)
		e := s.engine(keptOff(s))
		stop := s.run(e)
		s.quiet(e)
		s.rename(e, "off")
		stop()
		if err := e.Uninstall(s.ctx); err != nil {
			t.Fatal(err)
		}
		e = s.engine(keptOff(s))
		s.run(e)
		s.quiet(e)
		s.rename(e, "again")
		s.oneCustomer()
		s.field("customer", "customer-1", "entityId", `"again"`)
	})
}
