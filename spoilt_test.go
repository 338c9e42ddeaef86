package upkeep_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// A row for which a relation's where fails parks its own group and delays no
// other; its value is in no log and no table; and once it is mended it goes.
func TestWhereThatFailsForOneRow(t *testing.T) {
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.exec(`create table boxes (id integer primary key, name text);
		create table things (id integer primary key, box_id integer references boxes(id), size text);
		create index on things(box_id);
		insert into boxes select n, 'box' from generate_series(1, 20) n; insert into things select n, n, '3' from generate_series(1, 20) n`)
	box := upkeep.Mapping{Name: "box", To: s.to, Record: "box",
		From: &upkeep.Relation{Table: "boxes", Columns: []string{"name"}, HasMany: map[string]*upkeep.Relation{
			"things": {Table: "things", Via: []string{"box_id"}, Where: "size::int > 2", Columns: []string{"size"}}}},
		Translate: func(r upkeep.Row) (upkeep.Fields, error) {
			return upkeep.Fields{"name": r["name"], "things": int64(len(r["things"].([]upkeep.Row)))}, nil
		}}
	log := new(safeBuffer)
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Logger: slog.New(slog.NewTextHandler(log, nil)), Syncs: []upkeep.AnySync{box}})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	s.exec(`update things set size = 'canary-4711' where id = 7; update boxes set name = 'new'`)
	renamed := func(name string) (n int) {
		for _, r := range s.remote.Records("box") {
			if string(r.Fields["name"]) == `"`+name+`"` {
				n++
			}
		}
		return n
	}
	s.until("the others", func() bool { return renamed("new") == 19 })
	s.state(e, "box", "7", upkeep.Parked)
	x, err := e.Explain(s.ctx, "box", "7")
	if err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{`member "things"`, "invalid text representation", "22P02", "correct the row"} {
		if !strings.Contains(x.Group.Reason, says) {
			t.Errorf("it is parked since %q, want %q in it", x.Group.Reason, says)
		}
	}
	if strings.Contains(x.Group.Reason+x.Why, "4711") || strings.Contains(log.String(), "4711") {
		t.Errorf("the row's value is told: %s\n%s\n%s", x.Group.Reason, x.Why, log.String())
	}
	s.exec(`update things set size = '4' where id = 7`)
	s.until("the mended one", func() bool { return renamed("new") == 20 })
}
