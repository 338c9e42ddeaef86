package warehouse

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/connectortest"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

func TestConformance(t *testing.T) {
	for name, c := range map[string]Config{
		"hard deletes, lists as jsonb":  {},
		"soft deletes, lists as tables": {Deletes: Soft, Lists: AsTables},
		"hard deletes, lists as tables": {Lists: AsTables, Columns: Columns{Key: "select", Version: "ver sion"}},
	} {
		t.Run("postgres, "+name, func(t *testing.T) {
			database, schemas := pgtest.New(t), 0
			connectortest.Run(t, func(t *testing.T) connectortest.Target {
				schemas++
				c := c
				c.Schema = fmt.Sprintf("schema %d", schemas)
				p, through := newProxy(t, database)
				own := c
				own.URL = connector.Secret(through)
				w, err := Open(own)
				if err != nil {
					t.Fatal(err)
				}
				target := target(t, c, database, w, nil)
				target.Fail, target.Heal = p.Fail, p.Heal
				target.Secrets = []string{password}
				return target
			})
		})
		t.Run("sqlite, "+name, func(t *testing.T) {
			connectortest.Run(t, func(t *testing.T) connectortest.Target {
				database := "sqlite:" + filepath.Join(t.TempDir(), "warehouse.db")
				d := &disturbed{healed: make(chan struct{})}
				own := c
				own.URL = connector.Secret(database)
				w, err := open(own, d)
				if err != nil {
					t.Fatal(err)
				}
				target := target(t, c, database, w, d)
				target.Fail, target.Heal = d.Fail, d.Heal
				return target
			})
		})
	}
}

// target is a warehouse whose tables are there and which makes none, so that
// its check has something to say.
func target(t *testing.T, c Config, database string, w *Connection, quiet *disturbed) connectortest.Target {
	c.URL = connector.Secret(database)
	maker, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	err = maker.Prepare(t.Context(), []connector.Use{{Sync: "order", Type: "orders", Columns: []connector.Column{
		{Name: "memo", Type: connector.Text}, {Name: "title", Type: connector.Text}, {Name: "total", Type: connector.Decimal},
		{Name: "day", Type: connector.Date}, {Name: "at", Type: connector.Time}, {Name: "customer", Type: connector.Reference},
		{Name: "lines", Type: connector.List, List: []connector.Column{{Name: "sku", Type: connector.Text}, {Name: "quantity", Type: connector.Integer}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = maker.Close() })
	no := false
	w.config.Create = &no
	// A connection asks once how the tables are; the faults are for what comes
	// after that.
	if _, err := w.Find(t.Context(), "orders", "nobody"); connector.KindOf(err) != connector.NotFound {
		t.Fatal(err)
	}
	return connectortest.Target{
		Connection: w,
		Type:       "orders",
		Text:       "memo", Other: "title", LongText: 100_000,
		Number: "total", Numbers: []string{"12.50", "0", "-1", "9007199254740993", "123456789012345678901234567890.123456789", "0.1", "1e3"},
		Date: "day", Time: "at",
		List: "lines",
		Line: func(i, q int) json.RawMessage {
			return json.RawMessage(fmt.Sprintf(`{"sku":"sku-%d","quantity":%d}`, i, q))
		},
		RefField: "customer",
		Ref: func(*testing.T) connector.Ref {
			return connector.Ref{Type: "customers", RemoteID: "customer-1", ExternalID: "customer-1"}
		},
		Count: func(recordType, externalID string) (n int) {
			s, err := maker.config.table(recordType)
			if err != nil {
				t.Fatal(err)
			}
			there := ""
			if s.soft {
				there = " AND deleted_at IS NULL"
			}
			d := maker.dialect
			err = maker.db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+d.place(s.place)+" WHERE "+d.quote(s.own.Key)+" = "+d.parameter()+there, externalID).Scan(&n)
			if err != nil {
				t.Fatal(err)
			}
			return n
		},
		Poison: connector.Fields{"total": json.RawMessage(`"not a number"`)},
		Sure:   true,
		Lacks:  lacks,
	}
}

// lacks: a database asks for no time to wait, has no gateway, and an ERROR
// before COMMIT is no doubt.
func lacks(f connectortest.Fault) bool {
	return f.RetryAfter > 0 || f.Kind == connectortest.Answer && f.Status >= 500 && !(f.Applied && f.Status == 500)
}

// disturbed is SQLite whose statements fail on command: what the network does
// to PostgreSQL, as far as a file can have it.
type disturbed struct {
	sqlite

	mu     sync.Mutex
	fault  *connectortest.Fault
	healed chan struct{}
}

func (d *disturbed) open(address string) (*sql.DB, error) {
	db, err := d.sqlite.open(address)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	path := strings.TrimPrefix(address, "sqlite:")
	return sql.OpenDB(opener{d, db.Driver(), "file:" + path + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)"}), nil
}

func (d *disturbed) Fail(f connectortest.Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = &f
}

func (d *disturbed) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = nil
	close(d.healed)
	d.healed = make(chan struct{})
}

// meet lets a statement meet the fault; nil lets it pass. do applies it.
func (d *disturbed) meet(ctx context.Context, c driver.Conn, statement string, do func() error) error {
	d.mu.Lock()
	f, healed := d.fault, d.healed
	d.mu.Unlock()
	commit := statement == "COMMIT"
	writes := strings.HasPrefix(statement, "BEGIN") || strings.Contains(statement, "upkeep_stage") || strings.Contains(statement, "upkeep_deleted") || strings.Contains(statement, "SELECT s.n")
	if f == nil || statement == "ROLLBACK" || f.Applied && writes && !commit {
		return nil
	}
	if f.Applied && commit {
		if err := do(); err != nil {
			return err
		}
	}
	if f.Met != nil {
		f.Met()
	}
	switch {
	case f.Kind == connectortest.Hang:
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-healed:
		}
	case f.Kind == connectortest.Answer && !f.Applied:
		return d.refusal(ctx, c, f)
	}
	return io.ErrUnexpectedEOF
}

// refusal is an error of SQLite's own.
func (d *disturbed) refusal(ctx context.Context, c driver.Conn, f *connectortest.Fault) error {
	_, err := c.(driver.ExecerContext).ExecContext(ctx, "SELECT no_such_function()", nil)
	return refused{err, f}
}

// refused says which refusal SQLite's error stands for.
type refused struct {
	error
	fault *connectortest.Fault
}

func (d *disturbed) judge(err error) (*connector.Error, bool) {
	if r, ok := err.(refused); ok {
		kind := map[int]connector.Kind{401: connector.Unauthorized, 429: connector.RateLimited, 400: connector.Rejected}[r.fault.Status]
		return &connector.Error{Kind: kind, Message: r.fault.Message}, true
	}
	return d.sqlite.judge(err)
}

type opener struct {
	d      *disturbed
	driver driver.Driver
	dsn    string
}

func (o opener) Connect(context.Context) (driver.Conn, error) {
	c, err := o.driver.Open(o.dsn)
	return &shaky{c, o.d}, err
}

func (o opener) Driver() driver.Driver { return o.driver }

// shaky is a connection that meets faults.
type shaky struct {
	driver.Conn
	d *disturbed
}

func (s *shaky) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	do := func() (driver.Result, error) { return s.Conn.(driver.ExecerContext).ExecContext(ctx, q, args) }
	if err := s.d.meet(ctx, s.Conn, q, func() error { _, err := do(); return err }); err != nil {
		return nil, err
	}
	return do()
}

func (s *shaky) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.d.meet(ctx, s.Conn, q, func() error { return nil }); err != nil {
		return nil, err
	}
	return s.Conn.(driver.QueryerContext).QueryContext(ctx, q, args)
}

func (s *shaky) PrepareContext(ctx context.Context, q string) (driver.Stmt, error) {
	return s.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, q)
}

func (s *shaky) Ping(ctx context.Context) error {
	return s.d.meet(ctx, s.Conn, "ping", func() error { return nil })
}
