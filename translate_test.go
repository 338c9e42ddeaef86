package upkeep_test

import (
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// No fields at all are a row that was to be left out, and no record; an empty
// record is one whose Fields are empty. A reference that can't be sent parks
// its group as well.
func TestTranslateReturnsNothing(t *testing.T) {
	s := newShop(t, memory.Config{})
	s.fill()
	s.exec(`insert into users(id, name) values (3, 'Cy')`)
	type person struct {
		ID int64 `db:"id"`
	}
	e := s.engine(upkeep.Sync[person]{Name: "customer", Table: "users", To: s.to, Record: "customer", RefersTo: []string{"customer"},
		Translate: func(p person) (upkeep.Fields, error) {
			switch p.ID {
			case 1:
				return nil, nil
			case 2:
				return upkeep.Fields{"parent": struct{ Ref upkeep.Reference }{upkeep.Ref("customer", 3)}}, nil
			}
			return upkeep.Fields{}, nil
		}})
	s.run(e)
	s.quiet(e)
	if x := s.state(e, "customer", "1", upkeep.Parked); !strings.Contains(x.Group.Reason, "it returned no fields; use When to leave rows out") {
		t.Error(x.Group.Reason)
	}
	if x := s.state(e, "customer", "2", upkeep.Parked); !strings.Contains(x.Group.Reason, "field parent: ") || !strings.Contains(x.Group.Reason, "a reference inside a struct can't be sent; use upkeep.Fields") {
		t.Error(x.Group.Reason)
	}
	s.state(e, "customer", "3", upkeep.Clean)
	if records := s.remote.Records("customer"); len(records) != 1 {
		t.Errorf("records: %+v", records)
	}
}
