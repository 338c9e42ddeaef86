// Package pgtest gives tests and benchmarks a real PostgreSQL: a throw-away
// server with its data in a temporary directory, which dies with the process
// whatever way that ends.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// shared is the server of this test process, started by the first [New].
var shared struct {
	once   sync.Once
	server *Server
	err    error
	names  atomic.Int64
}

// New returns the URL of a fresh, empty database. All databases of a test
// process are on one server. The database is dropped when t ends. A missing
// PostgreSQL fails the test.
func New(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = open() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	s := shared.server
	name := fmt.Sprintf("test_%d", shared.names.Add(1))
	if err := s.create(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return s.Database(name)
}

// Start returns a server of its own, for tests that stop it. It ends with t.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Open returns a server of its own, for a program that is no test. settings
// are lines for postgresql.conf; they override the ones for tests, which give
// durability up for speed ("fsync = off"). The caller closes the server.
func Open(settings ...string) (*Server, error) { return open(settings...) }

// URL is the URL of the server's database "postgres". It stays the same over
// Stop and Start.
func (s *Server) URL() string { return s.Database("postgres") }

// Database is the URL of one of the server's databases.
func (s *Server) Database(name string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, name)
}

// create copies the template file by file: to write it to the log, block by block, which
// is what PostgreSQL 15 and later do by themselves, takes four times as long.
func (s *Server) create(name string) error {
	err := s.exec("CREATE DATABASE " + name + " STRATEGY file_copy")
	if sqlstate(err) == "42601" { // before 15 there is no other way, and no word for it
		err = s.exec("CREATE DATABASE " + name)
	}
	return err
}

func sqlstate(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// exec runs a statement in the server's database "postgres". The connection is kept for
// the next one, as each new one costs the server more than most statements do.
func (s *Server) exec(sql string) error {
	s.admin.Lock()
	defer s.admin.Unlock()
	ctx := context.Background()
	if s.admin.conn == nil || s.admin.conn.IsClosed() {
		c, err := pgx.Connect(ctx, s.URL())
		if err != nil {
			return fmt.Errorf("connect to the test server: %w", err)
		}
		s.admin.conn = c
	}
	if _, err := s.admin.conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}
