package warehouse_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/warehouse"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

// Prepare makes what is lacking, adds what is new, and then has nothing to do.
func TestPrepare(t *testing.T) {
	onEach(t, warehouse.Config{Lists: warehouse.AsTables}, func(d *desk) {
		lines := col("lines", connector.List, col("sku", connector.Text), col("deep", connector.List))
		tags := col("tags", connector.List, col("", connector.Text))
		uses := []connector.Use{orders(col("memo", connector.Text), lines, tags, col("unsure", connector.List))}
		lacking, err := d.Lacking(d.ctx, uses)
		if err != nil || len(lacking) != 5 || !strings.HasPrefix(lacking[0], "table ") || !strings.Contains(fmt.Sprint(lacking), "orders_tags (external_id") {
			d.Errorf("lacking: %q, %v", lacking, err)
		}
		if problems := d.Check(d.ctx, uses); len(problems) > 0 {
			d.Errorf("what will be made is no problem: %v", problems)
		}
		d.prepare(uses...)
		d.applies("ok", change(connector.Create, "a", 1, "lines", `[{"sku":"x","deep":[1,2]}]`, "tags", `["red","blue"]`, "unsure", `[1]`))
		d.is(`SELECT value FROM orders_tags WHERE position = 1`, "blue")
		want := fields("lines", `[{"sku":"x","deep":[1,2]}]`, "tags", `["red","blue"]`, "unsure", `[1]`)
		got, err := d.Read(d.ctx, "orders", "a", want)
		if err != nil || string(got["lines"]) != string(want["lines"]) || string(got["tags"]) != string(want["tags"]) {
			d.Errorf("read: %s, %v", got, err)
		}

		lines.List = append(lines.List, col("qty", connector.Integer))
		uses = []connector.Use{orders(col("memo", connector.Text), lines, tags, col("total", connector.Decimal), col("unsure", connector.List))}
		lacking, err = d.Lacking(d.ctx, uses)
		if err != nil || len(lacking) != 2 {
			d.Errorf("lacking: %q, %v", lacking, err)
		}
		d.prepare(uses...)
		d.applies("ok", change(connector.Update, "a", 2, "lines", `[{"sku":"y","deep":null,"qty":4}]`, "total", "1.5"))
		d.is(`SELECT qty FROM orders_lines`, "4")
		if lacking, err = d.Lacking(d.ctx, uses); err != nil || len(lacking) > 0 {
			d.Errorf("lacking after prepare: %q, %v", lacking, err)
		}
		d.applies("ok", change(connector.Delete, "a", 3))
		d.is(`SELECT (SELECT count(*) FROM orders_lines) + (SELECT count(*) FROM orders_tags)`, "0")
	})
}

// What can't be made right is told, and then nothing is made.
func TestPrepareTellsWhatIsInTheWay(t *testing.T) {
	onEach(t, warehouse.Config{Lists: warehouse.AsTables, Tables: map[string]warehouse.Table{"kept": {Types: map[string]string{"memo": "text"}}}}, func(d *desk) {
		d.exec(`CREATE TABLE orders (external_id text PRIMARY KEY, memo text, total integer, owner text NOT NULL)`)
		d.exec(`CREATE TABLE keyless (id text PRIMARY KEY, memo text)`)
		d.exec(`CREATE TABLE loose (external_id text, memo text)`)
		d.exec(`CREATE TABLE kept (external_id text PRIMARY KEY, memo text)`)
		use := func(table string, columns ...connector.Column) connector.Use {
			return connector.Use{Sync: "s_" + table, Type: table, Columns: columns}
		}
		long := strings.Repeat("é", 40)
		uses := []connector.Use{
			use("orders", col("memo", connector.Date), col("total", connector.Decimal), col("fresh", connector.Text)),
			use("keyless", col("memo", connector.Text)), use("loose", col("memo", connector.Text)),
			use("kept", col("memo", connector.Integer)), // as types has it
			{Sync: "unsaid", Type: "nowhere"}, use("a.b.c"), use("upkeep_deleted"),
			use("own", col("version", connector.Integer)), use("twice", col("x", connector.Text)), use("twice", col("x", connector.Integer)),
			use("new", col(long, connector.Text), col("nul\x00", connector.Text)), {Sync: "made", Type: "made", Initialized: true, Columns: []connector.Column{}},
		}
		want := []string{
			"and its values are date: change its type yourself", "orders.total is", "types: {total:",
			"orders.owner may not be null and has no default", "keyless has no column external_id", "loose.external_id is not unique",
			"there is no table", "nowhere", `"a.b.c" is not a table`, "upkeep_deleted is the connector's own",
			"sync s_own: the field version has the name of a column that the connector keeps itself", "x is integer, and text in another sync",
			"holds the character NUL", "can't be initialized",
		}
		if d.isPostgres() {
			want = append(want, "is longer than the 63 bytes")
		}
		err := d.Prepare(d.ctx, uses)
		problems := fmt.Sprint(d.Check(d.ctx, uses))
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) || !strings.Contains(problems, w) {
				d.Errorf("%q is not told: %v", w, err)
			}
		}
		if strings.Contains(problems, "kept") {
			d.Errorf("a type that the configuration names is not one: %s", problems)
		}
		_, lackErr := d.Lacking(d.ctx, uses)
		if lackErr == nil {
			d.Error("lacking tells no problem")
		}
		for _, made := range []string{"own", "new", "orders_lines"} {
			if _, err := d.db.ExecContext(d.ctx, `SELECT 1 FROM "`+made+`"`); err == nil {
				d.Errorf("%s was made", made)
			}
		}
	})
}

// Processes that start at once all find it done.
func TestPrepareAtOnce(t *testing.T) {
	onEach(t, warehouse.Config{}, func(d *desk) {
		var group sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			group.Go(func() {
				w, err := warehouse.Open(warehouse.Config{URL: connector.Secret(d.url)})
				if err == nil {
					defer w.Close()
					err = w.Prepare(d.ctx, []connector.Use{orders(col("memo", connector.Text))})
				}
				errs[i] = err
			})
		}
		group.Wait()
		for _, err := range errs {
			if err != nil {
				d.Error(err)
			}
		}
	})
}

// With create: false nothing is made, and what would be is said with its SQL.
func TestCreateFalse(t *testing.T) {
	no := false
	onEach(t, warehouse.Config{Create: &no}, func(d *desk) {
		use := orders(col("memo", connector.Text))
		err := d.Prepare(d.ctx, []connector.Use{use})
		if err == nil || !strings.Contains(err.Error(), "CREATE TABLE") || !strings.Contains(err.Error(), "create is false") {
			d.Fatalf("prepare: %v", err)
		}
		if lacking, _ := d.Lacking(d.ctx, []connector.Use{use}); len(lacking) > 0 {
			d.Errorf("lacking: %v", lacking)
		}
		for _, p := range d.Check(d.ctx, []connector.Use{use}) { // what it says is what helps
			if _, statement, ok := strings.Cut(p.Error(), "it would be made by: "); ok {
				d.exec(statement)
			}
		}
		d.prepare(use)
		d.applies("ok", change(connector.Create, "a", 1, "memo", `"x"`))
	})
}

// A login that may not do what it must is told which right it lacks.
func TestRights(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	owner := newDesk(t, database, warehouse.Config{})
	use := orders(col("memo", connector.Text))
	role := "poor_" + strings.ReplaceAll(strings.ToLower(owner.one("SELECT current_database()")), "-", "_")
	owner.exec(`CREATE ROLE ` + role + ` LOGIN`)
	t.Cleanup(func() { owner.exec(`DROP OWNED BY ` + role + `; DROP ROLE ` + role) })
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	poor := newDesk(t, u.String(), warehouse.Config{})
	tells := func(words ...string) {
		t.Helper()
		problems := fmt.Sprint(poor.Check(poor.ctx, []connector.Use{use}))
		for _, w := range words {
			if !strings.Contains(problems, w) {
				t.Errorf("%q is not told: %s", w, problems)
			}
		}
		if len(words) == 0 && problems != "[]" {
			t.Errorf("problems where there are none: %s", problems)
		}
	}
	tells(`GRANT CREATE ON SCHEMA "public"`)
	if err := poor.Prepare(poor.ctx, []connector.Use{use}); kindOf(err) != connector.Unauthorized && !strings.Contains(err.Error(), "lacks a right") {
		t.Errorf("prepare without the right: %v", err)
	}
	owner.prepare(use)
	tells(`GRANT INSERT ON "public"."orders"`, `GRANT SELECT ON "public"."orders"`, `GRANT DELETE ON "public"."upkeep_deleted"`)
	if _, err := poor.Create(poor.ctx, connector.Record{Type: "orders", ExternalID: "a", Fields: fields("memo", `"x"`)}); kindOf(err) != connector.Unauthorized {
		t.Errorf("create without the right: %v", err)
	}
	owner.exec(`GRANT SELECT, INSERT, UPDATE, DELETE ON orders, upkeep_deleted TO ` + role)
	tells()
	poor.applies("ok", change(connector.Create, "a", 1, "memo", `"x"`))
	use = orders(col("memo", connector.Text), col("more", connector.Text))
	tells(`ALTER TABLE "public"."orders" OWNER TO`)
}
