package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/internal/storetest"
	"github.com/upkeep-sync/upkeep/postgres"
)

// TestStore runs the suite that every database passes.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *storetest.Target {
		b := newBench(t)
		return &storetest.Target{
			Store: b.db,
			Again: func(t *testing.T) store.Store { return open(t, b.url) },
			Piece: 10_000,
			Exec: func(sql string) error {
				_, err := b.app.Exec(b.ctx, sql)
				return err
			},
			Begin: func(t *testing.T) storetest.Tx {
				tx, err := b.app.Begin(b.ctx)
				if err != nil {
					t.Fatal(err)
				}
				return &appTx{b.ctx, tx}
			},
			Advance:     b.advance,
			Objects:     b.objects,
			DropTrigger: b.dropTrigger,
			Row:         func(n int) string { return fmt.Sprintf("(SELECT generate_series(1, %d) AS n)", n) },
		}
	})
}

// bench is an empty database with an application's connections and a store.
type bench struct {
	t       testing.TB
	ctx     context.Context
	url     string
	db      *postgres.DB
	app     *pgxpool.Pool
	advance func(time.Duration)
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, ctx: context.Background(), url: pgtest.New(t)}
	b.db = open(t, b.url)
	app, err := pgxpool.New(b.ctx, b.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	b.app = app
	var offset time.Duration
	b.advance = func(d time.Duration) {
		offset += d
		b.exec(fmt.Sprintf(`CREATE OR REPLACE FUNCTION upkeep.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS
			'SELECT pg_catalog.clock_timestamp() + %d * interval ''1 microsecond'''`, offset.Microseconds()))
	}
	return b
}

func open(t testing.TB, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (b *bench) exec(sql ...string) {
	b.t.Helper()
	for _, s := range sql {
		if _, err := b.app.Exec(b.ctx, s); err != nil {
			b.t.Fatalf("%v\nin: %s", err, s)
		}
	}
}

// query returns the first column of the result, as text.
func (b *bench) query(sql string, args ...any) []string {
	b.t.Helper()
	rows, err := b.app.Query(b.ctx, sql, args...)
	if err != nil {
		b.t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		b.t.Fatalf("%v\nin: %s", err, sql)
	}
	return all
}

// objects lists what the catalogue has of other than PostgreSQL's own.
func (b *bench) objects(t *testing.T) []string {
	t.Helper()
	return b.query(`
		SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
		UNION ALL SELECT 'relation ' || relkind::text || ' ' || oid::regclass FROM pg_class
			WHERE relnamespace::regnamespace::text !~ '^pg_'
		UNION ALL SELECT 'function ' || oid::regprocedure FROM pg_proc
		UNION ALL SELECT 'trigger ' || tgname || ' on ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT 'type ' || oid::regtype FROM pg_type WHERE typnamespace::regnamespace::text !~ '^pg_'
		UNION ALL SELECT 'comment ' || count(*)::text FROM pg_description
		UNION ALL SELECT 'dependency ' || count(*)::text FROM pg_depend
		ORDER BY 1`)
}

func (b *bench) dropTrigger(t *testing.T, table string) {
	t.Helper()
	names := b.query(`SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass($1) AND tgname LIKE 'upkeep\_update%'`,
		pgx.Identifier{table}.Sanitize())
	if len(names) != 1 {
		t.Fatalf("table %s has the triggers %v", table, names)
	}
	b.exec("DROP TRIGGER " + pgx.Identifier{names[0]}.Sanitize() + " ON " + pgx.Identifier{table}.Sanitize())
}

// appTx is a transaction of the application.
type appTx struct {
	ctx context.Context
	tx  pgx.Tx
}

func (a *appTx) Exec(sql string) error {
	_, err := a.tx.Exec(a.ctx, sql)
	return err
}
func (a *appTx) Commit() error { return a.tx.Commit(a.ctx) }
func (a *appTx) Rollback() error {
	if err := a.tx.Rollback(a.ctx); !errors.Is(err, pgx.ErrTxClosed) {
		return err
	}
	return nil
}
func (a *appTx) Handle() any { return a.tx }

// What keeps the database from being reached is said, and not the ways that
// were tried before.
func TestOpenSaysWhy(t *testing.T) {
	t.Parallel()
	url := strings.Replace(pgtest.New(t), "/test_", "/nowhere_", 1)
	for _, mode := range []string{"prefer", "disable", "require"} {
		_, err := postgres.Open(t.Context(), strings.Replace(url, "sslmode=disable", "sslmode="+mode, 1))
		if err == nil {
			t.Fatalf("%s: it opened %s", mode, url)
		}
		if said := strings.Contains(err.Error(), "TLS"); said != (mode == "require") || !said && !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("%s: %v", mode, err)
		}
	}
}
