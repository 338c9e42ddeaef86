package upkeep_test

import (
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// A migration that releases a table has its triggers put back at once, and not
// when the capture is next inspected.
func TestReleaseIsNoticed(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.fill()
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to)}, Clock: withoutNets{}})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	s.exec(`begin; select upkeep.release('users'); alter table users alter column name type varchar(100); update users set name = 'unseen' where id = 1; commit`)
	s.until("the change that no trigger saw", func() bool {
		r, there := s.remote.Record("customer", "customer-1")
		return there && string(r.Fields["entityId"]) == `"unseen"`
	})
	s.exec(`update users set name = 'seen' where id = 1`)
	s.quiet(e)
	s.inSync(e, "customer")
}
