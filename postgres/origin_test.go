package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A registry whose rows were put back is noticed, and nothing is claimed before
// it was looked at; what the server does to its pages by itself is nothing.
func TestRowsThatWerePutBackAreNoticed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.migrate()
	origin := func() store.Origin {
		t.Helper()
		now, _, err := b.db.Origin(b.ctx)
		b.ok(err)
		return now
	}
	b.ok(b.db.NoteOrigin(b.ctx, origin().ID, false, nil))
	before := origin()
	b.exec("VACUUM (FREEZE) upkeep.settings", "VACUUM FULL upkeep.settings")
	if now := origin(); now.PutBack || now.Mark != before.Mark {
		t.Errorf("a vacuum was taken for a restore: %+v, was %+v", now, before)
	}
	b.exec("INSERT INTO upkeep.groups (sync, key, due_at) VALUES ('s', '1', now())")
	request := store.ClaimRequest{Holder: "h", Lease: time.Minute, Limit: 50, Syncs: []store.ClaimSync{{Sync: "s"}}, Mark: before.Mark}
	b.exec("CREATE TABLE saved AS TABLE upkeep.settings", "DELETE FROM upkeep.settings", "INSERT INTO upkeep.settings TABLE saved")
	if claims, err := b.db.Claim(b.ctx, request); !errors.Is(err, store.ErrMoved) || len(claims) > 0 {
		t.Errorf("claimed %v, %v", claims, err)
	}
	now := origin()
	if !now.PutBack || now.Mark == before.Mark {
		t.Errorf("%+v, was %+v", now, before)
	}
	b.ok(b.db.NoteOrigin(b.ctx, now.ID, true, nil))
	request.Mark = origin().Mark
	if claims, err := b.db.Claim(b.ctx, request); err != nil || len(claims) != 1 || origin().PutBack {
		t.Errorf("after it was noted: claimed %v, %v", claims, err)
	}
}

// A registry that is only being installed is not installed yet: its migrations
// are made one after the other, so a column that a later one adds may not be there.
func TestHalfInstalled(t *testing.T) {
	b := newBench(t)
	b.ok(b.db.Migrate(b.ctx))
	files, err := filepath.Glob("migrations/*.sql")
	b.ok(err)
	refused := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		b.ok(err)
		for _, alter := range regexp.MustCompile(`(?m)^ALTER TABLE (upkeep\.\w+) (ADD COLUMN .*)`).FindAllStringSubmatch(string(text), -1) {
			for _, column := range regexp.MustCompile(`ADD COLUMN (\w+)`).FindAllStringSubmatch(alter[2], -1) {
				b.exec(`ALTER TABLE ` + alter[1] + ` RENAME COLUMN ` + column[1] + ` TO later`)
				_, bySync := b.db.Sync(b.ctx, "s")
				_, byCounts := b.db.Counts(b.ctx)
				_, byHealth := b.db.Health(b.ctx, "ns")
				_, byVitals := b.db.Vitals(b.ctx, time.Minute)
				_, byGroup := b.db.Group(b.ctx, store.ID{Sync: "s", Key: "1"})
				if errors.Is(byGroup, store.ErrNoGroup) { // it does not read this column
					byGroup = nil
				}
				for what, err := range map[string]error{"Sync": bySync, "Counts": byCounts, "Health": byHealth, "Vitals": byVitals, "Group": byGroup} {
					if err == nil {
						continue
					}
					refused++
					if !errors.Is(err, store.ErrNotInstalled) {
						t.Errorf("%s without %s.%s: %v", what, alter[1], column[1], err)
					}
				}
				b.exec(`ALTER TABLE ` + alter[1] + ` RENAME COLUMN later TO ` + column[1])
			}
		}
	}
	if refused < 5 {
		t.Errorf("only %d columns were missed", refused)
	}
}
