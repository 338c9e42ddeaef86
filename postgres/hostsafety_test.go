package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// lined is a sync over o, whose lines l touch it, with a worker that folds,
// claims and records until the end.
func lined(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.exec(`CREATE TABLE o (id int PRIMARY KEY, v int)`, `CREATE TABLE l (id bigserial PRIMARY KEY, o_id int REFERENCES o, q int)`,
		`CREATE INDEX ON l (o_id)`, `INSERT INTO o SELECT n, 0 FROM generate_series(1, 20) n`)
	b.migrate()
	s := b.shape("s", table("o"), "v")
	b.many(s, "lines", table("l"), "o_id", "q")
	b.install(s)
	ctx, stop := context.WithCancel(b.ctx)
	var worker sync.WaitGroup
	worker.Go(func() {
		r := store.ClaimRequest{Holder: "w", Lease: time.Minute, Limit: 7, Syncs: []store.ClaimSync{{Sync: "s"}}}
		for ctx.Err() == nil {
			_, err := b.db.Fold(b.ctx, []*store.Shape{s}, plan, 50)
			claims, e := b.db.Claim(b.ctx, r)
			var results []store.Result
			for _, c := range claims {
				results = append(results, store.Result{ID: c.ID, Epoch: c.Epoch, Generation: c.Generation, Outcome: store.Synced, RemoteID: "r" + c.Key})
			}
			_, recorded := b.db.Record(b.ctx, results, nil)
			if err != nil || e != nil || recorded != nil {
				t.Errorf("fold %v, claim %v, record %v", err, e, recorded)
			}
		}
	})
	t.Cleanup(func() { stop(); worker.Wait() })
	return b
}

// sessions runs n sessions of an application at once, each of so many
// transactions, and returns the errors of their writes.
func (b *bench) sessions(n, transactions int, level pgx.TxIsoLevel, write func(tx pgx.Tx, session, i int) error) (errs []error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for session := range n {
		all.Go(func() {
			for i := range transactions {
				err := pgx.BeginTxFunc(b.ctx, b.app, pgx.TxOptions{IsoLevel: level}, func(tx pgx.Tx) error { return write(tx, session, i) })
				if err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return errs
}

// Sessions that touch the same groups in opposite orders never wait for each
// other, since a touch is a new row: nothing that we do can make a deadlock.
func TestOppositeLockOrders(t *testing.T) {
	t.Parallel()
	b := lined(t)
	errs := b.sessions(4, 100, pgx.ReadCommitted, func(tx pgx.Tx, session, _ int) error {
		for n := 1; n <= 10; n++ {
			o := n
			if session%2 == 1 {
				o = 11 - n
			}
			if _, err := tx.Exec(b.ctx, `INSERT INTO l (o_id, q) VALUES ($1, $2)`, o, n); err != nil {
				return err
			}
		}
		return nil
	})
	for _, err := range errs {
		t.Errorf("a write of the application failed: %v", err)
	}
	if n := b.query(`SELECT count(*)::text FROM l`)[0]; n != "4000" {
		t.Errorf("%s lines, want 4000", n)
	}
}

// A transaction that would be serializable without the triggers is so with
// them, while a worker folds: they read nothing that others write.
func TestStricterIsolation(t *testing.T) {
	t.Parallel()
	b := lined(t)
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		errs := b.sessions(4, 60, level, func(tx pgx.Tx, session, i int) error {
			_, err := tx.Exec(b.ctx, `INSERT INTO l (o_id, q) VALUES ($1, $2), ($1, 2)`, 1+session, i)
			if err == nil && level == pgx.RepeatableRead { // its own row
				_, err = tx.Exec(b.ctx, `UPDATE o SET v = v + 1 WHERE id = $1`, 10+session)
			}
			return err
		})
		for _, err := range errs {
			t.Errorf("%s: %v", level, err)
		}
	}
}

// A transaction that stays open with touches holds nobody up, and its touches
// are folded when it commits, whatever was folded meanwhile.
func TestLongTransactions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text)`)
	b.migrate()
	s := b.shape("s", table("t"), "v")
	b.install(s)
	var open []pgx.Tx
	for i := range 3 {
		tx, err := b.app.Begin(b.ctx)
		b.ok(err)
		_, err = tx.Exec(b.ctx, `INSERT INTO t VALUES ($1, 'long')`, i)
		b.ok(err)
		open = append(open, tx)
	}
	for i := range 50 {
		b.exec(fmt.Sprintf(`INSERT INTO t VALUES (%d, 'short')`, 100+i))
		b.folds(1, "beside long transactions", s)
	}
	if n := b.syncAll(s); n != 50 {
		t.Errorf("%d groups were synced beside long transactions, want 50", n)
	}
	for i := len(open) - 1; i >= 0; i-- { // the youngest first
		b.ok(open[i].Commit(b.ctx))
		b.folds(1, "after the commit", s)
	}
	if n := b.syncAll(s); n != 3 {
		t.Errorf("%d groups were synced after the commits, want 3", n)
	}
}
