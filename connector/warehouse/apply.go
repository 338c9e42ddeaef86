package warehouse

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
)

// mostBlamed is how many rows that the database refuses are taken out of a
// request one by one; each costs a transaction.
const mostBlamed = 8

// Batch says that one transaction takes changes of all kinds.
func (c *Connection) Batch(string) connector.Batch {
	return connector.Batch{Most: c.config.Batch, Mixed: true}
}

// Apply makes the changes in one transaction. A row whose value can't be kept
// is refused alone if the database tells which it is; then the transaction is
// done again without it.
func (c *Connection) Apply(ctx context.Context, recordType string, changes []connector.Change) ([]connector.Result, error) {
	ctx, cancel, err := c.within(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return nil, c.judged(ctx, err)
	}
	defer func() { _ = conn.Close() }() // it goes back to the pool, or is broken already
	b, err := c.encode(ctx, conn, recordType, changes)
	if err != nil {
		return nil, c.judged(ctx, err)
	}
	for blamed := 0; len(b.rows) > 0; blamed++ {
		err := c.transact(ctx, conn, b)
		if err == nil {
			break
		}
		var one *blame
		if !errors.As(err, &one) || blamed == mostBlamed {
			return nil, connector.AsError(err)
		}
		b.refuse(one)
	}
	return b.results, nil
}

// batch is the changes of a request, encoded.
type batch struct {
	t       *table
	rows    []*row   // those that are to be written, by key
	columns []column // that any of them sets
	lists   []*child // the same
	results []connector.Result
}

// row is a change.
type row struct {
	at      int // in the results
	action  connector.Action
	key     string
	version int64
	cells   map[string]cell     // by column
	lists   map[string][][]cell // by field, in the order of the child's columns
}

// blame is an error that is one row's.
type blame struct {
	row *row
	err *connector.Error
}

func (b *blame) Error() string { return b.err.Error() }
func (b *blame) Unwrap() error { return b.err }

// refuse takes a row out.
func (b *batch) refuse(one *blame) {
	b.results[one.row.at].Err = one.err
	b.rows = slices.DeleteFunc(b.rows, func(r *row) bool { return r == one.row })
}

// encode makes a batch of changes. What can't be kept is refused here.
func (c *Connection) encode(ctx context.Context, q querier, recordType string, changes []connector.Change) (*batch, error) {
	t, err := c.table(ctx, q, recordType, false)
	if err != nil {
		return nil, err
	}
	if !knowsAll(t, changes) { // somebody may have added columns
		if t, err = c.table(ctx, q, recordType, true); err != nil {
			return nil, err
		}
	}
	b := t.batch(changes)
	if len(b.rows) < len(changes) { // somebody may have made a column wider
		if t, err = c.table(ctx, q, recordType, true); err != nil {
			return nil, err
		}
		b = t.batch(changes)
	}
	return b, nil
}

// batch encodes changes.
func (t *table) batch(changes []connector.Change) *batch {
	b := &batch{t: t, results: make([]connector.Result, len(changes))}
	columns, lists := map[string]bool{}, map[string]bool{}
	for i, change := range changes {
		r, err := t.row(change)
		if err != nil {
			b.results[i].Err = err
			continue
		}
		r.at = i
		b.results[i].RemoteID = r.key
		b.rows = append(b.rows, r)
		for name := range r.cells {
			columns[name] = true
		}
		for field := range r.lists {
			lists[field] = true
		}
	}
	// All transactions take the rows in one order, so that none waits for
	// another that waits for it.
	slices.SortFunc(b.rows, func(x, y *row) int { return strings.Compare(x.key, y.key) })
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		b.columns = append(b.columns, t.columns[name])
	}
	for _, field := range slices.Sorted(maps.Keys(lists)) {
		b.lists = append(b.lists, t.children[field])
	}
	return b
}

func knowsAll(t *table, changes []connector.Change) bool {
	for _, change := range changes {
		for field := range change.Record.Fields {
			if !t.knows(field) {
				return false
			}
		}
	}
	return true
}

// row encodes one change.
func (t *table) row(change connector.Change) (*row, error) {
	r := &row{action: change.Action, key: change.Record.ExternalID, version: change.Record.Version}
	if change.Action != connector.Create {
		r.key = change.RemoteID
	}
	if r.key == "" || strings.ContainsRune(r.key, 0) {
		return nil, rejected("the external id must not be empty or hold the character NUL")
	}
	if change.Action == connector.Delete {
		return r, nil
	}
	r.cells = make(map[string]cell, len(change.Record.Fields))
	for field, raw := range change.Record.Fields {
		if column, ok := t.columns[field]; ok {
			v, err := column.encode(raw)
			if err != nil {
				return nil, rejected("field %s: %v", field, err)
			}
			r.cells[field] = v
			continue
		}
		child, ok := t.children[field]
		if !ok {
			return nil, rejected("the table %s has no column %s: upkeep apply adds it, unless create is false", t.place, field)
		}
		elements, err := child.encode(raw)
		if err != nil {
			return nil, rejected("field %s: %v", field, err)
		}
		if r.lists == nil {
			r.lists = map[string][][]cell{}
		}
		r.lists[field] = elements
	}
	return r, nil
}

// names are the child's columns in a fixed order.
func (c *child) names() []string { return slices.Sorted(maps.Keys(c.columns)) }

// encode makes rows of a list's elements.
func (c *child) encode(raw json.RawMessage) ([][]cell, error) {
	var elements []json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		return nil, errors.New("it is not a list, and its table holds one")
	}
	names := c.names()
	out := make([][]cell, len(elements))
	for i, element := range elements {
		values := map[string]json.RawMessage{value: element}
		if !c.plain {
			values = nil
			if !bytes.HasPrefix(bytes.TrimSpace(element), []byte("{")) || json.Unmarshal(element, &values) != nil {
				return nil, fmt.Errorf("[%d]: it is not an object, and the table %s has columns for one", i, c.place)
			}
		}
		out[i] = make([]cell, len(names))
		for n, name := range names {
			v, ok := values[name]
			if !ok {
				v = json.RawMessage("null")
			}
			encoded, err := c.columns[name].encode(v)
			if err != nil {
				return nil, fmt.Errorf("[%d].%s: %w", i, name, err)
			}
			out[i][n] = encoded
			delete(values, name)
		}
		for name := range values {
			return nil, fmt.Errorf("[%d]: the table %s has no column %s: upkeep apply adds it, unless create is false", i, c.place, name)
		}
	}
	return out, nil
}

// transact does the batch in one transaction.
func (c *Connection) transact(ctx context.Context, conn *sql.Conn, b *batch) error {
	// Everything is ready before the transaction begins: it holds locks, and
	// the database must not wait for this side's work.
	w := newWrite(c, conn, b)
	lock, alone := "", false
	if !b.t.soft { // an upsert must see every delete that came before it
		lock = b.t.place.String()
		alone = slices.ContainsFunc(b.rows, func(r *row) bool { return r.action == connector.Delete })
	}
	_, err := conn.ExecContext(ctx, c.dialect.begin(statementLimit, lock, alone))
	if err == nil {
		err = w.run(ctx)
	}
	if err != nil {
		c.rollback(ctx, conn)
		if c.dialect.outdated(err) {
			c.forget()
		}
		return w.blame(ctx, err)
	}
	if _, err = conn.ExecContext(ctx, "COMMIT"); err == nil {
		w.conclude()
		return nil
	}
	if e, final := c.dialect.judge(err); final {
		c.rollback(ctx, conn)
		return e
	}
	drop(conn)
	return &connector.Error{Kind: connector.Unknown, Message: "no answer to COMMIT", Err: cause(ctx, err)}
}
