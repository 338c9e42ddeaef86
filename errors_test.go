package upkeep_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// Every call tells in the same way that there is no such sync, and that what
// was given is no key.
func TestErrorsOfNamesAndKeys(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		for name, call := range map[string]func(sync, key string) error{
			"Explain":  func(sync, key string) error { _, err := e.Explain(s.ctx, sync, key); return err },
			"Touch":    func(sync, key string) error { return e.Touch(s.ctx, nil, sync, key) },
			"Register": func(sync, key string) error { return e.Register(s.ctx, nil, sync, key) },
			"Retry":    func(sync, key string) error { _, err := e.Retry(s.ctx, sync, key); return err },
			"Resync":   func(sync, key string) error { return e.Resync(s.ctx, upkeep.Resync{Sync: sync, Key: key}) },
			"Skip":     func(sync, key string) error { _, err := e.Skip(s.ctx, sync, key); return err },
			"Adopt":    func(sync, key string) error { return e.Adopt(s.ctx, sync, key, "1") },
			"NotThere": func(sync, key string) error { return e.NotThere(s.ctx, sync, key) },
		} {
			if err := call("client", "1"); !errors.Is(err, upkeep.ErrNoSync) || !strings.Contains(err.Error(), `there is no sync "client"; there are: customer`) {
				t.Errorf("%s of no sync: %v", name, err)
			}
			if err := call("", "1"); !errors.Is(err, upkeep.ErrNoSync) || name != "Resync" && !strings.Contains(err.Error(), `no sync is named; there are: customer`) {
				t.Errorf("%s without a sync: %v", name, err)
			}
			if err := call("customer", "Ada"); !errors.Is(err, upkeep.ErrKey) || !strings.Contains(err.Error(), "Ada") {
				t.Errorf("%s of no key: %v", name, err)
			}
		}
		for name, call := range map[string]func(sync string) error{
			"Verify":       func(sync string) error { _, err := e.Verify(s.ctx, sync, nil); return err },
			"Audit":        func(sync string) error { _, err := e.Audit(s.ctx, sync, nil); return err },
			"Groups":       func(sync string) error { _, err := e.Groups(s.ctx, sync, "", upkeep.ID{}, 1); return err },
			"Forecast":     func(sync string) error { _, err := e.Forecast(s.ctx, upkeep.ForecastOptions{Sync: sync}); return err },
			"Resync":       func(sync string) error { return e.Resync(s.ctx, upkeep.Resync{Sync: sync}) },
			"Retry":        func(sync string) error { _, err := e.Retry(s.ctx, sync, ""); return err },
			"AllowDeletes": func(sync string) error { _, err := e.AllowDeletes(s.ctx, sync, 1); return err },
			"Pause":        func(sync string) error { return e.Pause(s.ctx, upkeep.Pause{Sync: sync}) },
			"Fix": func(sync string) error {
				_, err := e.Fix(s.ctx, []upkeep.Difference{{Sync: sync, Key: "1"}})
				return err
			},
		} {
			if err := call("client"); !errors.Is(err, upkeep.ErrNoSync) {
				t.Errorf("%s of no sync: %v", name, err)
			}
			if name != "AllowDeletes" && name != "Pause" && name != "Fix" { // these are of one
				if err := call(""); err != nil {
					t.Errorf("%s of all syncs: %v", name, err)
				}
			}
			s.quiet(e) // of Resync, before Audit looks
		}
		if _, err := upkeep.Key(1.5); !errors.Is(err, upkeep.ErrKey) {
			t.Errorf("Key: %v", err)
		}
		if err := e.Touch(s.ctx, nil, "customer", 1, 2); !errors.Is(err, upkeep.ErrKey) || !strings.Contains(err.Error(), "2 values are given for the key of ") {
			t.Errorf("Touch: %v", err)
		}
		other := s.engine(customerSync(s.to)) // which does not run, and was asked for nothing yet
		if err := other.Touch(s.ctx, nil, "customer", "Ada"); !errors.Is(err, upkeep.ErrKey) {
			t.Errorf("the first Touch of a process that does not run: %v", err)
		}
	})
}

// A key that has no group is told in one way by the calls that need one, also of a
// remote for which nobody has to say what is there; the others take it.
func TestErrorsOfNoGroup(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		_, skip := e.Skip(s.ctx, "customer", "77")
		_, verify := e.Verify(s.ctx, "customer", nil, "77")
		for name, err := range map[string]error{
			"Skip": skip, "Verify": verify, "Adopt": e.Adopt(s.ctx, "customer", "77", "1"), "NotThere": e.NotThere(s.ctx, "customer", "77"),
		} {
			if !errors.Is(err, upkeep.ErrNoGroup) || strings.Count(err.Error(), "no such group: customer/77") != 1 {
				t.Errorf("%s: %v", name, err)
			}
		}
		x, err := e.Explain(s.ctx, "customer", "77")
		if err != nil || x.Group != nil || !strings.Contains(x.Why, "has no row with this key") {
			t.Errorf("Explain: %+v, %v", x, err)
		}
		n, err := e.Retry(s.ctx, "customer", "77")
		if n != 0 || err != nil {
			t.Errorf("Retry: %d, %v", n, err)
		}
		if _, err := e.Retry(s.ctx, "", "1"); !errors.Is(err, upkeep.ErrNoSync) {
			t.Errorf("Retry of a key without its sync: %v", err)
		}
		_, fix := e.Fix(s.ctx, []upkeep.Difference{{Sync: "customer", Key: "77"}})
		for name, err := range map[string]error{"Fix": fix, "Touch": e.Touch(s.ctx, nil, "customer", 77), "Resync": e.Resync(s.ctx, upkeep.Resync{Sync: "customer", Key: "77"})} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A key that is none is told with the table's columns, and which calls take
// text; what is no transaction with what to give.
func TestErrorsOfTouch(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(`create table machines (region varchar(20), number integer, primary key (region, number))`)
		type machine struct {
			Region string `db:"region"`
		}
		e := s.engine(upkeep.Sync[machine]{Name: "machine", Table: "machines", To: s.to, Record: "machine",
			Translate: func(m machine) (upkeep.Fields, error) { return upkeep.Fields{"region": m.Region}, nil }})
		for name, err := range map[string]error{"Status": statusOf(s, e), "Touch": e.Touch(s.ctx, nil, "machine", "north", 1)} {
			if !errors.Is(err, upkeep.ErrNotInstalled) || !strings.Contains(err.Error(), "call Engine.Run or Engine.Install, or run: upkeep apply") {
				t.Errorf("%s before the installation: %v", name, err)
			}
		}
		if err := e.Install(s.ctx); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			tx   any
			key  []any
			want []string
		}{
			{nil, []any{"north,1"}, []string{"1 value is given for the key of ", "machines, which has region of type ", ", number of type ", "one by one, as arguments: the text \"north,1\" is for Explain, Retry and Resync"}},
			{nil, []any{"north", 1, 2}, []string{"3 values are given for the key of "}},
			{nil, []any{"north", nil}, []string{"nil can't be part of a key", "machines has region of type ", "number of type "}},
			{nil, []any{"north", 1.5}, []string{"a float64 can't be part of a key; integers, ", "machines has region of type "}},
			{(*sql.Tx)(nil), []any{"north", 1}, []string{"the transaction is a nil *sql.Tx; give the one that Begin returned, or nil itself"}},
		} {
			for name, err := range map[string]error{"Touch": e.Touch(s.ctx, c.tx, "machine", c.key...), "Register": e.Register(s.ctx, c.tx, "machine", c.key...)} {
				if c.tx == nil && !errors.Is(err, upkeep.ErrKey) {
					t.Errorf("%s of %v: %v", name, c.key, err)
				}
				for _, want := range c.want {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("%s of %v: got %v, want %q", name, c.key, err, want)
					}
				}
			}
		}
		if _, err := e.Explain(s.ctx, "machine", "north"); !errors.Is(err, upkeep.ErrKey) || !strings.Contains(err.Error(), "machines has region of type ") {
			t.Errorf("Explain: %v", err)
		}
		if _, err := e.Groups(s.ctx, "", "parkd", upkeep.ID{}, 10); err == nil || !strings.Contains(err.Error(), `there is no state "parkd" (did you mean parked?); there are: clean, dirty, claimed, in doubt`) {
			t.Errorf("Groups of no state: %v", err)
		}
		if _, err := e.Groups(s.ctx, "", upkeep.Parked, upkeep.ID{}, -1); err == nil || !strings.Contains(err.Error(), "the limit of groups is -1; it must not be negative") {
			t.Errorf("Groups with a negative limit: %v", err)
		}
		if _, err := e.Blockers(s.ctx, -1); err == nil || !strings.Contains(err.Error(), "the limit of blockers is -1; it must not be negative") {
			t.Errorf("Blockers with a negative limit: %v", err)
		}
		if _, err := e.Missed(s.ctx, -1); err == nil || !strings.Contains(err.Error(), "the limit of missed changes is -1; it must not be negative") {
			t.Errorf("Missed with a negative limit: %v", err)
		}
		if n, err := e.Fix(s.ctx, []upkeep.Difference{{Sync: "machine", Key: "north"}}); n != 0 || !errors.Is(err, upkeep.ErrKey) {
			t.Errorf("Fix of no key: %d, %v", n, err)
		}
	})
}

func statusOf(s *shop, e *upkeep.Engine) error {
	_, err := e.Status(s.ctx)
	return err
}

// Of all syncs those are compared that can be, and the others named.
func TestVerifyAll(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		other := customerSync(&upkeep.Remote{Name: "webhook", Connection: struct{ connector.Connection }{memory.New(memory.Config{}).Connect()}})
		other.Name = "notice"
		e := s.engine(customerSync(s.to), other)
		s.run(e)
		s.quiet(e)
		one, err := e.Verify(s.ctx, "customer", nil)
		if err != nil {
			t.Fatal(err)
		}
		told := 0
		all, err := e.Verify(s.ctx, "", func(done int) { told = done })
		if err != nil || all.Records != one.Records || all.Groups != one.Groups || told != one.Groups || len(all.Unreadable) != 1 || all.Unreadable[0] != "notice" {
			t.Errorf("of all: %+v, %v; of one %+v; %d were told", all, err, one, told)
		}
		if _, err := e.Verify(s.ctx, "notice", nil); !errors.Is(err, upkeep.ErrUnreadable) {
			t.Errorf("one that can't be read: %v", err)
		}
	})
}
