package postgres_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// What one row leads to is raised in pieces, and what else is changed meanwhile
// waits for none but the next.
func TestOtherChangesBetweenPieces(t *testing.T) {
	t.Parallel()
	const n = 60_000
	b := newBench(t)
	s := b.fansOut(n)
	fold := func() store.Folded {
		t.Helper()
		f, err := b.db.Fold(b.ctx, []*store.Shape{s}, plan, 1000)
		b.ok(err)
		if f.Groups > 10_100 {
			t.Errorf("one fold raised %d groups", f.Groups)
		}
		return f
	}
	generation := func(key int) int64 { return b.group("s", fmt.Sprint(key)).Generation }

	b.exec(`UPDATE c SET v = 'b' WHERE id = 1`) // half of the rows, the even ones
	if f := fold(); !f.More {
		t.Fatal("all in one fold")
	}
	b.exec(`DELETE FROM o WHERE id = 2`, `UPDATE c SET v = 'b' WHERE id = 2`, `DELETE FROM o WHERE id = 1`)
	folds := 1
	for more := true; more; folds++ {
		b.exec(fmt.Sprintf(`UPDATE o SET id = %d WHERE id = %d`, n+folds, n-1-2*folds)) // a new row each time, an odd one
		f := fold()
		if got := generation(n + folds); got < 1 {
			t.Errorf("a change between two pieces is at generation %d", got)
		}
		if !b.group("s", fmt.Sprint(n-1-2*folds)).DeleteSeen {
			t.Errorf("after %d folds, the key that went is not seen as deleted", folds)
		}
		more = f.More
	}
	if folds < 6 {
		t.Errorf("%d groups in %d folds", n, folds)
	}
	for _, id := range []int{1, 2} {
		if g := b.group("s", fmt.Sprint(id)); !g.DeleteSeen {
			t.Errorf("row %d is gone, and its group is %+v", id, g)
		}
	}
	for _, id := range []int{3, 4, n / 2, n/2 + 1} {
		if got := generation(id); got != 2 {
			t.Errorf("row %d is at generation %d, want 2", id, got)
		}
	}
	g := b.group("s", "4")
	if g.Cause.Table != "public.c" || g.Cause.Key != "1" || !slices.Equal(g.Cause.Columns, []string{"v"}) {
		t.Errorf("the cause is %+v", g.Cause)
	}
}

// The groups that a row leads to are looked up once. One that has no row any
// more when its piece comes, and had no group, gets none.
func TestNoGroupOfARowThatWent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.fansOut(30_000)
	b.exec(`DELETE FROM upkeep.groups WHERE key IN ('10', '12')`, `UPDATE c SET v = 'b' WHERE id = 1`)
	if _, err := b.db.Fold(b.ctx, []*store.Shape{s}, plan, 1000); err != nil {
		t.Fatal(err)
	}
	b.exec(`ALTER TABLE o DISABLE TRIGGER ALL`, `DELETE FROM o WHERE id = 10`, `ALTER TABLE o ENABLE TRIGGER ALL`)
	b.folds(14_998, "all but those", s)
}

// A truncated table's groups are raised in pieces, with the delete that was
// seen.
func TestTruncateInPieces(t *testing.T) {
	t.Parallel()
	const n = 25_000
	b := newBench(t)
	s := b.fansOut(n)
	b.exec(`TRUNCATE o`)
	folds := 0
	for more := true; more; folds++ {
		f, err := b.db.Fold(b.ctx, []*store.Shape{s}, plan, 1000)
		b.ok(err)
		if f.Groups > 10_000 {
			t.Errorf("one fold raised %d groups", f.Groups)
		}
		more = f.More
	}
	if folds < 3 {
		t.Errorf("%d groups in %d folds", n, folds)
	}
	got := b.query(`SELECT count(*)::text FROM upkeep.groups WHERE deleted_generation = 2 AND generation = 2`)
	if got[0] != fmt.Sprint(n) {
		t.Errorf("%s of %d groups were raised once, as deleted", got[0], n)
	}
}
