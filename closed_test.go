package upkeep_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// A program that closes the database before Run has ended is told so, and Run
// ends; a database that is only away is waited for.
func TestDatabaseClosedUnderRun(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.within(3 * time.Minute)
		s.exec(`INSERT INTO users (id, name, email) VALUES (1, 'Ada', 'a@b')`)
		db := s.open()
		e, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{upkeep.Mapping{Name: "user", From: &upkeep.Relation{Table: "users", Columns: []string{"name"}}, To: s.to, Record: "user",
			Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"name": r["name"]}, nil }}}})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		ctx, cancel := context.WithCancel(s.ctx)
		defer cancel()
		go func() { done <- e.Run(ctx) }()
		s.quiet(e)
		if err := db.(io.Closer).Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "the database was closed while Run was at work") {
				t.Errorf("Run ended with %v", err)
			}
		case <-s.ctx.Done():
			t.Error("Run goes on with a database that is closed")
		}
	})
}
