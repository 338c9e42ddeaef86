package upkeep_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// unprepared is a remote that must be prepared, and compares the versions of
// deletes.
type unprepared struct {
	connector.Connection

	mu      sync.Mutex
	down    bool
	ready   bool
	uses    []connector.Use
	removed []connector.Record
}

func (u *unprepared) Prepare(_ context.Context, uses []connector.Use) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.uses = uses
	if u.down {
		return &connector.Error{Kind: connector.Unavailable, Message: "can't be reached"}
	}
	u.ready = true
	return nil
}

func (u *unprepared) Lacking(context.Context, []connector.Use) ([]string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ready {
		return nil, nil
	}
	return []string{"table customer"}, nil
}

func (u *unprepared) Create(ctx context.Context, r connector.Record) (string, error) {
	u.mu.Lock()
	ready := u.ready
	u.mu.Unlock()
	if !ready {
		return "", &connector.Error{Kind: connector.Rejected, Message: "there is no table"}
	}
	return u.Connection.Create(ctx, r)
}

func (u *unprepared) Remove(ctx context.Context, remoteID string, r connector.Record) error {
	u.mu.Lock()
	u.removed = append(u.removed, r)
	u.mu.Unlock()
	return u.Delete(ctx, r.Type, remoteID)
}

func (u *unprepared) set(down bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.down = down
}

func TestRemotesArePrepared(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		remote := &unprepared{Connection: s.to.Connection, down: true}
		s.to.Connection = remote
		s.fill()
		mapping := upkeep.Mapping{
			Name: "customer", From: &upkeep.Relation{Table: "users", Columns: []string{"id", "name"}}, To: s.to, Record: "customer",
			Translate: func(r upkeep.Row) (upkeep.Fields, error) {
				return upkeep.Fields{"name": r["name"], "archived": false}, nil
			},
			Sends: []string{"name", "archived"}, Columns: []connector.Column{{Name: "name", Type: connector.Text}},
			When:      func(r upkeep.Row) (bool, error) { return true, nil },
			WhenFalse: upkeep.Ending{Action: upkeep.Set, Fields: upkeep.Fields{"archived": true}},
		}
		e := s.engine(mapping)
		plan := s.plan(e)
		if len(plan.Remotes) != 1 || !slices.Equal(plan.Remotes[0].Make, []string{"table customer"}) || !plan.Pending() {
			t.Errorf("plan: %+v", plan.Remotes)
		}
		if err := e.Install(s.ctx); connector.KindOf(err) != connector.Unavailable {
			t.Errorf("install with a remote that is down: %v", err)
		}
		want := []connector.Column{{Name: "archived", Type: connector.Boolean}, {Name: "name", Type: connector.Text}}
		if len(remote.uses) != 1 || !slices.EqualFunc(remote.uses[0].Columns, want, func(a, b connector.Column) bool { return a.Name == b.Name && a.Type == b.Type }) {
			t.Errorf("uses: %+v", remote.uses)
		}

		ctx, cancel := context.WithCancel(s.ctx)
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		s.until("the backfill", func() bool {
			st, err := e.Status(s.ctx)
			return err == nil && st.Syncs[0].Dirty > 0
		})
		if n := len(s.remote.Records("customer")); n != 0 {
			t.Errorf("%d records were sent before the remote was prepared", n)
		}
		remote.set(false)
		s.quiet(e)
		s.exec(`delete from line_items; delete from billing_infos; delete from orders; delete from users`)
		s.until("the deletes", func() bool { return len(s.remote.Records("customer")) == 0 })
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, r := range remote.removed {
			if r.Type != "customer" || r.ExternalID == "" || len(r.Fields) > 0 {
				t.Errorf("removed: %+v", r)
			}
		}
		if len(remote.removed) == 0 {
			t.Error("a delete did not say its version")
		}
	})
}

// beside is a database in which another process does something while this one
// looks at the triggers.
type beside struct {
	upkeep.Database
	once sync.Once
	do   func()
}

func (b *beside) Preview(ctx context.Context, shapes []*store.Shape) ([]store.TriggerChange, error) {
	changes, err := b.Database.Preview(ctx, shapes)
	b.once.Do(b.do)
	return changes, err
}

// Of two processes that begin at once, neither takes the other's triggers for
// lost ones.
func TestTwoInstallAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		first := s.engine(customerSync(s.to))
		var log bytes.Buffer
		db := &beside{Database: s.open(), do: func() {
			if err := first.Install(s.ctx); err != nil {
				t.Error(err)
			}
		}}
		second, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{customerSync(s.to)}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Install(s.ctx); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(log.String(), "a trigger was lost") {
			t.Errorf("it sweeps for nothing: %s", log.String())
		}
	})
}
