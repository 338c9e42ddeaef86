package warehouse_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/warehouse"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

// Writers of all versions at once, in any order: of each row the newest write
// holds in the end, a delete too.
func TestTheNewestWriteHolds(t *testing.T) {
	for _, deletes := range []warehouse.Deletes{warehouse.Hard, warehouse.Soft} {
		t.Run(string(deletes), func(t *testing.T) {
			onEach(t, warehouse.Config{Deletes: deletes, Lists: warehouse.AsTables}, func(d *desk) {
				d.prepare(orders(col("memo", connector.Text), col("lines", connector.List, col("n", connector.Integer))))
				const keys, writes = 6, 120
				newest := map[string]connector.Change{}
				var all []connector.Change
				for k := range keys {
					c := change(connector.Create, fmt.Sprint("key", k), 1, "memo", `"1"`, "lines", `[]`)
					all = append(all, c)
				}
				d.applies(strings.TrimSuffix(strings.Repeat("ok, ", keys), ", "), all...)
				all = nil
				for v := int64(2); v < writes; v++ {
					c := change(connector.Create, fmt.Sprint("key", rand.IntN(keys)), v, "memo", fmt.Sprintf(`"%d"`, v), "lines", fmt.Sprintf(`[{"n":%d},{"n":%[1]d}]`, v))
					if rand.IntN(3) == 0 {
						c = change(connector.Delete, c.Record.ExternalID, v)
					}
					all = append(all, c)
					newest[c.Record.ExternalID] = c
				}
				rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
				work := make(chan []connector.Change)
				var group sync.WaitGroup
				for range 4 {
					group.Go(func() {
						for batch := range work {
							d.insist(batch)
						}
					})
				}
				for len(all) > 0 { // no two changes of one record in a request
					n, seen := 0, map[string]bool{}
					for n < len(all) && n < 4 && !seen[all[n].Record.ExternalID] {
						seen[all[n].Record.ExternalID] = true
						n++
					}
					work <- all[:n]
					all = all[n:]
				}
				close(work)
				group.Wait()
				for key, c := range newest {
					got, err := d.Read(d.ctx, "orders", key, fields("memo", "null", "lines", "null"))
					switch {
					case c.Action == connector.Delete:
						if kindOf(err) != connector.NotFound {
							d.Errorf("%s was deleted by version %d, and is there: %s, %v", key, c.Record.Version, got, err)
						}
					case err != nil:
						d.Errorf("%s: %v", key, err)
					case string(got["memo"]) != string(c.Record.Fields["memo"]) || string(got["lines"]) != string(c.Record.Fields["lines"]):
						d.Errorf("%s: %s, want %s", key, got, c.Record.Fields)
					}
				}
			})
		})
	}
}

// insist applies changes until each is done or refused as an older one.
func (d *desk) insist(changes []connector.Change) {
	for len(changes) > 0 {
		results, err := d.Apply(d.ctx, "orders", changes)
		if err != nil {
			if kindOf(err) != connector.Busy {
				d.Errorf("apply: %v", err)
				return
			}
			continue
		}
		var again []connector.Change
		for i, r := range results {
			if e := connector.AsError(r.Err); e != nil && e.Code != "NEWER" {
				if e.Kind != connector.Busy {
					d.Errorf("%s: %v", changes[i].Record.ExternalID, e)
					continue
				}
				again = append(again, changes[i])
			}
		}
		changes = again
	}
}

// What others hold locked is waited for, and not for ever.
func TestLocksAreBounded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, pgtest.New(t), warehouse.Config{})
	d.prepare(orders(col("memo", connector.Text)))
	d.applies("ok", change(connector.Create, "a", 1, "memo", `"x"`))
	d.exec(`ALTER DATABASE "` + d.one(`SELECT current_database()`) + `" SET lock_timeout = 1`) // Upkeep's own setting counts
	tx, err := d.db.BeginTx(d.ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(d.ctx, `UPDATE orders SET memo = 'mine'`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(d.ctx)
	done := make(chan error, 1)
	go func() {
		_, err := d.Apply(ctx, "orders", []connector.Change{change(connector.Update, "a", 2, "memo", `"y"`)})
		done <- err
	}()
	for d.one(`SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND application_name = 'upkeep'`) != "1" {
		if ctx.Err() != nil {
			t.Fatal("the write does not wait for the lock")
		}
	}
	d.is(`SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database() AND application_name = 'upkeep'`, "0")
	cancel()
	if err := <-done; kindOf(err) != connector.Unavailable {
		t.Errorf("a write that was cut off before COMMIT: %v", err)
	}
	// Of a statement that was cut off nothing goes on at the server.
	for d.one(`SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND application_name = 'upkeep'`) != "0" {
		if d.ctx.Err() != nil {
			t.Fatal("the server goes on with what was cut off")
		}
		time.Sleep(time.Millisecond)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	d.is(`SELECT memo FROM orders`, "mine")
}

// Errors of connecting: nothing was sent, and no error holds the password.
func TestCannotConnect(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	for name, c := range map[string]struct {
		url  string
		kind connector.Kind
	}{
		"nobody listens":   {"postgres://upkeep:geheim@127.0.0.1:1/x?sslmode=disable", connector.Unavailable},
		"no such host":     {"postgres://upkeep:geheim@no-such-host.invalid/x", connector.Unavailable},
		"no such role":     {strings.Replace(server, "postgres@", "nobody_of_this_name:geheim@", 1), connector.Unauthorized},
		"no such database": {strings.Replace(strings.Replace(server, "postgres@", "postgres:geheim@", 1), "/test_", "/no_", 1), connector.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, c.url, warehouse.Config{})
			_, err := d.Find(d.ctx, "orders", "a")
			if kindOf(err) != c.kind || strings.Contains(err.Error(), "geheim") {
				t.Errorf("%v, want %s", err, c.kind)
			}
			if problems := d.Check(d.ctx, []connector.Use{orders(col("memo", connector.Text))}); len(problems) == 0 || strings.Contains(fmt.Sprint(problems), "geheim") {
				t.Errorf("check: %v", problems)
			}
		})
	}
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for words, c := range map[string]warehouse.Config{
		"url: is missing":                           {},
		"url: is not a database":                    {URL: "mysql://root:geheim@db/x"},
		"url: is not a PostgreSQL URL":              {URL: "postgres://root:gehe%zzim@db:port/x"},
		`deletes: "hard" is not a way`:              {URL: "sqlite:x", Deletes: "hard"},
		`tables.orders.lists: "rows" is not`:        {URL: "sqlite:x", Tables: map[string]warehouse.Table{"orders": {Lists: "rows"}}},
		`tables.a.b.c: the record type "a.b.c"`:     {URL: "sqlite:x", Tables: map[string]warehouse.Table{"a.b.c": {}}},
		`tables.o.types.x: "int; DROP" is not a ty`: {URL: "sqlite:x", Tables: map[string]warehouse.Table{"o": {Types: map[string]string{"x": "int; DROP"}}}},
		"batch: must be between 1 and 50000":        {URL: "sqlite:x", Batch: 100_000},
		"is no file":                                {URL: "sqlite:"},
	} {
		_, err := warehouse.Open(c)
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "gehe") {
			t.Errorf("%v, want %q", err, words)
		}
	}
}
