// Package warehouse keeps records as rows of tables in a PostgreSQL database,
// or one that speaks its protocol; each record type is a table. The way of a
// request is one transaction:
//
//	encode, stage, write, explain, lists, commit
//
// Changes are loaded into a temporary table and written from there by a few
// statements. Every row has the version of the write that made it, and an
// older write changes nothing.
//
// Layout, rights and errors are described in docs/warehouse.md.
package warehouse

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

const (
	// callLimit is how long one call may take.
	callLimit = time.Minute
	// statementLimit is how long one statement may run, and silenceLimit how
	// long the database waits for the next one before it ends the transaction.
	// After a connection broke, a COMMIT that is under way arrives within
	// silenceLimit or not at all, and takes no longer than statementLimit:
	// quiet is both, and some more.
	statementLimit = 30 * time.Second
	silenceLimit   = 10 * time.Second
	quiet          = 45 * time.Second
	concurrency    = 4
)

// dialects are those that a URL may ask for, by its scheme.
func dialects() map[string]dialect {
	return map[string]dialect{"postgres": postgres{}, "postgresql": postgres{}, "sqlite": sqlite{}}
}

// Connection is an open warehouse. It has the optional abilities
// [connector.Batcher], [connector.Remover], [connector.Reader],
// [connector.Preparer], [connector.Checker] and [connector.Cautious].
type Connection struct {
	config  Config
	dialect dialect
	db      *sql.DB
	closed  context.Context
	close   context.CancelCauseFunc

	mu     sync.Mutex
	tables map[string]*table // by record type, as last seen
}

var (
	_ connector.Connection = (*Connection)(nil)
	_ connector.Batcher    = (*Connection)(nil)
	_ connector.Remover    = (*Connection)(nil)
	_ connector.Reader     = (*Connection)(nil)
	_ connector.Preparer   = (*Connection)(nil)
	_ connector.Checker    = (*Connection)(nil)
	_ connector.Cautious   = (*Connection)(nil)
)

var errClosed = errors.New("the connection is closed")

// Open examines the configuration and returns every problem of it. It does not
// speak to the database.
func Open(c Config) (*Connection, error) {
	scheme, _, _ := strings.Cut(c.URL.Reveal(), ":")
	return open(c, dialects()[scheme])
}

func open(c Config, d dialect) (*Connection, error) {
	if c.URL != "" && d == nil {
		return nil, &connector.OptionError{Path: []string{"url"}, Err: errors.New("is not a database that the warehouse connector knows; write postgres://user:password@host/database, or sqlite: and the path of a file")}
	}
	if c.Schema == "" && d != nil {
		c.Schema = d.schema()
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.Batch == 0 {
		c.Batch = defaultBatch
	}
	if c.Remember == 0 {
		c.Remember = defaultRemember
	}
	db, err := d.open(c.URL.Reveal())
	if err != nil {
		return nil, &connector.OptionError{Path: []string{"url"}, Err: err}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	return &Connection{config: c, dialect: d, db: db, closed: ctx, close: cancel, tables: map[string]*table{}}, nil
}

// Traits says that creates are upserts, and four transactions at once are
// enough for two cores.
func (c *Connection) Traits() connector.Traits {
	return connector.Traits{Class: connector.Upsert, Quiet: quiet, Concurrency: concurrency, Timeout: callLimit}
}

// Create inserts the record's row or, if there is one, updates it. The remote
// id is the external id.
func (c *Connection) Create(ctx context.Context, r connector.Record) (string, error) {
	return r.ExternalID, c.single(ctx, connector.Change{Action: connector.Create, Record: r})
}

// Update sets the given fields' columns.
func (c *Connection) Update(ctx context.Context, remoteID string, r connector.Record) error {
	return c.single(ctx, connector.Change{Action: connector.Update, RemoteID: remoteID, Record: r})
}

// Delete deletes whatever version the row has.
func (c *Connection) Delete(ctx context.Context, recordType, remoteID string) error {
	return c.Remove(ctx, remoteID, connector.Record{Type: recordType, ExternalID: remoteID})
}

// Remove deletes the row unless it is of a newer version.
func (c *Connection) Remove(ctx context.Context, remoteID string, r connector.Record) error {
	return c.single(ctx, connector.Change{Action: connector.Delete, RemoteID: remoteID, Record: r})
}

// single is a batch of one.
func (c *Connection) single(ctx context.Context, change connector.Change) error {
	results, err := c.Apply(ctx, change.Record.Type, []connector.Change{change})
	if err != nil {
		return err
	}
	return results[0].Err
}

// Close ends calls under way and closes all connections.
func (c *Connection) Close() error {
	c.close(errClosed)
	return c.db.Close()
}

// within is ctx until the connection is closed, and not longer than a call may
// take. An error means that nothing was sent.
func (c *Connection) within(ctx context.Context) (context.Context, context.CancelFunc, error) {
	cause := context.Cause(c.closed)
	if cause == nil {
		cause = context.Cause(ctx)
	}
	if cause != nil {
		return nil, nil, &connector.Error{Kind: connector.Unavailable, Message: "nothing was sent", Err: cause}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.closed, func() { cancel(errClosed) })
	return ctx, func() { stop(); cancel(nil) }, nil
}

// judged is an error of the database's as one of the connector's, of a
// transaction that was not committed.
func (c *Connection) judged(ctx context.Context, err error) *connector.Error {
	var own *connector.Error
	if errors.As(err, &own) {
		return own
	}
	if ctx.Err() == nil {
		if e, _ := c.dialect.judge(err); e != nil {
			return e
		}
	}
	return &connector.Error{Kind: connector.Unavailable, Message: "the connection ended, and nothing was written", Err: cause(ctx, err)}
}

// cause is why a call ended: ctx's reason, if it is over.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}
