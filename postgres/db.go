// Package postgres keeps Upkeep's touch log and registry in a PostgreSQL
// database, version 13 or newer, beside the tables that it watches.
//
// # For programs
//
//   - [Open] connects to a database by its URL, and [New] takes a pool that is
//     there.
//   - The [DB] that they make is upkeep.Config's Database.
//   - [DB.Close] closes it, when Engine.Run has returned; [DB.Name] is for logs.
//
// # For the engine
//
// All other methods of DB implement an interface of Upkeep's own, which their
// comments name ("implements store..."). They are exported since the engine is
// in another package. No program needs them, and they may change at any time:
// what they do for people are methods of upkeep.Engine.
//
// # What is where
//
// Everything lives in the schema "upkeep"; on the application's tables there
// are triggers and nothing else. The files follow the way of the data:
// capture, fold, claim, load, record.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// DB is a PostgreSQL database with Upkeep's registry, for upkeep.Config. It is
// safe for concurrent use. Of its methods, [DB.Close] and [DB.Name] are for
// programs; the others are the engine's.
type DB struct {
	pool *pgxpool.Pool
	own  bool // Close closes the pool

	fragments fragments
}

var _ store.Store = (*DB)(nil)

// New makes a store over a pool, which stays the caller's to close. The
// pool's role must own the tables that are to be watched. Of pgx's modes of
// queries, DefaultQueryExecMode must be one that has the server describe a
// statement: QueryExecModeCacheStatement (pgx's own default),
// QueryExecModeCacheDescribe or QueryExecModeDescribeExec. upkeep.New refuses
// QueryExecModeExec and QueryExecModeSimpleProtocol, with which values would be
// read in a form that depends on settings.
func New(pool *pgxpool.Pool) *DB { return &DB{pool: pool} }

// Usable implements [store.Usable].
func (db *DB) Usable() error {
	if db.pool == nil {
		return errors.New("postgres.New was given a nil *pgxpool.Pool: give it the pool that pgxpool.New returned, and look at its error")
	}
	switch mode := db.pool.Config().ConnConfig.DefaultQueryExecMode; mode {
	case pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol:
		return fmt.Errorf("the pool's DefaultQueryExecMode (default_query_exec_mode in a URL) is %q, with which rows can't be read: use cache_statement, which is pgx's default, cache_describe or describe_exec", mode)
	}
	return nil
}

// Open connects to the database with the given URL or keyword string.
// Errors never contain the password.
func Open(ctx context.Context, url string) (*DB, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the database's URL: %w", err)
	}
	params := config.ConnConfig.RuntimeParams
	if params["application_name"] == "" {
		params["application_name"] = "upkeep"
	}
	config.ConnConfig.DialFunc = dialer().DialContext
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, forms+"; "+durable+"; "+committed+"; "+reachable, pgx.QueryExecModeSimpleProtocol)
		return err
	}
	if err := examineAddress(ctx, &config.ConnConfig.Config); err != nil {
		return nil, fmt.Errorf("connect to the database: %w", connectError{err})
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to the database: %w", connectError{err})
	}
	return &DB{pool: pool, own: true}, nil
}

// forms are the settings on which the text of some types depends (intervals,
// ranges, arrays), and what a condition of the user's means. Over a pool of the
// program's own only what is loaded is read with them: [snapshot].
const forms = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; " +
	"SET bytea_output = 'hex'; SET standard_conforming_strings = on"

// durable has a claim on disk before its request goes out, and with what was
// acknowledged all that it was made of: a crash of the server, of which nothing
// tells when no process outlived it, takes neither back. A database or a role may
// have this switched off for the application's sake.
const durable = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"

// connectError says each line of the driver's error once: an address is tried
// with TLS and without, and both may fail in the same words.
type connectError struct{ error }

func (e connectError) Error() string {
	var lines []string
	for line := range strings.Lines(e.error.Error()) {
		if line = strings.TrimRight(line, "\n"); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	// That a server has no TLS is no news where it was then tried without.
	address, refused := "", ": tls error: server refused TLS connection"
	lines = slices.DeleteFunc(slices.Clone(lines), func(line string) (passed bool) {
		address, passed = strings.CutSuffix(line, refused)
		return passed && slices.ContainsFunc(lines, func(other string) bool { return other != line && strings.HasPrefix(other, address+":") })
	})
	return strings.Join(lines, "\n")
}

func (e connectError) Unwrap() error { return e.error }

// Name is the database for people: "postgres://db.example:5432/shop".
func (db *DB) Name() string {
	c := db.pool.Config().ConnConfig
	return fmt.Sprintf("postgres://%s:%d/%s", c.Host, c.Port, c.Database)
}

// Close closes the connections that Open made.
func (db *DB) Close() error {
	if db.own {
		db.pool.Close()
	}
	return nil
}

// A statement that is prepared while a table is small keeps its plan while the
// table grows, until the next analysis of it: scans of all groups, for each
// batch, through a whole backfill. So our statements are planned as if the
// tables were large already. Where there is no index the cost of that counts
// as very high, for which the server would compile the plan: 100 ms, each time.
const (
	largeTables = "SET LOCAL enable_seqscan = off; SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_generic_plan"
	// fewKeys is for statements that are given the keys of all the rows that
	// they need, a batch of them.
	fewKeys = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
)

// standstill is after how long the server ends a transaction of a process that says
// nothing more. One that is stopped (SIGSTOP, a machine that is put to sleep), or
// can't be reached any more, would keep what it locked from all others for as long:
// one that folds, the fold of every process; one that reads, the application's ALTER
// TABLE, and whoever waits behind that. Between two statements of a transaction of
// ours there is nothing but a little computing.
const standstill = "10s"

// begin is at the level that our statements are made for, also where the database's
// or the role's is stricter: a serializable transaction of ours could make one of
// the application's fail, which only appends to our log.
const (
	begin     = isolated + "; " + bounded
	isolated  = "BEGIN ISOLATION LEVEL READ COMMITTED"
	bounded   = "SET LOCAL idle_in_transaction_session_timeout = '" + standstill + "'"
	unmoved   = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
	committed = "SET default_transaction_isolation = 'read committed'"
)

// plain begins a transaction with the server's own plans, such as one that installs;
// reading one that looks, and still one that looks at everything at the same moment.
var (
	plain   = pgx.TxOptions{BeginQuery: begin}
	reading = pgx.TxOptions{BeginQuery: isolated + ", READ ONLY; " + bounded}
	still   = pgx.TxOptions{BeginQuery: unmoved + "; " + bounded}
)

// writing begins a transaction that writes. Rows that a policy hides are an
// error in it, since they would look like rows that are not there.
var writing = pgx.TxOptions{BeginQuery: begin + "; SET LOCAL row_security = off; " + largeTables}

// byKey begins a transaction that writes groups whose keys it is given.
var byKey = pgx.TxOptions{BeginQuery: begin + "; " + largeTables + "; " + fewKeys}

// retries is how often a transaction that lost against another one (deadlock,
// serialization) is begun again.
const retries = 10

// tx runs f in a transaction, again when the database says that trying again
// is the answer.
func (db *DB) tx(ctx context.Context, opts pgx.TxOptions, f func(pgx.Tx) error) error {
	return installed(db.again(ctx, func() error { return pgx.BeginTxFunc(ctx, db.pool, opts, f) }))
}

// again runs f, again when the database says that trying again is the answer.
func (db *DB) again(ctx context.Context, f func() error) error {
	for n := 0; ; n++ {
		err := f()
		if err == nil || n == retries || !lost(err) {
			return err
		}
		pause := time.Duration(rand.Int64N(int64(time.Millisecond) << n))
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// lost says whether the transaction only lost against another one.
func lost(err error) bool {
	switch code(err) {
	case "40001", "40P01":
		return true
	}
	return false
}

// code is the SQLSTATE of a database's error, or "".
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// installed makes an error about our own missing tables ErrNotInstalled, and
// one about a right that is missing ErrRights. One about a server that can't be
// written says what to do. What the server says of a value is left out, see
// [discreet].
func installed(err error) error {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		switch e.Code {
		case "3F000", "42P01", "42883", "42703": // schema, table, function, column
			if strings.Contains(e.Message, "upkeep") { // a column of ours is one that is only being installed
				return fmt.Errorf("%w (%w)", store.ErrNotInstalled, err)
			}
		case "42501":
			return fmt.Errorf("%w: %w", store.ErrRights, err)
		case "25006": // at work: a standby took the primary's address
			return fmt.Errorf("%s, or default_transaction_read_only is on for this database or role: %s (%w)", isStandby, toPrimary, err)
		}
	}
	return discreet(err)
}

// quote makes identifiers, joined by dots, safe inside SQL. It is the only
// way an identifier gets into a statement.
func quote(names ...string) string { return pgx.Identifier(names).Sanitize() }

// literal makes a string safe inside SQL, where a parameter can't be used.
func literal(s string) string {
	if strings.Contains(s, `\`) {
		return ` E'` + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + `'`
	}
	return `'` + strings.ReplaceAll(s, `'`, `''`) + `'`
}

// clean makes text of a remote storable: PostgreSQL refuses a NUL and invalid
// UTF-8.
func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
}

// quoteTable is quote for a table.
func quoteTable(t store.Table) string {
	if t.Schema == "" {
		return quote(t.Name)
	}
	return quote(t.Schema, t.Name)
}
