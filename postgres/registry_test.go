package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/postgres"
)

// The statement of an idle poll reads the index of due_at and nothing else,
// however many groups there are.
func TestIdlePollReadsTheIndex(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.migrate()
	b.exec(`INSERT INTO upkeep.groups (sync, key, synced_generation, due_at, backfill)
		SELECT 's', n::text, 1, CASE WHEN n % 3 = 0 THEN now() + interval '1 hour' END, n % 2 = 0 FROM generate_series(1, 50000) n`,
		`ANALYZE upkeep.groups`)
	request := store.ClaimRequest{Holder: "h", Lease: time.Minute, Limit: 50,
		Syncs: []store.ClaimSync{{Sync: "s", Quiet: time.Minute}, {Sync: "other"}}}
	claims, err := b.db.Claim(b.ctx, request)
	b.ok(err)
	if len(claims) != 0 {
		t.Fatalf("claimed %d groups that are not due", len(claims))
	}
	plan := strings.Join(b.explainClaim(request), "\n")
	if !strings.Contains(plan, "groups_due") || strings.Contains(plan, "Seq Scan on groups") {
		t.Errorf("the plan does not go by the index:\n%s", plan)
	}
	for _, line := range strings.Split(plan, "\n") {
		if strings.Contains(line, "Rows Removed by Filter") {
			t.Errorf("rows are read and thrown away:\n%s", plan)
		}
	}
}

// explainClaim is what the server does for a claim.
func (b *bench) explainClaim(r store.ClaimRequest) []string {
	b.t.Helper()
	c, err := b.app.Acquire(b.ctx)
	b.ok(err)
	defer c.Release()
	rows, err := c.Query(b.ctx, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) "+postgres.Claiming,
		r.Holder, r.Limit, []string{"s", "other"}, []int64{1, 1}, []bool{false, false}, int64(1), []*bool{nil, nil}, []bool{false, false}, r.Mark, r.Plan)
	b.ok(err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	b.ok(err)
	return lines
}

// Many writers of a few groups, while others fold, claim and record: nothing
// deadlocks, no write fails, and all comes to rest.
func TestHotGroups(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE o (id int PRIMARY KEY, v int)`, `CREATE TABLE l (id serial PRIMARY KEY, o_id int REFERENCES o, q int)`,
		`CREATE INDEX ON l (o_id)`)
	b.migrate()
	s := b.shape("s", table("o"), "v")
	b.many(s, "lines", table("l"), "o_id", "q")
	b.install(s)
	b.exec(`INSERT INTO o SELECT n, 0 FROM generate_series(1, 20) n`)
	ctx, cancel := context.WithCancel(b.ctx)
	var writers, workers sync.WaitGroup
	for range 6 {
		writers.Go(func() {
			for range 60 {
				err := pgx.BeginFunc(b.ctx, b.app, func(tx pgx.Tx) error {
					_, err := tx.Exec(b.ctx, `INSERT INTO l (o_id, q) VALUES ($1, 1), ($2, 2)`, 1+rand.IntN(20), 1+rand.IntN(20))
					if err != nil {
						return err
					}
					_, err = tx.Exec(b.ctx, `UPDATE o SET v = v + 1 WHERE id = $1`, 1+rand.IntN(3))
					return err
				})
				if err != nil {
					t.Errorf("a write of the application failed: %v", err)
				}
			}
		})
	}
	for i := range 3 {
		workers.Go(func() {
			db := open(t, b.url)
			r := store.ClaimRequest{Holder: fmt.Sprint("w", i), Lease: time.Minute, Limit: 5, Syncs: []store.ClaimSync{{Sync: "s"}}}
			for ctx.Err() == nil {
				if _, err := db.Fold(b.ctx, []*store.Shape{s}, plan, 50); err != nil {
					t.Errorf("fold: %v", err)
				}
				claims, err := db.Claim(b.ctx, r)
				if err != nil {
					t.Errorf("claim: %v", err)
				}
				var results []store.Result
				for _, c := range claims {
					results = append(results, store.Result{ID: c.ID, Epoch: c.Epoch, Generation: c.Generation, Outcome: store.Synced,
						RemoteID: "r" + c.Key + fmt.Sprint(c.Epoch%2), Refs: []store.ID{{Sync: "s", Key: fmt.Sprint(1 + rand.IntN(20))}}})
				}
				if _, err := db.Record(b.ctx, results, nil); err != nil {
					t.Errorf("record: %v", err)
				}
			}
		})
	}
	writers.Wait()
	cancel()
	workers.Wait()
	b.fold(s)
	if n, _ := b.db.Pending(b.ctx, 10); n != 0 {
		t.Errorf("%d rows are left in the log", n)
	}
	if got := b.query(`SELECT count(*)::text FROM upkeep.groups`); got[0] != "20" {
		t.Errorf("%s groups, want 20", got)
	}
}

// A row that reaches very many groups is folded in pieces, each once.
func TestFanOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.fansOut(25000)
	b.exec(`UPDATE c SET v = 'b'`)
	b.folds(25000, "fan-out", s)
	if got := b.query(`SELECT count(*)::text FROM upkeep.groups WHERE generation = 2`); got[0] != "25000" {
		t.Errorf("%s of 25000 groups were raised once", got)
	}
	b.exec(`TRUNCATE o`)
	b.folds(25000, "truncate", s)
}

// What is left of a row that fans out is put behind what came meanwhile, and
// is told to be as old as it is: what it leads to is no change that was missed.
func TestAgeOfWhatIsLeftOfAFanOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.fansOut(25000)
	b.exec(`UPDATE c SET v = 'b' WHERE id = 1`, `UPDATE upkeep.touch SET at = at - interval '1 hour'`, `UPDATE c SET v = 'b' WHERE id = 2`)
	f, err := b.db.Fold(b.ctx, []*store.Shape{s}, plan, 1)
	b.ok(err)
	if !f.More || f.Rows != 1 || f.Groups == 12_500 {
		t.Fatalf("not in pieces: %+v", f)
	}
	v, err := b.db.Vitals(b.ctx, time.Hour)
	b.ok(err)
	if v.OldestTouch < time.Hour {
		t.Errorf("the oldest touch is told to be %s old", v.OldestTouch)
	}
	b.fold(s)
	v, err = b.db.Vitals(b.ctx, time.Hour)
	b.ok(err)
	if v.OldestTouch != 0 {
		t.Errorf("a touch %s old in an empty log", v.OldestTouch)
	}
}

// fansOut is a sync over o, each of whose n rows, all of which have a group,
// hangs on one of two rows of c.
func (b *bench) fansOut(n int) *store.Shape {
	b.t.Helper()
	b.exec(`CREATE TABLE c (id int PRIMARY KEY, v text)`, `CREATE TABLE o (id int PRIMARY KEY, c_id int)`,
		`CREATE INDEX ON o (c_id)`, `INSERT INTO c VALUES (1, 'a'), (2, 'a')`,
		fmt.Sprintf(`INSERT INTO o SELECT n, 1 + n %% 2 FROM generate_series(1, %d) n`, n))
	b.migrate()
	s := b.shape("s", table("o"))
	m := b.member(table("c"), "v")
	info, err := b.db.Table(b.ctx, table("o"))
	b.ok(err)
	m.Name, m.Relation, m.Via, m.To = "c", store.BelongsTo, b.columns(info, "c_id"), m.Key
	s.Root.Members = append(s.Root.Members, m)
	b.install(s)
	b.ok(b.db.StartBackfill(b.ctx, "s", "1", false, false))
	if got := b.pass(s, 5000); got != n/5000+1 {
		b.t.Errorf("the backfill took %d pieces", got)
	}
	return s
}

// Row-level security that would hide rows is an error, never an empty answer.
func TestRowLevelSecurity(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	database := b.query(`SELECT current_database()`)[0]
	role := "owner_" + database
	b.exec(`CREATE ROLE `+role+` LOGIN`, `GRANT ALL ON DATABASE `+database+` TO `+role, `GRANT ALL ON SCHEMA public TO `+role)
	t.Cleanup(func() { b.exec(`DROP OWNED BY `+role+` CASCADE`, `DROP ROLE `+role) })
	owner := *b
	owner.db = open(t, strings.Replace(b.url, "postgres@", role+"@", 1))
	t.Cleanup(func() { _ = owner.db.Close() })
	owner.migrate()
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text)`, `ALTER TABLE t OWNER TO `+role, `INSERT INTO t VALUES (1, 'a')`)
	s := owner.shape("s", table("t"), "v")
	owner.install(s)
	b.exec(`ALTER TABLE t ENABLE ROW LEVEL SECURITY`, `ALTER TABLE t FORCE ROW LEVEL SECURITY`, `UPDATE t SET v = 'b'`)
	if _, _, err := owner.db.Load(b.ctx, s, []string{"1"}); err == nil || !strings.Contains(err.Error(), "row-level security") {
		t.Errorf("load under row-level security: %v", err)
	}
	// Its touches are left to a sweep, which goes on when it can read the table.
	if _, err := owner.db.Fold(b.ctx, []*store.Shape{s}, plan, 10); err != nil {
		t.Errorf("fold under row-level security: %v", err)
	}
	state, err := owner.db.Sync(b.ctx, "s")
	if err != nil || !state.Backfill.Running || !strings.Contains(state.Backfill.Failure, "row-level security") {
		t.Errorf("after a fold under row-level security: %+v, %v", state, err)
	}
	if _, err := owner.db.Backfill(b.ctx, s, 10); err == nil || !strings.Contains(err.Error(), "row-level security") {
		t.Errorf("a sweep under row-level security: %v", err)
	}
	found, err := owner.db.Rights(b.ctx, []*store.Shape{s})
	b.ok(err)
	if len(found) != 1 || !strings.Contains(found[0].Message, "row-level security") {
		t.Errorf("findings: %+v", found)
	}
}

func TestAppendInATransaction(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text)`)
	b.migrate()
	s := b.shape("s", table("t"), "v")
	b.install(s)
	std := stdlib.OpenDBFromPool(b.app)
	defer std.Close()
	for i, commit := range []bool{true, false} {
		tx, err := std.BeginTx(b.ctx, &sql.TxOptions{})
		b.ok(err)
		b.ok(b.db.Append(b.ctx, tx, []store.Touch{{ID: store.ID{Sync: "s", Key: fmt.Sprint(i)}, Register: true}}))
		if commit {
			b.ok(tx.Commit())
		} else {
			b.ok(tx.Rollback())
		}
	}
	b.folds(1, "one committed, one rolled back", s)
	if err := b.db.Append(b.ctx, "no transaction", []store.Touch{{}}); err == nil {
		t.Error("a string was taken for a transaction")
	}
}

func TestNotInstalled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, secret := b.db.Secret(b.ctx)
	_, counts := b.db.Counts(b.ctx)
	_, fold := b.db.Fold(b.ctx, nil, plan, 1)
	_, claim := b.db.Claim(b.ctx, store.ClaimRequest{Limit: 1, Syncs: []store.ClaimSync{{Sync: "s"}}})
	for name, err := range map[string]error{"secret": secret, "counts": counts, "fold": fold, "claim": claim,
		"append": b.db.Append(b.ctx, nil, []store.Touch{{}})} {
		if !errors.Is(err, store.ErrNotInstalled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An error about the URL says nothing of the password in it.
func TestPasswordStaysSecret(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"postgres://u:hunter2@127.0.0.1:1/x", "postgres://u:hunter2@[bad/x", "host=127.0.0.1 port=nope password=hunter2"} {
		_, err := postgres.Open(context.Background(), url)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}
