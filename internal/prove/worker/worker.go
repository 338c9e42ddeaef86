// Package worker is a process that runs the engine on the shop, to be killed
// at a named point or by a signal. A test binary becomes one by [Main].
package worker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/prove/ledger"
	"github.com/upkeep-sync/upkeep/internal/prove/sandbox"
	"github.com/upkeep-sync/upkeep/internal/prove/shop"
	"github.com/upkeep-sync/upkeep/postgres"
	"github.com/upkeep-sync/upkeep/sqlite"
)

// The databases.
const (
	Postgres = "postgres"
	SQLite   = "sqlite"
)

// Config says what a worker does.
type Config struct {
	Driver, Database string
	// Ahead is what the clock of a SQLite database is ahead of the real one, at
	// the start; Clock tells it at any time, in the process that has it.
	Ahead time.Duration
	Clock func() time.Duration `json:"-"`
	// Falsify puts a liar between the engine and its database, in the process
	// that has it: to see that the oracle notices.
	Falsify func(upkeep.Database) upkeep.Database `json:"-"`
	// Name of the process; empty: one of its own.
	Name string
	// Remote is the ledger's URL, Token what it wants to see.
	Remote, Token string
	// Kind of a real connector, to which Remote is its sandbox; empty: the ledger's.
	Kind string
	// Roots are the certificates, in PEM, that are trusted of a remote with
	// TLS; empty: the system's.
	Roots       string
	Class       connector.Class
	Quiet       time.Duration
	Timeout     time.Duration
	Lease       time.Duration
	Drain       time.Duration
	Concurrency int
	Rate        float64
	Burst       int
	Batch       int
	// Jobs is what goes into one bulk job; the zero value: there are none.
	Jobs connector.Bulk
	// Every version is delivered; see [shop.Form].
	Every bool
	// Edition of the syncs; see [shop.Syncs].
	Edition int
	// DieAt is "point:n"; empty: never. StopAt is the same for a process that does
	// not die there and stops, as by SIGSTOP, until SIGCONT.
	DieAt, StopAt string
	// Vitals is the file into which the process writes what it holds on to when it
	// is asked ([Process.Vitals]); empty: it can't be asked.
	Vitals string
	// UntilQuiet ends the process when there is nothing left to do. Otherwise
	// it ends by SIGTERM.
	UntilQuiet bool
}

// What a worker says: when it begins to work, and when it has come to where it
// stops.
const (
	Ready   = "ready to work"
	Stopped = "stops here"
)

// variable of the environment that makes a process a worker.
const variable = "UPKEEP_PROVE_WORKER"

// Main runs this process as a worker, and ends it, if it was started as one.
// Call it first in TestMain.
func Main() {
	text, is := os.LookupEnv(variable)
	if !is {
		return
	}
	go func() { // the process that started it has ended
		_, _ = io.Copy(io.Discard, os.Stdin)
		die()
	}()
	var c Config
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = work(c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// die ends the process as nothing else does: without a defer, a flush or a
// goodbye to the database.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// stop has the process do nothing more until SIGCONT.
func stop() {
	fmt.Println(Stopped)
	woken := make(chan os.Signal, 1)
	signal.Notify(woken, syscall.SIGCONT)
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-woken // who gave the signal may go on for a moment
}

func work(c Config) error {
	ctx, unnotify := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer unnotify()
	if c.Vitals != "" {
		tell(ctx, c.Vitals)
	}
	at, end := c.DieAt, die
	if c.StopAt != "" {
		at, end = c.StopAt, stop
	}
	points, err := newPoints(at, end)
	if err != nil {
		return err
	}
	points.begin = func() { fmt.Println(Ready) }
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e, closeAll, err := Engine(ctx, c, points, log)
	if err != nil {
		return err
	}
	defer closeAll()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.UntilQuiet {
		go func() {
			_ = e.Quiet(ctx, nil) // it ends with ctx or in peace
			cancel()
		}()
	}
	for {
		err := e.Run(ctx)
		if err == nil || c.UntilQuiet {
			return err
		}
		// It found no database at its start: its supervisor starts it again.
		log.Error("started again", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Engine makes the engine that a worker runs, with points if there are any.
// The caller calls end when it does not run any more.
func Engine(ctx context.Context, c Config, points *Points, log *slog.Logger) (e *upkeep.Engine, end func(), err error) {
	if points == nil {
		points = &Points{}
	}
	db, err := Open(ctx, c, points)
	if err != nil {
		return nil, nil, err
	}
	network := &http.Transport{MaxIdleConnsPerHost: 32}
	if c.Roots != "" {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(c.Roots))
		network.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	through := &transport{network, points}
	at := func() { points.Hit("translate") }
	var conn connector.Connection
	var syncs []upkeep.AnySync
	var clock upkeep.Clock
	if c.Kind != "" {
		if conn, err = sandbox.Connect(c.Kind, c.Remote, through); err != nil {
			_ = db.Close()
			return nil, nil, err
		}
		remote := shop.Remote(conn)
		remote.Timeout, remote.Quiet, remote.Concurrency = c.Timeout, c.Quiet, c.Concurrency
		syncs = sandbox.Form(c.Kind).Syncs(remote, c.Edition, at)
	} else {
		plain := ledger.Connect(ledger.Settings{
			URL: c.Remote, Token: connector.Secret(c.Token), Class: c.Class, Quiet: c.Quiet, Timeout: c.Timeout,
			Concurrency: c.Concurrency, Batch: c.Batch, Jobs: c.Jobs, Transport: through,
		})
		referring := &referring{plain, plain.(connector.Batcher), plain.(connector.Referencer), points}
		conn = referring
		if c.Jobs.Most > 0 {
			conn, clock = &bulker{referring, plain.(connector.Bulker)}, hasty{}
		}
		remote := shop.Remote(conn)
		remote.Rate, remote.Burst = c.Rate, c.Burst
		syncs = shop.Form{Every: c.Every}.Syncs(remote, c.Edition, at)
	}
	seen := upkeep.Database(&pointed{db, points})
	if c.Falsify != nil {
		seen = c.Falsify(seen)
	}
	e, err = upkeep.New(upkeep.Config{
		Database: seen, Name: c.Name, Logger: log, Lease: c.Lease, Drain: c.Drain, Clock: clock, MaxAttempts: 1000,
		Syncs: syncs,
	})
	end = func() {
		_ = conn.Close()
		network.CloseIdleConnections()
		_ = db.Close()
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return e, end, nil
}

// Open opens the worker's database.
func Open(ctx context.Context, c Config, points *Points) (upkeep.Database, error) {
	switch c.Driver {
	case SQLite:
		return sqlite.Open(c.Database, sqlite.Config{Clock: func() time.Time {
			points.Hit("clock")
			if c.Clock != nil {
				return time.Now().Add(c.Clock())
			}
			return time.Now().Add(c.Ahead)
		}})
	case Postgres:
		config, err := pgxpool.ParseConfig(c.Database)
		if err != nil {
			return nil, err
		}
		config.ConnConfig.RuntimeParams["application_name"] = "prove-worker"
		config.ConnConfig.Tracer = &tracer{points}
		pool, err := pgxpool.NewWithConfig(ctx, config)
		if err != nil {
			return nil, err
		}
		return &pooled{postgres.New(pool), pool}, nil
	}
	return nil, errors.New("no such driver: " + c.Driver)
}

// pooled closes the pool that its store was given.
type pooled struct {
	upkeep.Database
	pool *pgxpool.Pool
}

func (p *pooled) Close() error {
	p.pool.Close()
	return nil
}
