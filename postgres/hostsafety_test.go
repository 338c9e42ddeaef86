package postgres_test

import (
	"context"
	"fmt"
	"slices"
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
	b.work(s)
	return b
}

// work folds, claims and records until the test ends.
func (b *bench) work(shapes ...*store.Shape) {
	ctx, stop := context.WithCancel(b.ctx)
	var worker sync.WaitGroup
	worker.Go(func() {
		r := store.ClaimRequest{Holder: "w", Lease: time.Minute, Limit: 7}
		for _, s := range shapes {
			r.Syncs = append(r.Syncs, store.ClaimSync{Sync: s.Sync})
		}
		for ctx.Err() == nil {
			_, err := b.db.Fold(b.ctx, shapes, plan, 50)
			claims, e := b.db.Claim(b.ctx, r)
			var results []store.Result
			for _, c := range claims {
				results = append(results, store.Result{ID: c.ID, Epoch: c.Epoch, Generation: c.Generation, Outcome: store.Synced, RemoteID: "r" + c.Key})
			}
			_, recorded := b.db.Record(b.ctx, results, nil)
			if err != nil || e != nil || recorded != nil {
				b.t.Errorf("fold %v, claim %v, record %v", err, e, recorded)
			}
		}
	})
	b.t.Cleanup(func() { stop(); worker.Wait() })
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

// A transaction that succeeds without the triggers succeeds with them, at the
// strictest levels too, while a worker folds and claims: they append to the
// log, and read nothing that others write. Each session has tables of its own,
// so that whatever fails to be serialized is our doing.
func TestStricterIsolation(t *testing.T) {
	t.Parallel()
	const sessions = 4
	b := newBench(t)
	var shapes []*store.Shape
	b.migrate()
	for n := range sessions {
		o, l := fmt.Sprint("o", n), fmt.Sprint("l", n)
		b.exec(fmt.Sprintf(`CREATE TABLE %[1]s (id int PRIMARY KEY, v int); CREATE TABLE %[2]s (id int PRIMARY KEY, o_id int REFERENCES %[1]s ON DELETE CASCADE, q int);
			CREATE INDEX ON %[2]s (o_id); INSERT INTO %[1]s SELECT n, 0 FROM generate_series(1, 20) n`, o, l))
		s := b.shape("s"+fmt.Sprint(n), table(o), "v")
		b.many(s, "lines", table(l), "o_id", "q")
		shapes = append(shapes, s)
	}
	b.install(shapes...)
	b.work(shapes...)
	steps := []string{ // of an order $1::int and its lines
		`INSERT INTO l%[1]d VALUES ($1::int, $1::int %% 20 + 1, 1), (-$1::int, $1::int %% 20 + 1, 1)`,
		`UPDATE l%[1]d SET q = q + 1 WHERE id = $1::int`,
		`UPDATE l%[1]d SET o_id = ($1::int + 7) %% 20 + 1 WHERE id = $1::int`, // another parent
		`UPDATE o%[1]d SET v = v + 1 WHERE id = $1::int %% 20 + 1`,
		`DELETE FROM l%[1]d WHERE id = -$1::int`,
		`INSERT INTO o%[1]d VALUES ($1::int + 1000, 1)`,
		`UPDATE l%[1]d SET o_id = $1::int + 1000 WHERE id = $1::int`,
		`UPDATE o%[1]d SET id = $1::int + 2000 WHERE id = $1::int + 1000 AND NOT EXISTS (SELECT FROM l%[1]d WHERE o_id = $1::int + 1000)`,
		`DELETE FROM o%[1]d WHERE id = $1::int + 1000`, // with its lines
	}
	for at, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		errs := b.sessions(sessions, 40, level, func(tx pgx.Tx, session, i int) error {
			for _, step := range steps {
				if _, err := tx.Exec(b.ctx, fmt.Sprintf(step, session), 1+i+100*at); err != nil {
					return fmt.Errorf("%s: %w", step, err)
				}
			}
			return nil
		})
		if len(errs) > 0 {
			t.Errorf("%s: %d writes failed: %v", level, len(errs), errs[0])
		}
	}
	for n := range sessions {
		if left := b.query(fmt.Sprintf(`SELECT count(*)::text FROM l%d`, n))[0]; left != "0" {
			t.Errorf("%s lines are left of session %d: the steps are not what they are meant to be", left, n)
		}
	}
}

// The same of syncs that deliver every version: what reads versions has pages of
// our tables in common with every other transaction, so it stays away from those
// that are serializable. They have a gap for each table and transaction, and
// their changes go out as states.
func TestStricterIsolationOfVersions(t *testing.T) {
	t.Parallel()
	const sessions, transactions = 4, 60
	b := newBench(t)
	var shapes []*store.Shape
	b.migrate()
	for n := range sessions {
		o, l := fmt.Sprint("o", n), fmt.Sprint("l", n)
		b.exec(fmt.Sprintf(`CREATE TABLE %[1]s (id int PRIMARY KEY, v int); CREATE TABLE %[2]s (id int PRIMARY KEY, o_id int REFERENCES %[1]s, q int);
			CREATE INDEX ON %[2]s (o_id); INSERT INTO %[1]s SELECT n, 0 FROM generate_series(1, 20) n; INSERT INTO %[2]s SELECT n, n, 0 FROM generate_series(1, 20) n`, o, l))
		s := b.shape("s"+fmt.Sprint(n), table(o), "v")
		b.many(s, "lines", table(l), "o_id", "q")
		s.Every = true
		shapes = append(shapes, s)
	}
	b.install(shapes...)
	b.work(shapes...)
	write := func(tx pgx.Tx, session, i int) error {
		for _, step := range []string{`UPDATE o%d SET v = v + 1 WHERE id = $1`, `UPDATE l%d SET q = q + 1 WHERE id = $1`} {
			if _, err := tx.Exec(b.ctx, fmt.Sprintf(step, session), 1+i%20); err != nil {
				return err
			}
		}
		_, err := tx.Exec(b.ctx, `SELECT upkeep.command('s0', $1::text, jsonb_build_object('id', $1::text))`, fmt.Sprint(1+i%20))
		return err
	}
	if errs := b.sessions(sessions, transactions, pgx.Serializable, write); len(errs) > 0 {
		t.Errorf("%d of %d writes failed: %v", len(errs), sessions*transactions, errs[0])
	}
	if got := b.query(`SELECT DISTINCT sync || ' ' || count(*) FILTER (WHERE key IS NULL) FROM upkeep.command_gaps GROUP BY sync ORDER BY 1`); !slices.Equal(got, []string{"s0 120", "s1 120", "s2 120", "s3 120"}) {
		t.Errorf("gaps: %v", got)
	}
	if got := b.query(`SELECT number::text FROM upkeep.commands`); len(got) > 0 {
		t.Errorf("%d versions were read", len(got))
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
