package upkeep_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// sweeps counts the sweeps that an engine asks for itself.
type sweeps struct {
	store.Store
	n atomic.Int64
}

func (d *sweeps) StartBackfill(ctx context.Context, sync, version string, sweep, force bool) error {
	d.n.Add(1)
	return d.Store.StartBackfill(ctx, sync, version, sweep, force)
}

// A partition is made, or attached with rows in it, as it is every month: its rows
// arrive, no other sync is swept for it, and nobody is alarmed.
func TestNewPartitionAtWork(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.fill()
	s.exec(`create table events (id integer primary key, note text) partition by range (id);
		create table events_1 partition of events for values from (0) to (100)`)
	log, db := new(safeBuffer), &sweeps{Store: s.open()}
	e, err := upkeep.New(upkeep.Config{Database: db, Clock: new(restless), Logger: slog.New(slog.NewTextHandler(log, nil)),
		Syncs: []upkeep.AnySync{customerSync(s.to), upkeep.Mapping{
			Name: "event", To: s.to, Record: "event", From: &upkeep.Relation{Table: "events", Columns: []string{"id", "note"}},
			Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"note": r["note"]}, nil },
		}}})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	before := db.n.Load()
	s.exec(`create table events_2 partition of events for values from (100) to (200)`)
	s.until("the new partition to be told", func() bool { return strings.Contains(log.String(), "partitions=\"[\\\"public\\\".\\\"events_2\\\"]\"") })
	s.exec(`create table events_3 (like events); insert into events_3 values (201, 'was there'); alter table events attach partition events_3 for values from (200) to (300);
		insert into events values (202, 'came later')`)
	for id, note := range map[string]string{"201": "was there", "202": "came later"} {
		s.until(note, func() bool { return s.remote.Text("event", "event-"+id, "note") == `"`+note+`"` })
	}
	if n := db.n.Load() - before; n != 0 {
		t.Errorf("%d syncs are swept for a new partition", n)
	}
	// Such a clock has the audit come before the sweep.
	if strings.Contains(log.String(), "capture was altered") {
		t.Errorf("a new partition counts as an alteration: %s", log)
	}
}

// A TRUNCATE of one partition is no deletion of the rows of the others, however
// they go later: unseen, with a partition that is detached, say.
func TestTruncateOfAnotherPartition(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.exec(`create table events (id integer primary key, note text) partition by range (id);
		create table events_1 partition of events for values from (0) to (100);
		create table events_2 partition of events for values from (100) to (200);
		create table events_3 partition of events for values from (200) to (300);
		insert into events values (1, 'one'), (101, 'two'), (201, 'three')`)
	e := s.engine(upkeep.Mapping{Name: "event", To: s.to, Record: "event", From: &upkeep.Relation{Table: "events", Columns: []string{"id", "note"}},
		Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"note": r["note"]}, nil }})
	s.run(e)
	s.quiet(e)
	s.exec(`truncate events_3`)
	s.state(e, "event", "201", upkeep.Gone)
	s.quiet(e)
	s.exec(`alter table events detach partition events_2; update events set note = 'changed'`)
	if err := e.Resync(s.ctx, upkeep.Resync{Sync: "event"}); err != nil {
		t.Fatal(err)
	}
	s.state(e, "event", "101", upkeep.Parked)
	s.field("event", "event-101", "note", `"two"`)
	s.state(e, "event", "1", upkeep.Clean)
	s.exec(`delete from events where id = 1`)
	s.state(e, "event", "1", upkeep.Gone)
}
