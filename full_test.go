package upkeep_test

import (
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// No room is left on the disk of a SQLite file while changes are on their way: what
// of Upkeep fails says so, nothing is lost or made twice, and it goes on by itself
// when there is room again.
func TestSQLiteDiskFull(t *testing.T) {
	t.Parallel()
	const most = 1000 // pages
	s := newShop(t, memory.Config{Class: connector.Lookup})
	s.within(3 * time.Minute)
	s.exec(`pragma max_page_count = %d`, most)
	s.exec(`create table ballast (bytes blob)`)
	s.users(50)
	file := s.url
	s.url = fmt.Sprintf("file:%s?mode=rw&_pragma=max_page_count(%d)", file, most)
	log := new(safeBuffer)
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: new(restless), Logger: slog.New(slog.NewTextHandler(log, nil)), Syncs: []upkeep.AnySync{customerSync(s.to)}})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)

	const full = "database or disk is full"
	hold := make(chan struct{}) // the calls, until there is no room to write down what came of them
	s.remote.Fail(memory.Fault{On: memory.Any, Times: -1, Until: hold})
	s.exec(`with recursive n(i) as (select 51 union all select i + 1 from n where i < 400) insert into users (id, name) select i, 'user ' || i from n`)
	s.exec(`update users set name = name || ' again' where id <= 50`)
	s.until("calls under way", func() bool { return s.remote.InFlight() > 0 })
	refused := false
	fill := func() {
		for _, bytes := range []int{1 << 20, 1 << 16, 1 << 12, 100} {
			for {
				if err := s.app(fmt.Sprintf(`insert into ballast values (zeroblob(%d))`, bytes)); err != nil {
					if !strings.Contains(err.Error(), full) {
						t.Fatal(err)
					}
					refused = true
					break
				}
			}
		}
	}
	fill()
	close(hold)
	s.until("something of Upkeep's to fail", func() bool {
		fill() // what it freed meanwhile
		return strings.Contains(log.String(), full)
	})
	if err := s.app(`insert into users (id, name) values (1000, '` + strings.Repeat("x", 1<<16) + `')`); err == nil || !strings.Contains(err.Error(), full) {
		t.Errorf("the application's own write: %v", err)
	}
	if !refused {
		t.Error("the file was never full")
	}
	s.remote.Heal()
	s.exec(`delete from ballast`)
	s.settle(e)
	s.quiet(e)
	s.inSync(e, "customer")
	if n := len(s.remote.Records("customer")); n != 400 {
		t.Errorf("%d records of 400 rows", n)
	}
	own, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	var sound string
	if err := own.QueryRowContext(s.ctx, `pragma integrity_check`).Scan(&sound); err != nil || sound != "ok" {
		t.Error(sound, err)
	}
}
