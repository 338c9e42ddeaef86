package upkeeptest_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/connector/netsuite"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/postgres"
	"github.com/upkeep-sync/upkeep/sqlite"
	"github.com/upkeep-sync/upkeep/upkeeptest"
)

func filled(t *testing.T) *upkeeptest.DB {
	t.Helper()
	db := upkeeptest.New(t, schema, syncs(nil)...)
	fill(db)
	return db
}

func fill(db *upkeeptest.DB) {
	db.Exec(`insert into users values (1, 'Ada', null), (2, 'Bob', null)`)
	db.Exec(`insert into orders values (42, 1, 'placed'), (43, 1, 'draft')`)
	db.Exec(`insert into line_items values (1, 42, 'A', 9.90)`)
}

func TestExample(t *testing.T) { testSyncs(t) }

func TestRowsInRecordOut(t *testing.T) {
	t.Parallel()
	db := filled(t)
	order := db.Record("sales_order", 42)
	order.Want(`{"item": [{"rate": 9.90, "item": "A"}], "entity": "customer-1"}`)
	if order.Type != "salesOrder" || order.ExternalID != "sales_order-42" || order.Get("entity") != `"customer-1"` || order.Get("memo") != "" {
		t.Errorf("%+v", order)
	}
	if got, want := order.String(), `{"entity": "customer-1", "item": [{"item":"A","rate":9.9}]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	draft := db.Record("sales_order", 43)
	draft.WantNone()
	if !strings.Contains(draft.Why, "when is false") {
		t.Error(draft.Why)
	}
	db.Exec(`delete from line_items; delete from orders where id = 42`)
	db.Record("sales_order", 42).WantNone()
}

func TestTouchedAndSent(t *testing.T) {
	t.Parallel()
	db := filled(t)
	for _, c := range []struct {
		change        string
		touched, sent []string
	}{
		{`update users set name = 'Ada L.' where id = 1`, []string{"customer/1"}, []string{"update customer customer-1: entityId"}},
		{`update users set phone = '1'`, nil, nil},
		{`update users set name = name`, nil, nil},
		{`update orders set state = 'paid' where id = 42`, []string{"sales_order/42"}, nil},
		{`insert into line_items values (2, 42, 'B', 1)`, []string{"sales_order/42"}, []string{"update salesOrder sales_order-42: item"}},
		{`update line_items set order_id = 43 where id = 2`, []string{"sales_order/42", "sales_order/43"}, []string{"update salesOrder sales_order-42: item"}},
		{`update orders set state = 'paid' where id = 43`, []string{"sales_order/43"}, []string{"create salesOrder sales_order-43"}},
		{`delete from users where id = 2`, []string{"customer/2"}, []string{"delete customer customer-2"}},
		{`insert into users values (3, 'Cy', null)`, []string{"customer/3"}, []string{"create customer customer-3"}},
	} {
		var touched []string
		sent := db.Sent(func() {
			touched = db.Touched(func() { db.Exec(c.change) })
		})
		if !slices.Equal(touched, c.touched) || !slices.Equal(sent, c.sent) {
			t.Errorf("%s\ntouched %v, want %v\nsent %v, want %v", c.change, touched, c.touched, sent, c.sent)
		}
	}
}

func TestWhyThereIsNoRecord(t *testing.T) {
	t.Parallel()
	db := filled(t)
	db.Settle()
	db.Remote.Fail(memory.Fault{On: memory.Create, Err: &connector.Error{Kind: connector.Rejected, Message: "the item is not for sale"}})
	db.Exec(`update orders set state = 'placed' where id = 43`)
	r := db.Record("sales_order", 43)
	r.WantParked("not for sale")
	if !strings.Contains(r.Why, "not for sale") || r.String() != "none: "+r.Why {
		t.Error(r)
	}
	if n, err := db.Engine.Retry(t.Context(), "sales_order", "43"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	db.Record("sales_order", 43).Want(`{"entity": "customer-1", "item": []}`)
}

func TestMadeFromAnotherRecord(t *testing.T) {
	t.Parallel()
	fulfillment := upkeep.Mapping{
		Name: "fulfillment", From: &upkeep.Relation{Table: "orders", Columns: []string{"id"}}, Record: "itemFulfillment", RefersTo: []string{"sales_order"},
		Initialize: func(r upkeep.Row) (upkeep.Reference, error) { return upkeep.Ref("sales_order", r["id"]), nil },
		Translate:  func(upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"memo": "sent"}, nil },
	}
	db := upkeeptest.New(t, schema, append(syncs(nil), fulfillment)...)
	fill(db)
	r := db.Record("fulfillment", 42)
	r.Want(`{"memo": "sent"}`)
	if r.From != "sales_order-42" {
		t.Errorf("made from %q", r.From)
	}
	r = db.Record("fulfillment", 43)
	r.WantWaiting("sales_order/43")
	if r.Exists || !strings.Contains(r.Why, "waiting for") {
		t.Error(r)
	}
}

func TestOnPostgreSQL(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	app, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.Close() })
	for statement := range strings.SplitSeq(strings.TrimSpace(schema), "\n") {
		if _, err := app.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	database, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close() })
	db := upkeeptest.On(t, database, app, syncs(nil)...)
	fill(db)
	db.Record("sales_order", 42).Want(`{"entity": "customer-1", "item": [{"item": "A", "rate": 9.9}]}`)
}

// What a looping translation keeps the test from is its own record.
func TestTranslationThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	db := upkeeptest.New(t, schema, upkeep.Sync[Customer]{Name: "customer", Table: "users", Record: "customer",
		Translate: func(c Customer) (upkeep.Fields, error) {
			if c.Name == "Ada" {
				<-release
			}
			return upkeep.Fields{"entityId": c.Name}, nil
		}})
	db.Exec(`insert into users values (1, 'Ada', null), (2, 'Bob', null)`)
	if r := db.Record("customer", 1); !strings.Contains(r.Why, "did not end within 10s") {
		t.Error(r)
	}
	db.Record("customer", 2).Want(`{"entityId": "Bob"}`)
}

// Subtests of one name have a # in the names of their folders.
func TestSubtestsOfOneName(t *testing.T) {
	t.Parallel()
	for range 2 {
		t.Run("100% #1?", func(t *testing.T) {
			filled(t).Record("customer", 1).Want(`{"entityId": "Ada"}`)
		})
	}
}

// A deferred Close comes before the engine has ended. What it could not write
// down keeps no test waiting.
func TestDatabaseClosedTooEarly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shop.db")
	app, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = app.Close() }()
	if _, err := app.Exec(schema); err != nil {
		t.Fatal(err)
	}
	database, err := sqlite.Open(path, sqlite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{TB: t, own: true}
	db := upkeeptest.On(r, database, app, upkeep.Sync[Customer]{Name: "customer", Table: "users", Record: "customer",
		Translate: func(c Customer) (upkeep.Fields, error) {
			return upkeep.Fields{"entityId": c.Name}, database.Close() // with a group in the engine's hands
		}})
	db.Exec(`insert into users values (1, 'Ada', null)`)
	r.catch(db.Settle)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, f := range slices.Backward(r.cleanups) {
			f()
		}
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the test waits for an engine that can't write anything down")
	}
	if !strings.Contains(strings.Join(r.logs, "\n"), "close it with t.Cleanup") {
		t.Errorf("nothing is said of it: %q", r.logs)
	}
}

// recorder is a testing.TB that notes failures and goes on.
type recorder struct {
	testing.TB
	failures, logs []string
	own            bool // cleanups are noted, not done
	cleanups       []func()
}

func (r *recorder) Cleanup(f func()) {
	if r.own {
		r.cleanups = append(r.cleanups, f)
		return
	}
	r.TB.Cleanup(f)
}

func (r *recorder) Logf(format string, args ...any) {
	r.logs = append(r.logs, fmt.Sprintf(format, args...))
}

// catch calls f, which may end with a call of Fatal.
func (r *recorder) catch(f func()) {
	defer func() {
		if p := recover(); p != nil && p != errFatal {
			panic(p)
		}
	}()
	f()
}

var errFatal = errors.New("fatal")

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatal(args ...any) {
	r.failures = append(r.failures, fmt.Sprint(args...))
	panic(errFatal)
}

func (r *recorder) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }

// parked is an order that the remote refuses.
func parked(db *upkeeptest.DB) *upkeeptest.Record {
	db.Remote.Fail(memory.Fault{On: memory.Create, Type: "salesOrder", Err: &connector.Error{Kind: connector.Rejected, Message: "the item is not for sale"}})
	return db.Record("sales_order", 42)
}

// waiting is an order of a customer who is not there.
func waiting(db *upkeeptest.DB) *upkeeptest.Record {
	db.Exec(`pragma foreign_keys = 0; insert into orders values (44, 9, 'placed'); pragma foreign_keys = 1`)
	return db.Record("sales_order", 44)
}

func TestItFails(t *testing.T) {
	t.Parallel()
	db := func(t testing.TB) *upkeeptest.DB {
		db := upkeeptest.New(t, schema, syncs(nil)...)
		fill(db)
		return db
	}
	for name, c := range map[string]struct {
		test func(t testing.TB)
		want string
	}{
		"another value": {func(t testing.TB) { db(t).Record("customer", 1).Want(`{"entityId": "Eve"}`) }, `got {"entityId": "Ada"}`},
		"a field more":  {func(t testing.TB) { db(t).Record("customer", 1).Want(`{}`) }, "got"},
		"no record":     {func(t testing.TB) { db(t).Record("customer", 9).Want(`{}`) }, "there is no record"},
		"a record":      {func(t testing.TB) { db(t).Record("customer", 1).WantNone() }, "there is a record"},
		"parked":        {func(t testing.TB) { parked(db(t)).WantNone() }, "only held up: parked: "},
		"parked later": {func(t testing.TB) {
			db := db(t)
			db.Record("customer", 1).Want(`{"entityId": "Ada"}`)
			db.Remote.Fail(memory.Fault{On: memory.Update, Err: &connector.Error{Kind: connector.Rejected, Message: "no such name"}})
			db.Exec(`update users set name = 'Eve' where id = 1`)
			db.Record("customer", 1).Want(`{"entityId": "Ada"}`)
		}, "the record is of before"},
		"parked for it":  {func(t testing.TB) { parked(db(t)).WantParked("for nothing") }, `not parked for "for nothing": parked`},
		"not parked":     {func(t testing.TB) { db(t).Record("sales_order", 43).WantParked("") }, "it is not parked"},
		"waiting":        {func(t testing.TB) { waiting(db(t)).WantNone() }, "only held up: waiting for"},
		"for another":    {func(t testing.TB) { waiting(db(t)).WantWaiting("customer/1") }, "it does not wait for customer/1: waiting for the record of customer/9"},
		"not waiting":    {func(t testing.TB) { db(t).Record("customer", 1).WantWaiting("customer/1") }, "it does not wait"},
		"two values":     {func(t testing.TB) { db(t).Record("customer", 1, "eu").WantNone() }, "the values given are 2, and the columns of the primary key 1"},
		"empty key":      {func(t testing.TB) { db(t).Record("customer", "").WantNone() }, "can be no key"},
		"a word":         {func(t testing.TB) { db(t).Record("customer", "Ada").WantNone() }, "can be no key"},
		"not JSON":       {func(t testing.TB) { db(t).Record("customer", 1).Want(`{`) }, "not JSON"},
		"no such sync":   {func(t testing.TB) { db(t).Record("client", 1) }, "there is no sync"},
		"bad SQL":        {func(t testing.TB) { db(t).Exec(`insert`) }, "insert"},
		"missing table":  {func(t testing.TB) { upkeeptest.New(t, `create table x (id integer primary key)`, syncs(nil)...) }, "no such table"},
		"missing sync":   {func(t testing.TB) { upkeeptest.New(t, schema, syncs(nil)[1]) }, "does not exist"},
		"bad schema":     {func(t testing.TB) { upkeeptest.New(t, `create`) }, "schema"},
		"not a key":      {func(t testing.TB) { db(t).Record("customer", 1.5) }, "can't be part of a key"},
		"not sent twice": {func(t testing.TB) { d := db(t); d.Record("customer", 2).Want(`{"entityId": "Bob", "x": null}`) }, "want"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{TB: t}
			r.catch(func() { c.test(r) })
			if len(r.failures) != 1 || !strings.Contains(r.failures[0], c.want) {
				t.Errorf("failures %q, want one with %q", r.failures, c.want)
			}
		})
	}
}

// What the own connection of a sync refuses without asking its remote is refused
// in a test, too.
func TestRefusedByTheOwnConnection(t *testing.T) {
	t.Parallel()
	conn, err := netsuite.Open(netsuite.Config{Account: "1", Auth: netsuite.Auth{OAuth1: &netsuite.OAuth1{ConsumerKey: "a", ConsumerSecret: "b", TokenID: "c", TokenSecret: "d"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	type user struct {
		Name string `db:"name"`
	}
	db := upkeeptest.New(t, schema, upkeep.Sync[user]{Name: "customer", Table: "users", To: &upkeep.Remote{Name: "netsuite", Connection: conn}, Record: "customer",
		ExternalID: func(u user) string { return u.Name },
		Translate:  func(u user) (upkeep.Fields, error) { return upkeep.Fields{"companyName": u.Name}, nil }})
	db.Exec(`insert into users values (1, 'Ada', null), (2, 'Bob "the" Builder', null)`)
	db.Record("customer", 1).Want(`{"companyName": "Ada"}`)
	db.Record("customer", 2).WantParked(`NetSuite can't be asked for the record`)
}
