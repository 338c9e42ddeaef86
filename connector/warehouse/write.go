package warehouse

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// write is one transaction: what is staged, and the statements over it. In the
// statements t is the table, s the staged rows, l the staged elements of lists
// and d the rows that were deleted.
//
// The staged rows have their number n, the key k, the version v, the group g
// (creates are grouped by the fields that they set, from 0), the mask m (a 1
// for each column, then each list, that the row sets) and the values c0, c1...
type write struct {
	*Connection
	conn  *sql.Conn
	b     *batch
	sets  [][]int // of creates, by group: which columns they set
	count []int   // of rows, by group
	stage *stage
	lists []*stage

	refused map[*row]*connector.Error
}

// The groups of rows that are not created.
const (
	updated = -1
	deleted = -2
)

func (w *write) exec(ctx context.Context, statement string) (int, error) {
	res, err := w.conn.ExecContext(ctx, statement)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// run stages and writes.
func (w *write) run(ctx context.Context) error {
	for _, s := range slices.Concat([]*stage{w.stage}, w.lists) {
		if err := w.dialect.load(ctx, w.conn, s); err != nil {
			return w.name(s, err)
		}
	}
	written, wanted := 0, 0
	for g, set := range w.sets {
		n, err := w.exec(ctx, w.insert(g, set))
		if err != nil {
			return err
		}
		written, wanted = written+n, wanted+w.count[g]
	}
	for _, step := range []struct {
		action connector.Action
		sql    func() string
	}{{connector.Update, w.update}, {connector.Delete, w.delete}} {
		rows := 0
		for _, r := range w.b.rows {
			if r.action == step.action {
				rows++
			}
		}
		if rows == 0 {
			continue
		}
		if step.action == connector.Delete && !w.b.t.soft {
			if _, err := w.exec(ctx, w.bury()); err != nil {
				return err
			}
		}
		n, err := w.exec(ctx, step.sql())
		if err != nil {
			return err
		}
		written, wanted = written+n, wanted+rows
	}
	if written != wanted {
		if err := w.explain(ctx); err != nil {
			return err
		}
	}
	return w.writeLists(ctx)
}

// explain finds out why rows were not written, and takes them off the stage.
func (w *write) explain(ctx context.Context) error {
	const there, marked, none = 0, 1, 2
	gone, buried, d := "CASE WHEN t.{key} IS NULL THEN 2 ELSE 0 END", "0", ""
	if w.b.t.soft {
		gone = "CASE WHEN t.{key} IS NULL THEN 2 WHEN t.{deleted_at} IS NOT NULL THEN 1 ELSE 0 END"
	} else {
		buried = "coalesce(d.version, 0)"
		d = " LEFT JOIN {d} AS d ON d.table_name = {name} AND d.external_id = s.k"
	}
	rows, err := w.conn.QueryContext(ctx, w.sql(`SELECT s.n, `+gone+`, coalesce(t.{version}, 0), `+buried+`
		FROM {s} AS s LEFT JOIN {t} AS t ON t.{key} = s.k`+d+`
		WHERE `+gone+` > 0 OR (s.v > 0 AND coalesce(t.{version}, 0) > s.v)`))
	if err != nil {
		return err
	}
	defer rows.Close()
	w.refused = map[*row]*connector.Error{}
	for rows.Next() {
		var n, state int
		var version, tombstone int64
		if err := rows.Scan(&n, &state, &version, &tombstone); err != nil {
			return err
		}
		r := w.b.rows[n]
		switch {
		case r.action == connector.Update && state != there:
			w.refused[r] = &connector.Error{Kind: connector.NotFound, Message: fmt.Sprintf("%s has no row %q", w.b.t.place, clip(r.key))}
		case state == none && r.action == connector.Delete:
			// It is gone, as is wanted.
		case state == none && tombstone > r.version:
			w.refused[r] = newer(w.b.t, r, tombstone, "was deleted by")
		case state == none:
			return rejected("the table %s did not keep the row %q; a trigger or a rule of its own prevents it", w.b.t.place, clip(r.key))
		case r.version > 0 && version > r.version:
			w.refused[r] = newer(w.b.t, r, version, map[int]string{there: "is of", marked: "was deleted by"}[state])
		}
	}
	if err := rows.Err(); err != nil || len(w.refused) == 0 {
		return err
	}
	var numbers []string
	for n, r := range w.b.rows {
		if w.refused[r] != nil {
			numbers = append(numbers, strconv.Itoa(n))
		}
	}
	_, err = w.exec(ctx, w.sql(`DELETE FROM {s} WHERE n IN (`+strings.Join(numbers, ", ")+`)`))
	return err
}

// newer refuses a write that came too late. It is no success, as the row is
// not as the write would have it; and no rejection either, as a later claim of
// the group has a higher version.
func newer(t *table, r *row, version int64, how string) *connector.Error {
	return &connector.Error{Kind: connector.Busy, Code: "NEWER", Message: fmt.Sprintf("the row %q of %s %s version %d, which is newer than this write's %d: another worker has written it since", clip(r.key), t.place, how, version, r.version)}
}

// conclude puts the refusals into the results once the rest is committed.
func (w *write) conclude() {
	for r, err := range w.refused {
		w.b.results[r.at].Err = err
	}
}

// blame is the error of a transaction that was rolled back. That of a single
// row is that row's.
func (w *write) blame(ctx context.Context, err error) error {
	var one *blame
	if errors.As(err, &one) {
		return one
	}
	e := w.judged(ctx, err)
	if e.Kind == connector.Rejected && len(w.b.rows) == 1 {
		return &blame{row: w.b.rows[0], err: e}
	}
	return e
}

// rollback ends a transaction, or the connection with it.
func (c *Connection) rollback(ctx context.Context, conn *sql.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		drop(conn)
	}
}

// drop keeps a connection from being used again.
func drop(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // its own error comes back
}
