// Package provetest is what the proofs have in common: a database with the
// shop in it, a remote, and the way from the last fault to the oracle.
package provetest

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	_ "modernc.org/sqlite"             // driver "sqlite"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/internal/prove/ledger"
	"github.com/upkeep-sync/upkeep/internal/prove/oracle"
	"github.com/upkeep-sync/upkeep/internal/prove/sandbox"
	"github.com/upkeep-sync/upkeep/internal/prove/shop"
	"github.com/upkeep-sync/upkeep/internal/prove/worker"
	"github.com/upkeep-sync/upkeep/internal/registrytext"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Secrets that must be seen nowhere: the remote's token, the database's
// password, and a part of every value that the application writes.
const (
	Token    = "canary-token"
	Password = "canary-password"
)

// Place is one database, its application, and its remote.
type Place struct {
	Worker worker.Config // of workers here
	App    *sql.DB
	Remote *ledger.Server
	Ended  *shop.Ended
	Writer *shop.Writer
	Logs   *Log
	// Sandbox is the remote in place of the ledger; nil: the ledger is.
	Sandbox *sandbox.Server
	// Forgotten are the records at the remote that a restored registry can know
	// nothing of; nil: it was not restored.
	Forgotten map[string]bool
	// Refused are the records that the remote refuses for good, by type and
	// external id.
	Refused map[string]bool
	// Hurried: Advance, or a restore, ended leases of processes at work.
	Hurried bool

	t       testing.TB
	judged  int       // entries of the ledger
	present shop.Want // when the registry was put back
	ahead   atomic.Int64
}

// Short bounds that the workers of the proofs have.
const (
	quiet   = time.Second
	timeout = 2 * time.Second
	lease   = 5 * time.Second
)

// New makes a place. Its rows and its remote's chances come from the seed.
func New(t testing.TB, driver string, class connector.Class, seed uint64) *Place {
	t.Helper()
	url := ""
	if driver == worker.Postgres {
		url = strings.Replace(pgtest.New(t), "postgres@", "postgres:"+Password+"@", 1)
	} else {
		url = filepath.Join(t.TempDir(), "shop.db")
	}
	return At(t, driver, url, class, seed)
}

// At is New on a database of the caller's: a URL, or the path of a file.
func At(t testing.TB, driver, url string, class connector.Class, seed uint64) *Place {
	t.Helper()
	p := &Place{t: t, Ended: &shop.Ended{}, Logs: &Log{}}
	p.open(driver, url)
	t.Cleanup(func() { _ = p.App.Close() })
	var err error
	if p.Remote, err = ledger.Open(ledger.Config{Class: class, Token: Token, Seed: seed}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Remote.Close)
	p.Worker = worker.Config{
		Driver: driver, Database: url, Remote: p.Remote.URL, Token: Token, Class: class,
		Quiet: quiet, Timeout: timeout, Lease: lease, Drain: time.Second, Concurrency: 4, Batch: 10,
	}
	p.Writer = &shop.Writer{DB: p.App, Rand: rand.New(rand.NewPCG(seed, 2)), Ended: p.Ended, Customers: 8, Orders: 16}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := p.App.ExecContext(ctx, shop.Schema); err != nil {
		t.Fatal(err)
	}
	if err := p.Writer.Fill(ctx); err != nil {
		t.Fatal(err)
	}
	return p
}

// Connect opens a PostgreSQL database, until t ends.
func Connect(t testing.TB, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (p *Place) open(driver, url string) {
	var err error
	if driver == worker.Postgres {
		p.App, err = sql.Open("pgx", url)
	} else {
		p.App, err = sql.Open("sqlite", "file:"+url+"?_pragma=busy_timeout(20000)&_pragma=journal_mode(wal)&_pragma=foreign_keys(1)&_txlock=immediate")
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.App.SetMaxOpenConns(3)
}

// Advance moves the registry's clock: on SQLite for processes that are started
// from now on, and for this one.
func (p *Place) Advance(ctx context.Context, d time.Duration) error {
	p.Worker.Ahead = time.Duration(p.ahead.Add(int64(d)))
	if p.Worker.Driver != worker.Postgres {
		return nil
	}
	var installed bool
	err := p.App.QueryRowContext(ctx, `select exists (select from pg_proc where pronamespace::regnamespace::text = 'upkeep' and proname = 'clock')`).Scan(&installed)
	if err != nil || !installed {
		return err
	}
	_, err = p.App.ExecContext(ctx, fmt.Sprintf(`create or replace function upkeep.clock() returns timestamptz
		language sql volatile as 'select pg_catalog.clock_timestamp() + interval ''%d milliseconds'''`, p.Worker.Ahead.Milliseconds()))
	return err
}

// Edit makes the syncs the next edition ([shop.Syncs]), which sends nearly all
// records again: where there are jobs, in jobs. What was judged may not be
// deleted any more, but for what the new edition leaves out.
func (p *Place) Edit() {
	p.Ended.Reset(nil)
	p.Another()
}

// Another is Edit while there are workers of the edition before, which may still
// delete what it did.
func (p *Place) Another() {
	p.Worker.Edition++
	for id := range 10 * p.Writer.Orders {
		if shop.LeftOut(p.Worker.Edition, id) {
			p.Ended.Note("order", id)
		}
	}
}

// Engine is one in this process, which heals what others left. Its clock can be
// moved while it runs.
type Engine struct {
	*upkeep.Engine
	Store upkeep.Database

	end  func()
	stop context.CancelFunc
	done chan error
}

// healer is the name of engines in this process.
const healer = "healer"

// Run starts an engine.
func (p *Place) Run(ctx context.Context) (*Engine, error) {
	c := p.Worker
	c.Name, c.Clock = healer, func() time.Duration { return time.Duration(p.ahead.Load()) }
	e, end, err := worker.Engine(ctx, c, nil, slog.New(slog.NewTextHandler(p.Logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		return nil, err
	}
	db, err := worker.Open(ctx, c, &worker.Points{})
	if err != nil {
		end()
		return nil, err
	}
	run := &Engine{Engine: e, Store: db, done: make(chan error, 1), end: func() { end(); _ = db.Close() }}
	if c.Edition > 0 { // so that nothing looks at rest before the new edition is looked at
		if err := e.Install(ctx); err != nil {
			run.end()
			return nil, err
		}
	}
	ctx, run.stop = context.WithCancel(ctx)
	go func() { run.done <- e.Run(ctx) }()
	return run, nil
}

// Sweep asks for every group to be looked at again, by the next engine.
func (p *Place) Sweep(ctx context.Context) error { return p.resync(ctx, upkeep.Resync{}) }

// SendAll asks for every record to be sent again.
func (p *Place) SendAll(ctx context.Context) error { return p.resync(ctx, upkeep.Resync{Force: true}) }

func (p *Place) resync(ctx context.Context, what upkeep.Resync) error {
	e, end, err := worker.Engine(ctx, p.Worker, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer end()
	return e.Resync(ctx, what)
}

// Stop stops it and waits for its end.
func (e *Engine) Stop() error {
	e.stop()
	err := <-e.done
	e.end()
	return err
}

// Heal brings everything to rest by an engine of its own: it lets leases and
// doubts end, one after the other, those of the dead first, until every group
// is where it stays.
func (p *Place) Heal(ctx context.Context) error {
	p.land() // before the doubt is over
	if err := p.Advance(ctx, time.Hour); err != nil {
		return err
	}
	e, err := p.Run(ctx)
	if err != nil {
		return err
	}
	still := true
	for still && err == nil {
		p.land()
		if still, err = p.rest(ctx, e); still && err == nil {
			err = p.Advance(ctx, time.Hour)
		}
	}
	if stopped := e.Stop(); err == nil {
		err = stopped
	}
	return err
}

// land lets arrive what is to be applied late.
func (p *Place) land() {
	p.Remote.Land()
	if p.Sandbox != nil {
		p.Sandbox.Land()
	}
}

// rest waits until nothing is to be done now. still: something is, later.
func (p *Place) rest(ctx context.Context, e *Engine) (still bool, err error) {
	// To look more and more seldom leaves the machine to what is waited for.
	for pause := 5 * time.Millisecond; ; pause = min(pause*3/2, 50*time.Millisecond) {
		select {
		case err := <-e.done:
			e.done <- err
			return false, fmt.Errorf("the healing engine ended: %w", err)
		case <-ctx.Done():
			return false, fmt.Errorf("never at rest: %w", ctx.Err())
		case <-time.After(pause):
		}
		busy, later, err := p.look(ctx, e)
		if err == nil && !busy && !later {
			// What was recorded between its two readings may have touched more.
			busy, later, err = p.look(ctx, e)
		}
		if err != nil {
			return false, err
		}
		if !busy {
			return later, nil
		}
	}
}

// look tells whether something is under way, and whether something will be.
func (p *Place) look(ctx context.Context, e *Engine) (busy, later bool, err error) {
	status, err := e.Status(ctx)
	if err != nil {
		return true, false, nil // it has only begun
	}
	groups, err := oracle.Groups(ctx, e.Store)
	if err != nil {
		return false, false, err
	}
	busy = status.Pending > 0 || len(status.Jobs) > 0 || status.Remotes[0].Broken || status.Remotes[0].PausedFor > 0
	for _, c := range status.Syncs {
		busy = busy || c.Backfill.Running
		done, err := e.Store.Sync(ctx, c.Sync)
		if err != nil {
			return false, false, err
		}
		busy = busy || done.Version == ""
	}
	now := time.Now().Add(p.Worker.Ahead)
	for _, g := range groups {
		switch {
		case strings.HasPrefix(g.Holder, healer+":"):
			busy = true
		case g.DueAt.IsZero() || g.State == store.Parked:
		case g.State == store.Waiting && g.DueAt.After(now): // what it waits for wakes it: its own time is only a net
		case g.DueAt.After(now):
			later = true
		default:
			busy = true
		}
	}
	return busy, later, nil
}

// Judge asks the oracle, and remembers how far it got.
func (p *Place) Judge(ctx context.Context, appErrors ...error) (*oracle.Verdict, error) {
	db, err := worker.Open(ctx, p.Worker, &worker.Points{})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	remote := oracle.Remote(p.Remote)
	if p.Sandbox != nil {
		remote = p.Sandbox
	}
	v, err := oracle.Judge(ctx, oracle.Case{
		Store: db, App: p.App, Remote: remote, Since: p.judged, Edition: p.Worker.Edition, Ended: p.Ended, AppErrors: appErrors,
		Forgotten: p.Forgotten, Blind: p.Worker.Class == connector.Blind, Hurried: p.Hurried || p.Forgotten != nil, Refused: p.Refused,
		MayPark: func(reason string) bool {
			return p.Worker.Class == connector.Blind && strings.HasPrefix(reason, "the remote may have made this record") ||
				p.Forgotten != nil && strings.HasPrefix(reason, "the row is not there, but its deletion was not observed")
		},
		Secrets: append([]string{Token, Password, shop.Canary}, sandbox.Secrets()...), Logs: p.Logs.String(), Tables: func(ctx context.Context) (map[string]string, error) {
			return registrytext.Read(ctx, p.App, p.Worker.Driver == worker.Postgres)
		},
	})
	p.judged = len(p.Remote.Applied(0))
	return v, err
}

// Log collects what engines and workers write.
type Log struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// String is all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
