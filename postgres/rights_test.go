package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Each right that is missing is told with the statement that grants it, and
// what was granted is not told again.
func TestMissingRights(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	database := b.query(`SELECT current_database()`)[0]
	owner, role := "owner_of_"+database, "worker_of_"+database
	b.exec(`CREATE ROLE `+owner, `CREATE ROLE `+role+` LOGIN`, `CREATE SCHEMA sales AUTHORIZATION `+owner,
		`CREATE TABLE sales.t (id int PRIMARY KEY, v text, "odd ""name" text)`, `ALTER TABLE sales.t OWNER TO `+owner)
	t.Cleanup(func() { b.exec(`DROP OWNED BY `+role+`, `+owner+` CASCADE`, `DROP ROLE `+role, `DROP ROLE `+owner) })
	s := b.shape("s", store.Table{Schema: "sales", Name: "t"}, "v", `odd "name`)
	worker := *b
	worker.db = open(t, strings.Replace(b.url, "postgres@", role+"@", 1))
	t.Cleanup(func() { _ = worker.db.Close() })

	// All that the table needs is told when its schema can't be looked into.
	_, err := worker.db.Table(b.ctx, s.Root.Table)
	mustFail(t, err, "permission denied for schema sales")
	_, statements, _ := strings.Cut(err.Error(), "what is needed: ")
	if statements != fmt.Sprintf(`GRANT USAGE ON SCHEMA "sales" TO "%[1]s"; GRANT "%[2]s" TO "%[1]s"`, role, owner) {
		t.Fatalf("told to run %s", statements)
	}
	b.exec(statements)
	found, err := worker.db.Rights(b.ctx, []*store.Shape{s})
	b.ok(err)
	if len(found) != 1 || !strings.Contains(found[0].Message, "may not create the schema upkeep") {
		t.Errorf("after it: %+v", found)
	}

	// Somebody who runs each statement that is told comes to an end of them.
	b.exec(`REVOKE `+owner+` FROM `+role, `GRANT SELECT (id) ON sales.t TO `+role)
	for _, want := range []string{`may not create the schema upkeep`, `may not read the columns that are needed: odd "name, v`, `only the table's owner`} {
		found, err := worker.db.Rights(b.ctx, []*store.Shape{s})
		b.ok(err)
		i := 0
		for ; i < len(found) && !strings.Contains(found[i].Message, want); i++ {
		}
		if i == len(found) {
			t.Fatalf("nothing is told of %q: %+v", want, found)
		}
		statement, _, _ := strings.Cut(found[i].Fix, ", as ")
		b.exec(statement)
	}
	found, err = worker.db.Rights(b.ctx, []*store.Shape{s})
	b.ok(err)
	if len(found) > 0 {
		t.Errorf("with all rights: %+v", found)
	}
	worker.migrate()
	worker.install(s)
	b.exec(`INSERT INTO sales.t VALUES (1, 'a')`)
	worker.folds(1, "with all rights", s)

	// A column that is taken away later is an error of the load, and no empty row.
	b.exec(`REVOKE `+owner+` FROM `+role, `REVOKE SELECT (v) ON sales.t FROM `+role)
	if rows, _, err := worker.db.Load(b.ctx, s, []string{"1"}); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("load without SELECT on a column: %v, %v", rows, err)
	}
}

// Nobody is told to make Upkeep's role a member of a superuser.
func TestTablesOfSuperuser(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	role := "worker_of_" + b.query(`SELECT current_database()`)[0]
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text)`, `CREATE ROLE `+role+` LOGIN`, `GRANT SELECT ON t TO `+role)
	t.Cleanup(func() { b.exec(`DROP OWNED BY `+role+` CASCADE`, `DROP ROLE `+role) })
	db := open(t, strings.Replace(b.url, "postgres@", role+"@", 1))
	t.Cleanup(func() { _ = db.Close() })
	found, err := db.Rights(b.ctx, []*store.Shape{b.shape("s", table("t"), "v")})
	b.ok(err)
	text := fmt.Sprint(found)
	if !strings.Contains(text, "is a superuser") || !strings.Contains(text, `ALTER TABLE "public"."t" OWNER TO shop_owner`) || strings.Contains(text, `GRANT "postgres"`) {
		t.Errorf("told: %s", text)
	}
	b.migrate()
	if _, err := db.Pending(b.ctx, 1); !errors.Is(err, store.ErrRights) {
		t.Errorf("without rights: %v", err)
	}
}

// A name without its schema is looked for by the search path, and one that is
// elsewhere is told.
func TestWrongSearchPath(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE SCHEMA sales`, `CREATE TABLE sales.orders (id int PRIMARY KEY)`)
	_, err := b.db.Table(b.ctx, table("orders"))
	if !errors.Is(err, store.ErrNoTable) || !strings.Contains(err.Error(), "sales.orders") {
		t.Errorf("%v", err)
	}
}

// A primary key says nothing of the rows of tables that inherit; of partitions
// it does.
func TestInheritedTablesAreTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE media (id int PRIMARY KEY, v text)`, `CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)`,
		`CREATE TABLE parts_1 PARTITION OF parts DEFAULT`)
	shapes := []*store.Shape{b.shape("media", store.Table{Name: "media"}, "v"), b.shape("parts", store.Table{Name: "parts"}, "v")}
	warned := func() (n int) {
		found, err := b.db.Rights(b.ctx, shapes)
		b.ok(err)
		for _, f := range found {
			if f.Severity == store.Warning && strings.Contains(f.Message, "inherit") {
				if f.Subject != "public.media" {
					t.Errorf("of %s: %s", f.Subject, f.Message)
				}
				n++
			}
		}
		return n
	}
	if n := warned(); n > 0 {
		t.Errorf("%d warnings where nothing inherits", n)
	}
	b.exec(`CREATE TABLE records (rpm int) INHERITS (media)`)
	if n := warned(); n != 1 {
		t.Errorf("%d warnings", n)
	}
}
