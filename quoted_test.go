package upkeep_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

type quotedOrder struct {
	ID    int64        `db:"id"`
	Memo  string       `db:"memo"`
	Lines []quotedLine `has_many:"\"say \"\"hi\"\"\".order_id"`
	Count int64        `count:"\"say \"\"hi\"\"\".order_id"`
}

type quotedLine struct {
	Qty int64 `db:"qty"`
}

// Tables with dots and quotes in their names are named as in SQL, by YAML and Go
// alike, and are what the registry, the triggers and a release say of them.
func TestTablesInQuotes(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(`create table "order.s" (id integer primary key, memo text not null);
			create table "say ""hi""" (id integer primary key, order_id integer not null, qty integer not null);
			create index of_orders on "say ""hi""" (order_id);
			insert into "order.s" values (1, 'first'); insert into "say ""hi""" values (1, 1, 5)`)
		sync := upkeep.Sync[quotedOrder]{
			Name: "order", Table: `"order.s"`, To: s.to, Record: "order",
			Translate: func(o quotedOrder) (upkeep.Fields, error) {
				return upkeep.Fields{"memo": o.Memo, "n": len(o.Lines), "count": o.Count}, nil
			},
		}
		onSQLite := strings.HasSuffix(t.Name(), "/sqlite")
		qualified := sync
		qualified.Table = `public."order.s"`
		if onSQLite {
			qualified.Table = `main."order.s"`
		}
		for _, each := range []upkeep.AnySync{sync, qualified} {
			if found, err := s.engine(each).Check(s.ctx); err != nil || slices.ContainsFunc(found, func(f upkeep.Finding) bool { return f.Severity == upkeep.Problem }) {
				t.Errorf("findings: %v, %v", found, err)
			}
		}
		unquoted := sync
		unquoted.Table = "order.s"
		found, err := s.engine(unquoted).Check(s.ctx)
		if err != nil || len(found) == 0 || !strings.Contains(found[0].Fix, "stands in double quotes: `\"order.s\"`") {
			t.Errorf("without its quotes: %v, %v", found, err)
		}
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{sync}, Clock: withoutNets{}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		s.field("order", "order-1", "n", "1")
		s.exec(`update "order.s" set memo = 'second'; insert into "say ""hi""" values (2, 1, 6)`)
		s.quiet(e)
		s.field("order", "order-1", "memo", `"second"`)
		s.field("order", "order-1", "count", "2")
		if onSQLite {
			return
		}
		s.exec(`begin; select upkeep.release('"say ""hi"""'); alter table "say ""hi""" alter qty type bigint; update "say ""hi""" set order_id = 2 where id = 2; commit`)
		s.until("the change that no trigger saw", func() bool {
			r, _ := s.remote.Record("order", "order-1")
			return string(r.Fields["n"]) == "1"
		})
	})
}
