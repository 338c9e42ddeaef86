package upkeep_test

import (
	"context"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// virtually is a database in which one column is a virtual one.
type virtually struct {
	upkeep.Database
	column, bases string
}

func (v virtually) Table(ctx context.Context, t store.Table) (*store.TableInfo, error) {
	info, err := v.Database.Table(ctx, t)
	if err == nil {
		for i := range info.Columns {
			if c := &info.Columns[i]; c.Name == v.column {
				c.Virtual, c.Bases = true, v.bases
			}
		}
	}
	return info, err
}

// No relation goes by a virtual column, and of one that is read the plan has the
// columns that it is computed from.
func TestVirtualColumnsOfADeclaration(t *testing.T) {
	s := newShop(t, memory.Config{})
	engine := func(column, bases string) *upkeep.Engine {
		e, err := upkeep.New(upkeep.Config{Database: virtually{s.open(), column, bases}, Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	findings, err := engine("customer_id", "email").Check(s.ctx)
	if err != nil || len(findings) == 0 || findings[0].Table != "main.users" || !strings.Contains(findings[0].Message, "customer_id of main.users is a virtual column") ||
		!strings.Contains(findings[0].Fix, "STORED") {
		t.Errorf("check: %+v, %v", findings, err)
	}
	watched := map[string]string{}
	for _, table := range s.plan(engine("name", "first\x00email")).Tables {
		for _, c := range table.Columns {
			watched[table.Table+"."+c.Column] = strings.Join(c.Why, "; ")
		}
	}
	if _, there := watched["main.users.name"]; there || watched["main.users.first"] != "customer: read by name" || watched["main.users.email"] != "customer: read by name; customer: read" {
		t.Errorf("watched: %v", watched)
	}
}
