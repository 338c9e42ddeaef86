package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// query is one of the loader's, and what becomes of its rows.
type query struct {
	*selection
	weigh func(raw [][]byte) error
	sql   string
	args  []any
	each  func(n int64, row store.Row, links []*string, err error)
	named func(error) error // says where an error arose
	next  func()            // asks for the members of the rows; nil: there are none
}

// query asks for rows, of which each gives: the number of their parent, their
// values, their links. A value that can't be used comes as err, with the rest of
// the row.
func (l *loading) query(s *selection, sql string, args []any, each func(n int64, row store.Row, links []*string, err error)) *query {
	q := &query{selection: s, weigh: l.weigh, sql: sql, args: args, each: each}
	l.queries = append(l.queries, q)
	return q
}

// then has next called once all rows are there, if they are of a member that has
// members.
func (q *query) then(m *store.Member, next func()) {
	if len(m.Members) > 0 {
		q.next = next
	}
}

// run sends what is asked for, and what is then asked for, until nothing is: all
// queries of one depth together, and the end of the transaction with the last.
func (l *loading) run(ctx context.Context, c *conversation) error {
	for {
		queries, more := l.queries, false
		l.queries = nil
		for _, q := range queries {
			more = more || q.next != nil
		}
		if err := ask(ctx, c, queries, !more); err != nil || !more {
			return err
		}
		for _, q := range queries {
			if q.next != nil {
				q.next()
			}
		}
	}
}

// ask sends queries and reads their rows.
func ask(ctx context.Context, c *conversation, queries []*query, last bool) error {
	batch := c.batch()
	for _, q := range queries {
		batch.Queue(q.sql, q.args...).Query(func(rows pgx.Rows) error {
			if err := q.read(rows); err != nil {
				return q.named(err)
			}
			return nil
		})
	}
	send := c.send
	if last {
		send = c.last
	}
	err := send(ctx, batch)
	var unprepared pgx.ErrPreprocessingBatch
	if errors.As(err, &unprepared) {
		for _, q := range queries {
			if q.sql == unprepared.SQL() {
				return q.named(errors.Unwrap(unprepared))
			}
		}
	}
	return err
}

var errUndescribed = errors.New("the connection's mode of queries does not have statements described; use another default_query_exec_mode: cache_statement, cache_describe or describe_exec")

// read reads the rows. All results come binary, or are text: the values then do
// not depend on a setting.
func (q *query) read(rows pgx.Rows) error {
	s := q.selection
	for rows.Next() {
		raw := rows.RawValues()
		if err := q.weigh(raw); err != nil {
			return err
		}
		for _, f := range rows.FieldDescriptions() {
			if f.Format != pgx.BinaryFormatCode && f.DataTypeOID != pgtype.TextOID {
				return errUndescribed
			}
		}
		n := int64(binary.BigEndian.Uint64(raw[0]))
		row := make(store.Row, len(s.columns)+4)
		var bad error
		for i, c := range s.columns {
			v, err := decode(c.Kind, raw[1+i])
			if text, ok := v.(string); ok && c.Labels != "" {
				err = c.Labelled(text)
			}
			if err != nil {
				v = err // for a person who looks at it
				if bad == nil {
					bad = fmt.Errorf("column %s: %w", c.Name, err)
				}
			}
			row[c.Name] = v
		}
		var links []*string
		if len(s.links) > 0 {
			links = make([]*string, len(s.links))
			for i := range s.links {
				if b := raw[1+len(s.columns)+i]; b != nil {
					text := string(b)
					links[i] = &text
				}
			}
		}
		q.each(n, row, links, bad)
	}
	return rows.Err()
}
