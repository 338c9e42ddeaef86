package warehouse_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/warehouse"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

// desk is a warehouse under test, and a look at its database from outside.
type desk struct {
	*testing.T
	*warehouse.Connection
	ctx context.Context
	url string
	db  *sql.DB
}

// onEach runs a test on each kind of database.
func onEach(t *testing.T, c warehouse.Config, test func(d *desk)) {
	t.Parallel()
	for name, url := range map[string]func(*testing.T) string{"postgres": onPostgres, "sqlite": onSQLite} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newDesk(t, url(t), c))
		})
	}
}

func onPostgres(t *testing.T) string { return pgtest.New(t) }

func onSQLite(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "warehouse.db") }

func newDesk(t *testing.T, url string, c warehouse.Config) *desk {
	t.Helper()
	c.URL = connector.Secret(url)
	w, err := warehouse.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	driver, dsn := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(func() {
		cancel()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		_ = db.Close()
	})
	return &desk{T: t, Connection: w, ctx: ctx, url: url, db: db}
}

func (d *desk) isPostgres() bool { return strings.HasPrefix(d.url, "postgres") }

func (d *desk) exec(statement string) {
	d.Helper()
	if _, err := d.db.ExecContext(d.ctx, statement); err != nil {
		d.Fatalf("%s: %v", statement, err)
	}
}

// one is a query's only value, as text.
func (d *desk) one(query string) string {
	d.Helper()
	var v sql.NullString
	if err := d.db.QueryRowContext(d.ctx, query).Scan(&v); err != nil {
		d.Fatalf("%s: %v", query, err)
	}
	if !v.Valid {
		return "NULL"
	}
	return v.String
}

func (d *desk) is(query, want string) {
	d.Helper()
	if got := d.one(query); got != want {
		d.Errorf("%s: %s, want %s", query, got, want)
	}
}

func (d *desk) prepare(uses ...connector.Use) {
	d.Helper()
	if err := d.Prepare(d.ctx, uses); err != nil {
		d.Fatal(err)
	}
}

func col(name string, t connector.Type, list ...connector.Column) connector.Column {
	return connector.Column{Name: name, Type: t, List: list}
}

// orders is a use of the table orders.
func orders(columns ...connector.Column) connector.Use {
	return connector.Use{Sync: "order", Type: "orders", Columns: columns}
}

func fields(pairs ...string) connector.Fields {
	f := connector.Fields{}
	for i := 0; i < len(pairs); i += 2 {
		f[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return f
}

func change(a connector.Action, id string, version int64, pairs ...string) connector.Change {
	c := connector.Change{Action: a, RemoteID: id, Record: connector.Record{Type: "orders", ExternalID: id, Version: version}}
	if a == connector.Create {
		c.RemoteID = ""
	}
	if a != connector.Delete {
		c.Record.Fields = fields(pairs...)
	}
	return c
}

// apply applies changes and returns what became of each: "ok" or the error's
// kind and code.
func (d *desk) apply(changes ...connector.Change) string {
	d.Helper()
	results, err := d.Apply(d.ctx, "orders", changes)
	if err != nil {
		d.Fatalf("apply: %v", err)
	}
	var out []string
	for _, r := range results {
		if r.Err == nil {
			out = append(out, "ok")
			continue
		}
		e := connector.AsError(r.Err)
		out = append(out, strings.TrimSpace(e.Kind.String()+" "+e.Code))
	}
	return strings.Join(out, ", ")
}

// kindOf is connector.KindOf, and -1 of no error.
func kindOf(err error) connector.Kind {
	if err == nil {
		return -1
	}
	return connector.KindOf(err)
}

func (d *desk) applies(want string, changes ...connector.Change) {
	d.Helper()
	if got := d.apply(changes...); got != want {
		d.Errorf("apply: %s, want %s", got, want)
	}
}

func TestMixedBatch(t *testing.T) {
	onEach(t, warehouse.Config{}, func(d *desk) {
		d.prepare(orders(col("memo", connector.Text), col("total", connector.Decimal), col("title", connector.Text)))
		d.applies("ok, ok, ok", change(connector.Create, "a", 1, "memo", `"a"`, "total", "12.50", "title", `"x"`),
			change(connector.Create, "b", 1, "memo", `"b"`), change(connector.Create, "c", 1, "memo", `"c"`, "title", "null"))
		d.applies("ok, not found, ok, ok, ok", change(connector.Update, "a", 2, "memo", `"a2"`), change(connector.Update, "nobody", 2, "memo", `"n"`),
			change(connector.Update, "b", 2, "total", "3", "title", `"bt"`), change(connector.Delete, "c", 2), change(connector.Create, "d", 2, "total", "1"))
		d.is(aggregate(d), "a:a2:12.50:x:2 b:b:3:bt:2 d:-:1:-:2")
	})
}

func aggregate(d *desk) string {
	f := "group_concat"
	if d.isPostgres() {
		f = "string_agg"
	}
	return `SELECT ` + f + `(external_id || ':' || coalesce(memo, '-') || ':' || coalesce(cast(total AS text), '-') || ':' || coalesce(title, '-') || ':' || version, ' ')
		FROM (SELECT * FROM orders ORDER BY external_id) AS o`
}

func TestOlderWritesChangeNothing(t *testing.T) {
	for _, deletes := range []warehouse.Deletes{warehouse.Hard, warehouse.Soft} {
		t.Run(string(deletes), func(t *testing.T) {
			onEach(t, warehouse.Config{Deletes: deletes}, func(d *desk) {
				d.prepare(orders(col("memo", connector.Text)))
				const newer = "busy NEWER"
				d.applies("ok", change(connector.Create, "a", 5, "memo", `"five"`))
				d.applies(newer, change(connector.Create, "a", 4, "memo", `"four"`))
				d.applies(newer+", ok", change(connector.Update, "a", 4, "memo", `"four"`), change(connector.Create, "b", 4, "memo", `"b"`))
				d.applies(newer, change(connector.Delete, "a", 4))
				d.is(`SELECT memo FROM orders WHERE external_id = 'a'`, "five")
				d.applies("ok", change(connector.Update, "a", 5, "memo", `"again"`))
				d.applies("ok", change(connector.Delete, "a", 7))
				d.applies("ok", change(connector.Delete, "a", 7))
				d.applies(newer, change(connector.Create, "a", 6, "memo", `"late"`))
				d.applies("not found", change(connector.Update, "a", 6, "memo", `"late"`))
				if _, err := d.Find(d.ctx, "orders", "a"); kindOf(err) != connector.NotFound {
					t.Errorf("find a deleted row: %v", err)
				}
				d.applies("ok, ok", change(connector.Create, "a", 8, "memo", `"new"`), change(connector.Delete, "never", 3))
				d.applies(map[bool]string{true: "ok", false: newer}[deletes == warehouse.Soft], change(connector.Create, "never", 2, "memo", `"x"`))
				d.is(`SELECT memo || version FROM orders WHERE external_id = 'a'`, "new8")
				if deletes == warehouse.Soft {
					d.is(`SELECT deleted_at FROM orders WHERE external_id = 'a'`, "NULL")
				}
			})
		})
	}
}

func ExampleOpen() {
	w, err := warehouse.Open(warehouse.Config{URL: "postgres://upkeep:secret@db.example.com/analytics", Schema: "sales"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	fmt.Printf("%+v\n", w.Batch("orders"))
	// Output: {Most:5000 Mixed:true}
}

// A connection that may go over a network in clear is warned of.
func TestCautions(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for url, want := range map[string]int{
		"postgres://u:geheim@db.example/x":                      1,
		"postgres://u:geheim@db.example/x?sslmode=allow":        1,
		"postgres://u:geheim@10.0.0.7/x?sslmode=disable":        1,
		"postgres://u:geheim@db.example/x?sslmode=verify-full":  0,
		"postgres://u:geheim@127.0.0.1/x":                       0,
		"postgres://u:geheim@localhost,db.example/x":            1,
		"postgres://u:geheim@[::1]/x?sslmode=disable":           0,
		"postgres:///x?host=/var/run/postgresql&sslmode=prefer": 0,
		"sqlite:" + t.TempDir() + "/x.db":                       0,
	} {
		w, err := warehouse.Open(warehouse.Config{URL: connector.Secret(url)})
		if err != nil {
			t.Fatal(err)
		}
		got := w.Cautions()
		_ = w.Close()
		if len(got) != want || strings.Contains(fmt.Sprint(got), "geheim") {
			t.Errorf("%s: %v, want %d", url, got, want)
		}
	}
}
