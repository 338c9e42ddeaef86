package upkeep_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// byMinutes is a clock whose minutes pass when the test says so.
type byMinutes chan struct{}

func (byMinutes) Now() time.Time { return time.Now() }

func (c byMinutes) Sleep(ctx context.Context, d time.Duration) error {
	var after <-chan time.Time
	minute := c
	if d != time.Minute {
		after, minute = time.After(d), nil
	}
	select {
	case <-minute:
	case <-after:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Somebody disables or drops triggers under an engine that runs: within a minute
// it says so, puts them back, and sends what went unseen meanwhile.
func TestAlteredTriggersAreFoundAtWork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		open  func(*shop)
		alter func(*shop)
		told  string // by doctor, until the minute is over
	}{
		{"dropped on sqlite", (*shop).onSQLite, func(s *shop) { s.blind() }, ""}, // there it may be found at once
		{"dropped on postgres", (*shop).onPostgres, func(s *shop) { s.blind() }, "is missing"},
		{"disabled", (*shop).onPostgres, func(s *shop) { s.exec(`alter table users disable trigger user`) }, "is disabled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := makeShop(t, memory.Config{}, c.open)
			s.within(3 * time.Minute)
			s.fill()
			log, clock := new(safeBuffer), make(byMinutes)
			e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: clock, Audit: -1, Logger: slog.New(slog.NewTextHandler(log, nil)),
				Syncs: []upkeep.AnySync{customerSync(s.to), orderSync(s.to)}})
			if err != nil {
				t.Fatal(err)
			}
			s.run(e)
			s.quiet(e)
			c.alter(s)
			s.exec(`update users set email = 'unseen@example.com' where id = 1; insert into users (id, name) values (3, 'Unseen')`)
			if c.told != "" {
				findings, err := e.Doctor(s.ctx)
				if err != nil || !strings.Contains(fmt.Sprint(findings), c.told) {
					t.Errorf("%v, %v", findings, err)
				}
				select {
				case clock <- struct{}{}:
				case <-s.ctx.Done():
					t.Fatal("nobody waits for the minute to pass")
				}
			}
			s.until("the triggers to be back", func() bool {
				found, err := e.Capture(s.ctx)
				return err == nil && len(found) == 0 && strings.Contains(log.String(), "capture was altered; installing it again and sweeping")
			})
			s.until("what was unseen", func() bool { return s.remote.Text("customer", "customer-3", "entityId") == `"Unseen"` })
			s.quiet(e)
			s.inSync(e, "customer", "sales_order")
			s.exec(`update users set email = 'seen@example.com' where id = 1`)
			s.quiet(e)
			s.field("customer", "customer-1", "email", `"seen@example.com"`)
		})
	}
}

// A change goes past the triggers, and they stand as before: there is nothing to
// be seen of it but that the record differs. An engine that runs comes to it.
func TestAuditOfAnEngineAtWork(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.within(3 * time.Minute)
		s.users(30)
		log := new(safeBuffer)
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: new(restless), Audit: 7, Logger: slog.New(slog.NewTextHandler(log, nil)), Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		s.past(`update users set email = 'unseen@example.com' where id = 17; insert into users (id, name) values (31, 'Unseen')`)
		s.until("the missed changes to be sent", func() bool {
			return s.remote.Text("customer", "customer-17", "email") == `"unseen@example.com"` && s.remote.Text("customer", "customer-31", "entityId") == `"Unseen"`
		})
		missed, err := e.Missed(s.ctx, 10)
		if err != nil || len(missed) != 2 {
			t.Fatalf("%+v, %v", missed, err)
		}
		for _, m := range missed {
			if changed := m.Key == "17" && fmt.Sprint(m.Fields) == "[email]"; !changed && (m.Key != "31" || m.RowGone()) {
				t.Errorf("%+v", m)
			}
		}
		if n := strings.Count(log.String(), "a change was missed"); n != 2 || strings.Contains(log.String(), "capture was altered") {
			t.Errorf("%d missed changes are logged:\n%s", n, log.String())
		}
		s.quiet(e)
		s.inSync(e, "customer")
	})
}
