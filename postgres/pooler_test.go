package postgres_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/upkeep-sync/upkeep/postgres"
)

// pooler serves clients as PgBouncer does in transaction mode, with one session of
// the server for all of them. It returns its URL.
func (b *bench) pooler() string {
	b.t.Helper()
	session, err := pgconn.Connect(b.ctx, b.url)
	b.ok(err)
	there, err := session.Hijack()
	b.ok(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	b.ok(err)
	var all sync.WaitGroup
	b.t.Cleanup(func() {
		_ = listener.Close()
		all.Wait()
		_ = there.Conn.Close()
	})
	var turn sync.Mutex // a transaction's
	all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = c.Close() }()
				servePooled(pgproto3.NewBackend(c, c), there, &turn)
			})
		}
	})
	config, err := pgconn.ParseConfig(b.url)
	b.ok(err)
	return "postgres://" + config.User + "@" + listener.Addr().String() + "/" + config.Database + "?sslmode=disable"
}

func servePooled(client *pgproto3.Backend, server *pgconn.HijackedConn, turn *sync.Mutex) {
	if _, err := client.ReceiveStartupMessage(); err != nil {
		return
	}
	client.Send(&pgproto3.AuthenticationOk{})
	for name, value := range server.ParameterStatuses {
		client.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	mine := false
	for client.Flush() == nil {
		message, err := client.Receive()
		if _, bye := message.(*pgproto3.Terminate); bye || err != nil {
			break
		}
		if !mine {
			turn.Lock()
			mine = true
		}
		server.Frontend.Send(message)
		switch message.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
		default:
			continue
		}
		if server.Frontend.Flush() != nil {
			break
		}
		for ready := false; !ready; {
			answer, err := server.Frontend.Receive()
			if err != nil {
				turn.Unlock()
				return
			}
			client.Send(answer)
			if z, is := answer.(*pgproto3.ReadyForQuery); is {
				if ready = true; z.TxStatus == 'I' {
					turn.Unlock()
					mine = false
				}
			}
		}
	}
	if mine {
		turn.Unlock()
	}
}

// Over a pooler in transaction mode a session's lock, and what it sets, would be
// another's. Nothing is set there before that is known.
func TestPoolerInTransactionMode(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	url := b.pooler()
	db, err := postgres.Open(b.ctx, url)
	if err == nil {
		_ = db.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "a pooler that gives each transaction another session") {
		t.Errorf("Open: %v", err)
	}
	pool, err := pgxpool.New(b.ctx, url)
	b.ok(err)
	defer pool.Close()
	if err := postgres.New(pool).Migrate(b.ctx); err == nil || !strings.Contains(err.Error(), "a pooler that gives each transaction another session") {
		t.Errorf("Migrate over a program's own pool: %v", err)
	}
	var zone string
	b.ok(pool.QueryRow(context.Background(), "SELECT setting FROM pg_settings WHERE name = 'DateStyle'").Scan(&zone))
	if zone == "ISO, YMD" {
		t.Error("the application's session has our settings")
	}
	b.migrate() // without it all is well
}
