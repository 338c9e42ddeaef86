package sqlite

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// What is logged between the two halves of a fold stays in the log.
func TestFoldBetween(t *testing.T) {
	t.Parallel()
	d := plans(t)
	ctx := t.Context()
	shape := &store.Shape{Sync: "s", Root: &store.Member{Table: store.Table{Schema: "main", Name: "a"},
		Key: []store.Column{{Name: "id"}}, Columns: []store.Column{{Name: "v"}}}}
	shapes := []*store.Shape{shape}
	if err := d.Install(ctx, shapes, "p", ""); err != nil {
		t.Fatal(err)
	}
	app := func(q string) {
		t.Helper()
		if err := d.exec(ctx, "application", q); err != nil {
			t.Fatal(err)
		}
	}
	fold := func(between ...string) {
		t.Helper()
		var b *batch
		err := d.view(ctx, "read", func(tx *sql.Tx) (err error) {
			b, err = readBatch(ctx, tx, shapes, "p", 100, foldPiece)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range between {
			app(q)
		}
		if len(b.rows) == 0 {
			return
		}
		err = d.update(ctx, "write", func(tx *sql.Tx) error {
			_, err := d.writeBatch(ctx, tx, b, "p")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	app(`INSERT INTO a VALUES (1, 'x'), (2, 'x')`)
	fold()
	app(`INSERT OR IGNORE INTO a VALUES (1, 'z')`) // nearly replaced: the last row of the log
	fold(`INSERT INTO a VALUES (3, 'x')`)
	fold(`UPDATE a SET v = 'y' WHERE id = 1`)
	fold()
	for key, want := range map[string]int64{"1": 2, "2": 1, "3": 1} {
		g, err := d.Group(ctx, store.ID{Sync: "s", Key: key})
		if err != nil {
			t.Fatal(err)
		}
		if g.Generation != want {
			t.Errorf("generation of %s is %d, want %d", key, g.Generation, want)
		}
	}
}

// Two processes that read the same rows: the second one's fold does nothing.
func TestFoldTwice(t *testing.T) {
	t.Parallel()
	d := plans(t)
	ctx := t.Context()
	shapes := []*store.Shape{{Sync: "s", ByHand: true, Root: &store.Member{Table: store.Table{Schema: "main", Name: "a"}, Key: []store.Column{{Name: "id"}}}}}
	if err := d.Install(ctx, shapes, "p", ""); err != nil {
		t.Fatal(err)
	}
	id := store.ID{Sync: "s", Key: "1"}
	if err := d.Append(ctx, nil, []store.Touch{{ID: id, Register: true}}); err != nil {
		t.Fatal(err)
	}
	var b *batch
	err := d.view(ctx, "read", func(tx *sql.Tx) (err error) {
		b, err = readBatch(ctx, tx, shapes, "p", 100, foldPiece)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if f, err := d.Fold(ctx, shapes, "p", 100); err != nil || f.Rows != 1 {
		t.Fatal(f, err)
	}
	// The log is empty now, so that this row has the first one's id.
	if err := d.Append(ctx, nil, []store.Touch{{ID: id, Force: true}}); err != nil {
		t.Fatal(err)
	}
	err = d.update(ctx, "write", func(tx *sql.Tx) error {
		_, err := d.writeBatch(ctx, tx, b, "p")
		return err
	})
	if err == nil {
		t.Fatal("a batch that somebody else had folded was written")
	}
	if f, err := d.Fold(ctx, shapes, "p", 100); err != nil || f.Rows != 1 {
		t.Errorf("the touch after it: %+v, %v", f, err)
	}
}

// A poll that finds nothing, a claim and a fold stay fast with many groups:
// printed, not asserted.
func TestManyGroups(t *testing.T) {
	t.Parallel()
	d := plans(t)
	err := d.exec(t.Context(), "fill", `INSERT INTO upkeep_groups (sync, key, generation, synced_generation, remote_id)
		WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000) SELECT 's', n, 1, 1, 'r' FROM n`)
	if err != nil {
		t.Fatal(err)
	}
	r := store.ClaimRequest{Holder: "w", Lease: time.Minute, Limit: 100, Syncs: []store.ClaimSync{{Sync: "s", Quiet: time.Minute}}}
	begin := time.Now()
	for range 100 {
		if cs, err := d.Claim(t.Context(), r); err != nil || len(cs) > 0 {
			t.Fatal(cs, err)
		}
	}
	t.Logf("an empty claim: %v", time.Since(begin)/100)
	shape := &store.Shape{Sync: "s", ByHand: true, Root: &store.Member{Table: store.Table{Schema: "main", Name: "a"}, Key: []store.Column{{Name: "id"}}}}
	if err := d.Install(t.Context(), []*store.Shape{shape}, "p", ""); err != nil {
		t.Fatal(err)
	}
	var touches []store.Touch
	for i := range 5000 {
		touches = append(touches, store.Touch{ID: store.ID{Sync: "s", Key: fmt.Sprint(i + 1)}})
	}
	if err := d.Append(t.Context(), nil, touches); err != nil {
		t.Fatal(err)
	}
	begin = time.Now()
	if f, err := d.Fold(t.Context(), []*store.Shape{shape}, "p", 5000); err != nil || f.Groups != 5000 {
		t.Fatal(f, err)
	}
	t.Logf("a fold of 5,000 rows: %v", time.Since(begin))
	begin = time.Now()
	for range 50 {
		cs, err := d.Claim(t.Context(), r)
		if err != nil || len(cs) != 100 {
			t.Fatal(len(cs), err)
		}
		var rs []store.Result
		for _, c := range cs {
			rs = append(rs, store.Result{ID: c.ID, Epoch: c.Epoch, Generation: c.Generation, Outcome: store.Synced, RemoteID: "r", Calls: 1,
				Attempt: &store.Attempt{Action: "update", Outcome: "ok"}})
		}
		if stale, err := d.Record(t.Context(), rs, nil); err != nil || len(stale) > 0 {
			t.Fatal(stale, err)
		}
	}
	t.Logf("claim and record of 100: %v", time.Since(begin)/50)
}
