package upkeep_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/postgres"
	"github.com/upkeep-sync/upkeep/sqlite"
)

const shopSchema = `
create table customers (id integer primary key, segment text);
create table users (id integer primary key, name text not null, email text, phone text, customer_id integer references customers(id));
create index users_customer on users(customer_id);
create table orders (id integer primary key, user_id integer not null references users(id), state text not null, ref_no text, accountable boolean not null default true);
create index orders_user on orders(user_id);
create table billing_infos (id integer primary key, order_id integer not null references orders(id), vat text);
create index billing_order on billing_infos(order_id);
create table line_items (id integer primary key, order_id integer not null references orders(id), sku text not null, qty integer not null, price decimal(10,2) not null);
create index lines_order on line_items(order_id);
`

// The shop's syncs as a Go program declares them.
type Order struct {
	ID      int64    `db:"id,key"`
	UserID  int64    `db:"user_id"`
	State   string   `db:"state"`
	RefNo   *string  `db:"ref_no"`
	Billing *Billing `has_one:"billing_infos.order_id"`
	Lines   []Line   `has_many:"line_items.order_id" order:"id"`
}

type Billing struct {
	VAT *string `db:"vat"`
}

type Line struct {
	SKU   string          `db:"sku"`
	Qty   int             `db:"qty"`
	Price decimal.Decimal `db:"price"`
}

type User struct {
	ID       int64     `db:"id,key"`
	Name     string    `db:"name"`
	Email    *string   `db:"email"`
	Customer *Customer `belongs_to:"customers.customer_id"`
	Orders   int64     `count:"orders.user_id" where:"accountable"`
}

type Customer struct {
	Segment *string `db:"segment"`
}

func customerSync(to *upkeep.Remote) upkeep.Sync[User] {
	return upkeep.Sync[User]{
		Name: "customer", Table: "users", To: to, Record: "customer",
		Translate: func(u User) (upkeep.Fields, error) {
			f := upkeep.Fields{"entityId": u.Name, "email": u.Email, "orders": u.Orders, "segment": nil}
			if u.Customer != nil {
				f["segment"] = u.Customer.Segment
			}
			return f, nil
		},
	}
}

func orderSync(to *upkeep.Remote) upkeep.Sync[Order] {
	return upkeep.Sync[Order]{
		Name: "sales_order", Table: "orders", To: to, Record: "salesOrder", RefersTo: []string{"customer"},
		When: func(o Order) bool { return o.State != "draft" },
		Translate: func(o Order) (upkeep.Fields, error) {
			lines := []upkeep.Fields{}
			for _, l := range o.Lines {
				lines = append(lines, upkeep.Fields{"item": l.SKU, "quantity": l.Qty, "rate": l.Price})
			}
			f := upkeep.Fields{"entity": upkeep.Ref("customer", o.UserID), "otherRefNum": o.RefNo, "item": lines}
			if o.Billing != nil {
				f["memo"] = o.Billing.VAT
			}
			return f, nil
		},
		WhenFalse: upkeep.Ending{Action: upkeep.Delete},
	}
}

func fulfillmentSync(to *upkeep.Remote) upkeep.Sync[Order] {
	return upkeep.Sync[Order]{
		Name: "fulfillment", Table: "orders", To: to, Record: "itemFulfillment", RefersTo: []string{"sales_order"},
		When:       func(o Order) bool { return o.State == "sent" },
		Initialize: func(o Order) upkeep.Reference { return upkeep.Ref("sales_order", o.ID) },
		Translate:  func(o Order) (upkeep.Fields, error) { return upkeep.Fields{"memo": o.RefNo}, nil },
	}
}

// shop is a database with an application, a remote, and the clock that the
// registry goes by.
type shop struct {
	t       *testing.T
	ctx     context.Context
	app     func(sql string) error // the application's own connection
	open    func() upkeep.Database // as one more process would
	advance func(d time.Duration)  // the registry's clock
	begin   func() *appTx          // a transaction of the application
	frozen  *atomic.Bool           // the registry's clock stands still (SQLite)
	url     string                 // of the database, or its file, as open takes it
	past    func(sql string)       // changes users past the triggers, of which nothing is left to be seen
	blind   func()                 // drops the triggers on users, as a careless migration might
	remote  *memory.Remote
	to      *upkeep.Remote
}

// appTx is a transaction of the application: a pgx.Tx or a *sql.Tx.
type appTx struct {
	handle any
	end    func(commit bool) error
}

// in is for a case of a test that is run by itself: it is this one that fails.
func (s *shop) in(t *testing.T) *shop {
	s.t = t
	return s
}

func (s *shop) standStill() { s.frozen.Store(true) }

// onEach runs a test on each database.
func onEach(t *testing.T, test func(t *testing.T, shop func(memory.Config) *shop)) {
	t.Parallel()
	for name, open := range map[string]func(*shop){"sqlite": (*shop).onSQLite, "postgres": (*shop).onPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(c memory.Config) *shop { return makeShop(t, c, open) })
		})
	}
}

// newShop makes a shop on SQLite.
func newShop(t *testing.T, c memory.Config) *shop {
	t.Helper()
	return makeShop(t, c, (*shop).onSQLite)
}

func makeShop(t *testing.T, c memory.Config, open func(*shop)) *shop {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	s := &shop{t: t, ctx: ctx, remote: memory.New(c)}
	s.to = &upkeep.Remote{Name: "erp", Connection: s.remote.Connect()}
	open(s)
	s.exec(shopSchema)
	return s
}

// within gives the rest of a test so long, where a fault would have it wait.
func (s *shop) within(d time.Duration) {
	ctx, cancel := context.WithTimeout(s.ctx, d)
	s.t.Cleanup(cancel)
	s.ctx = ctx
}

func (s *shop) onSQLite() {
	path := filepath.Join(s.t.TempDir(), "shop.db")
	s.url = path
	app, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
	if err != nil {
		s.t.Fatal(err)
	}
	app.SetMaxOpenConns(1)
	s.t.Cleanup(func() { _ = app.Close() })
	ahead := new(atomic.Int64) // nanoseconds
	s.advance = func(d time.Duration) { ahead.Add(int64(d)) }
	s.app = func(sql string) error { _, err := app.ExecContext(s.ctx, sql); return err }
	s.begin = func() *appTx {
		tx, err := app.BeginTx(s.ctx, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		return &appTx{tx, func(commit bool) error {
			if commit {
				return tx.Commit()
			}
			return tx.Rollback()
		}}
	}
	start := time.Now()
	s.frozen = new(atomic.Bool)
	clock := func() time.Time {
		now := time.Now()
		if s.frozen.Load() {
			now = start
		}
		return now.Add(time.Duration(ahead.Load()))
	}
	unwatch := func() (drop string) {
		err := app.QueryRowContext(s.ctx, `select group_concat('drop trigger "' || name || '"', ';') from sqlite_schema where type = 'trigger' and tbl_name = 'users'`).Scan(&drop)
		if err != nil {
			s.t.Fatal(err)
		}
		return drop
	}
	s.blind = func() {
		s.exec(unwatch())
	}
	s.past = func(sql string) {
		var made string
		err := app.QueryRowContext(s.ctx, `select group_concat(sql, ';') from sqlite_schema where type = 'trigger' and tbl_name = 'users'`).Scan(&made)
		if err != nil {
			s.t.Fatal(err)
		}
		s.exec("begin; " + unwatch() + ";" + sql + ";" + made + "; commit")
	}
	s.open = func() upkeep.Database {
		db, err := sqlite.Open(s.url, sqlite.Config{Clock: clock})
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { _ = db.Close() })
		return db
	}
}

func (s *shop) onPostgres() { s.onURL(pgtest.New(s.t)) }

// onURL is for a PostgreSQL database that a test made itself.
func (s *shop) onURL(url string) {
	s.url = url
	app, err := pgconn.Connect(s.ctx, url)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = app.Close(context.Background()) })
	var mu sync.Mutex
	s.app = func(sql string) error {
		mu.Lock()
		defer mu.Unlock()
		return app.Exec(s.ctx, sql).Close()
	}
	s.begin = func() *appTx {
		conn, err := pgx.Connect(s.ctx, url)
		if err != nil {
			s.t.Fatal(err)
		}
		tx, err := conn.Begin(s.ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		return &appTx{tx, func(commit bool) error {
			defer conn.Close(context.Background())
			if commit {
				return tx.Commit(s.ctx)
			}
			return tx.Rollback(s.ctx)
		}}
	}
	ahead := time.Duration(0)
	s.advance = func(d time.Duration) {
		ahead += d
		s.exec(`create or replace function upkeep.clock() returns timestamptz language sql volatile as 'select pg_catalog.clock_timestamp() + %d * interval ''1 millisecond'''`, ahead.Milliseconds())
	}
	s.blind = func() {
		s.exec(`do $$ declare n name; begin
			for n in select tgname from pg_trigger where tgrelid = 'users'::regclass and not tgisinternal loop
				execute format('drop trigger %I on users', n);
			end loop; end $$`)
	}
	s.past = func(sql string) {
		s.exec(`begin; alter table users disable trigger user; ` + sql + `; do $$ declare n name; begin
			for n in select tgname from pg_trigger where tgrelid = 'users'::regclass and not tgisinternal loop
				execute format('alter table users enable always trigger %I', n);
			end loop; end $$; commit`)
	}
	s.open = func() upkeep.Database {
		url := s.url
		if !strings.Contains(url, "pool_max_conns") {
			url += "&pool_max_conns=2" // each connection costs the server more than a short test
		}
		db, err := postgres.Open(s.ctx, url)
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { _ = db.Close() })
		return db
	}
}

func (s *shop) exec(format string, args ...any) {
	s.t.Helper()
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	if err := s.app(format); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) engine(syncs ...upkeep.AnySync) *upkeep.Engine {
	s.t.Helper()
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: syncs, Logger: slog.New(slog.NewTextHandler(testWriter{s.t}, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// run starts an engine; stop stops it and fails the test on an error.
func (s *shop) run(e *upkeep.Engine) (stop func()) {
	s.t.Helper()
	if err := e.Install(s.ctx); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("run: %v", err)
		}
	}
	s.t.Cleanup(stop)
	return stop
}

// until waits for a condition.
func (s *shop) until(what string, ok func() bool) {
	s.t.Helper()
	// To look more and more seldom leaves the machine to what is waited for.
	for pause := 2 * time.Millisecond; !ok(); pause = min(pause*3/2, 25*time.Millisecond) {
		select {
		case <-s.ctx.Done():
			s.t.Fatalf("waited in vain for %s", what)
		case <-time.After(pause):
		}
	}
}

func (s *shop) quiet(e *upkeep.Engine) {
	s.t.Helper()
	if err := e.Quiet(s.ctx, nil); err != nil {
		st, _ := e.Status(context.Background())
		s.t.Fatalf("not quiet: %v\n%+v", err, st)
	}
}

// state waits until a group is in a state.
func (s *shop) state(e *upkeep.Engine, sync, key string, want upkeep.State) *upkeep.Explanation {
	s.t.Helper()
	var x *upkeep.Explanation
	s.until(sync+"/"+key+" to be "+string(want), func() bool {
		var err error
		x, err = e.Explain(s.ctx, sync, key)
		return err == nil && x.Group != nil && x.Group.State == want
	})
	return x
}

// inSync compares every record with the database.
func (s *shop) inSync(e *upkeep.Engine, syncs ...string) {
	s.t.Helper()
	for _, name := range syncs {
		v, err := e.Verify(s.ctx, name, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, d := range v.Differences {
			why := ""
			if x, err := e.Explain(s.ctx, d.Sync, d.Key); err == nil {
				why = x.Why
			}
			s.t.Errorf("%s %s field %q: the remote has %s, want %s; %s", d.Sync, d.Key, d.Field, d.Got, d.Want, why)
		}
	}
	if dup := s.remote.Duplicates(); len(dup) > 0 {
		s.t.Errorf("duplicates: %v", dup)
	}
}

func (s *shop) field(recordType, externalID, field, want string) {
	s.t.Helper()
	if got := s.remote.Text(recordType, externalID, field); got != want {
		s.t.Errorf("%s %s has %s = %s, want %s", recordType, externalID, field, got, want)
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", b)
	return len(b), nil
}
