package upkeep_test

import (
	"context"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// unkeepable answers with ids that the registry can't keep as they are.
type unkeepable struct {
	connector.Connection
	more string
}

func (u unkeepable) Create(ctx context.Context, rec connector.Record) (string, error) {
	id, err := u.Connection.Create(ctx, rec)
	return id + u.more, err
}

type unkeepableBatch struct{ unkeepable }

func (u unkeepableBatch) Batch(string) connector.Batch { return connector.Batch{Most: 10, Mixed: true} }

func (u unkeepableBatch) Apply(ctx context.Context, recordType string, changes []connector.Change) ([]connector.Result, error) {
	results := make([]connector.Result, len(changes))
	for i, c := range changes {
		results[i].RemoteID, results[i].Err = u.Create(ctx, c.Record)
	}
	return results, nil
}

// An id that is no text is never taken for another: its record is not clean, and
// the reason says why.
func TestRemoteIDsThatCannotBeKept(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		for _, more := range []string{"\x00", "\x00b", "\xff"} {
			for _, batch := range []bool{false, true} {
				s := newShop(memory.Config{Class: connector.Upsert})
				u := unkeepable{s.to.Connection, more}
				s.to.Connection = u
				if batch {
					s.to.Connection = unkeepableBatch{u}
				}
				s.users(1)
				e := s.engine(customerSync(s.to))
				stop := s.run(e)
				var x *upkeep.Explanation
				s.until("the answer to be told", func() bool {
					var err error
					x, err = e.Explain(s.ctx, "customer", "1")
					return err == nil && x.Group != nil && (x.Group.State == upkeep.Clean || strings.Contains(x.Group.Reason, "can't be kept"))
				})
				if x.Group.State == upkeep.Clean || x.Group.RemoteID != "" {
					t.Errorf("%q: %s, with the remote id %q", more, x.Group.State, x.Group.RemoteID)
				}
				stop()
			}
		}
	})
}

// An external id that holds NUL parks its row.
func TestExternalIDsThatCannotBeKept(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(1)
		sync := customerSync(s.to)
		sync.ExternalID = func(User) string { return "customer\x00" }
		e := s.engine(sync)
		s.run(e)
		x := s.state(e, "customer", "1", upkeep.Parked)
		if !strings.Contains(x.Group.Reason, "external id: it holds the character NUL") {
			t.Errorf("parked: %s", x.Group.Reason)
		}
	})
}
