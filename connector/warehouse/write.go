package warehouse

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/fnv"
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

func newWrite(c *Connection, conn *sql.Conn, b *batch) *write {
	w := &write{Connection: c, conn: conn, b: b}
	w.stage = &stage{columns: []column{
		{name: "n", class: integer, typ: c.dialect.typeOf(connector.Integer)}, {name: "g", class: integer, typ: c.dialect.typeOf(connector.Integer)},
		{name: "m", class: text, typ: c.dialect.typeOf(connector.Text)}, {name: "k", class: text, typ: c.dialect.typeOf(connector.Text)},
		{name: "v", class: integer, typ: c.dialect.typeOf(connector.Integer)},
	}}
	for i, column := range b.columns {
		column.name = "c" + strconv.Itoa(i)
		w.stage.columns = append(w.stage.columns, column)
	}
	for _, child := range b.lists {
		s := &stage{columns: []column{w.stage.columns[0], {name: "p", class: integer, typ: w.stage.columns[0].typ}}}
		for i, name := range child.names() {
			column := child.columns[name]
			column.name = "c" + strconv.Itoa(i)
			s.columns = append(s.columns, column)
		}
		w.lists = append(w.lists, s)
	}
	groups := map[string]int{}
	for n, r := range b.rows {
		w.add(n, r, groups)
	}
	w.stage.name = w.stage.digest("")
	for i, s := range w.lists {
		s.name = s.digest(strconv.Itoa(i))
	}
	return w
}

// digest names a stage after its columns: a temporary table may outlive the
// transaction, and is used again by one that wants the same.
func (s *stage) digest(salt string) string {
	h := fnv.New64a()
	for _, c := range s.columns {
		fmt.Fprintf(h, "%s %s,", c.name, c.typ)
	}
	return fmt.Sprintf("upkeep_stage_%x%s", h.Sum64(), salt)
}

// add stages row n.
func (w *write) add(n int, r *row, groups map[string]int) {
	mask := make([]byte, 0, len(w.b.columns)+len(w.b.lists))
	cells := make([]cell, 5, len(w.stage.columns))
	var set []int
	for i, c := range w.b.columns {
		v, ok := r.cells[c.name]
		if !ok {
			v.null = true
		} else {
			set = append(set, i)
		}
		cells = append(cells, v)
		mask = append(mask, mark(ok))
	}
	fields := string(mask)
	for i, child := range w.b.lists {
		elements, ok := r.lists[child.field]
		mask = append(mask, mark(ok))
		for p, e := range elements {
			w.lists[i].rows = append(w.lists[i].rows, slices.Concat([]cell{number(int64(n)), number(int64(p))}, e))
		}
	}
	group := updated
	switch r.action {
	case connector.Delete:
		group = deleted
	case connector.Create:
		known := false
		if group, known = groups[fields]; !known {
			group = len(w.sets)
			groups[fields] = group
			w.sets = append(w.sets, set)
			w.count = append(w.count, 0)
		}
		w.count[group]++
	}
	cells[0], cells[1], cells[2], cells[3], cells[4] = number(int64(n)), number(int64(group)), cell{text: string(mask)}, cell{text: r.key}, number(r.version)
	w.stage.rows = append(w.stage.rows, cells)
}

func mark(set bool) byte {
	if set {
		return '1'
	}
	return '0'
}

func number(n int64) cell { return cell{text: strconv.FormatInt(n, 10)} }

// sql fills names into a statement: {t} and {d} the tables, {s} the stage,
// {key}, {version}, {synced_at} and {deleted_at} the columns, {now} the time,
// and what more says. It is done in one pass: a column may be called "{t}".
func (w *write) sql(statement string, more ...string) string {
	q, own := w.dialect.quote, w.b.t.own
	return strings.NewReplacer(append(more, "{t}", w.dialect.place(w.b.t.place), "{d}", w.dialect.place(w.b.t.tombstone), "{s}", q(w.stage.name),
		"{key}", q(own.Key), "{version}", q(own.Version), "{synced_at}", q(own.SyncedAt), "{deleted_at}", q(own.DeletedAt),
		"{now}", w.dialect.now(), "{name}", literal(w.b.t.name))...).Replace(statement)
}

// literal is a text in SQL, for names that came from the configuration.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (w *write) exec(ctx context.Context, statement string) (int, error) {
	res, err := w.conn.ExecContext(ctx, statement)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// notNewer lets a write pass that is not older than the row. A write without a
// version is for tests and tools: it always passes.
const notNewer = `(s.v = 0 OR coalesce(t.{version}, 0) <= s.v)`

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

// insert is the upsert of a group of creates.
func (w *write) insert(group int, set []int) string {
	names, values, sets := "", "", ""
	for _, i := range set {
		name := w.dialect.quote(w.b.columns[i].name)
		names += name + ", "
		values += fmt.Sprintf("s.c%d, ", i)
		sets += fmt.Sprintf("%s = excluded.%[1]s, ", name)
	}
	unburied, revived := "", ""
	if w.b.t.soft {
		revived = ", {deleted_at} = NULL"
	} else {
		unburied = " AND NOT EXISTS (SELECT 1 FROM {d} AS d WHERE d.table_name = {name} AND d.external_id = s.k AND s.v > 0 AND d.version > s.v)"
	}
	return w.sql(`INSERT INTO {t} AS t ({key}, {names}{version}, {synced_at})
		SELECT s.k, {values}s.v, {now} FROM {s} AS s WHERE s.g = {group}`+unburied+`
		ON CONFLICT ({key}) DO UPDATE SET {sets}{version} = CASE WHEN excluded.{version} = 0 THEN t.{version} ELSE excluded.{version} END,
			{synced_at} = excluded.{synced_at}`+revived+`
		WHERE excluded.{version} = 0 OR coalesce(t.{version}, 0) <= excluded.{version}`,
		"{group}", strconv.Itoa(group), "{names}", names, "{values}", values, "{sets}", sets)
}

// update sets in each row what the change has.
func (w *write) update() string {
	sets := ""
	for i, c := range w.b.columns {
		everywhere, somewhere := true, false
		for _, r := range w.b.rows {
			if r.action == connector.Update {
				_, has := r.cells[c.name]
				everywhere, somewhere = everywhere && has, somewhere || has
			}
		}
		name := w.dialect.quote(c.name)
		switch {
		case everywhere:
			sets += fmt.Sprintf("%s = s.c%d, ", name, i)
		case somewhere:
			sets += fmt.Sprintf("%s = CASE WHEN substr(s.m, %d, 1) = '1' THEN s.c%d ELSE t.%[1]s END, ", name, i+1, i)
		}
	}
	there := ""
	if w.b.t.soft {
		there = " AND t.{deleted_at} IS NULL"
	}
	return w.sql(`UPDATE {t} AS t SET {sets}`+setVersion+` FROM {s} AS s
		WHERE t.{key} = s.k AND s.g = -1 AND `+notNewer+there, "{sets}", sets)
}

const setVersion = `{version} = CASE WHEN s.v = 0 THEN t.{version} ELSE s.v END, {synced_at} = {now}`

// delete removes rows or marks them.
func (w *write) delete() string {
	if w.b.t.soft {
		return w.sql(`UPDATE {t} AS t SET {deleted_at} = coalesce(t.{deleted_at}, {now}), ` + setVersion + ` FROM {s} AS s
			WHERE t.{key} = s.k AND s.g = -2 AND ` + notNewer)
	}
	return w.sql(`DELETE FROM {t} AS t WHERE t.{key} IN (SELECT k FROM {s} WHERE g = -2)
		AND EXISTS (SELECT 1 FROM {s} AS s WHERE s.k = t.{key} AND s.g = -2 AND ` + notNewer + `)`)
}

// bury remembers the versions of rows that are about to be deleted, so that an
// older write does not make them again.
func (w *write) bury() string {
	return w.sql(`INSERT INTO {d} AS d (table_name, external_id, version, deleted_at)
		SELECT {name}, s.k, CASE WHEN s.v = 0 THEN coalesce(t.{version}, 0) ELSE s.v END, {now}
		FROM {s} AS s LEFT JOIN {t} AS t ON t.{key} = s.k
		WHERE s.g = -2 AND ` + notNewer + ` AND (s.v > 0 OR t.{key} IS NOT NULL)
		ON CONFLICT (table_name, external_id) DO UPDATE SET deleted_at = excluded.deleted_at,
			version = CASE WHEN d.version > excluded.version THEN d.version ELSE excluded.version END`)
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

// writeLists replaces the elements of the lists that the rows set, removes
// those of rows that are no more, and forgets old deletes.
func (w *write) writeLists(ctx context.Context) error {
	var statements []string
	for i, child := range w.b.lists {
		names, values := "", ""
		for n, name := range child.names() {
			names += ", " + w.dialect.quote(name)
			values += fmt.Sprintf(", l.c%d", n)
		}
		fill := []string{"{list}", w.dialect.place(child.place), "{l}", w.dialect.quote(w.lists[i].name), "{position}", w.dialect.quote(position),
			"{names}", names, "{values}", values, "{mark}", strconv.Itoa(len(w.b.columns) + i + 1)}
		statements = append(statements, w.sql(`DELETE FROM {list} WHERE {key} IN (SELECT k FROM {s} WHERE g >= -1 AND substr(m, {mark}, 1) = '1')`, fill...))
		if len(w.lists[i].rows) > 0 {
			statements = append(statements, w.sql(`INSERT INTO {list} ({key}, {position}{names}) SELECT s.k, l.p{values} FROM {l} AS l JOIN {s} AS s ON s.n = l.n`, fill...))
		}
	}
	if !w.b.t.soft && slices.ContainsFunc(w.b.rows, func(r *row) bool { return r.action == connector.Delete }) {
		for _, child := range w.b.t.lists() {
			statements = append(statements, w.sql(`DELETE FROM {list} WHERE {key} IN (SELECT k FROM {s} WHERE g = -2)`, "{list}", w.dialect.place(child.place)))
		}
		statements = append(statements, w.sql(`DELETE FROM {d} WHERE table_name = {name} AND deleted_at < `+w.dialect.ago(w.config.Remember)))
	}
	for _, statement := range statements {
		if _, err := w.exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// conclude puts the refusals into the results once the rest is committed.
func (w *write) conclude() {
	for r, err := range w.refused {
		w.b.results[r.at].Err = err
	}
}

// name tells which record and field an error of loading a stage is about.
func (w *write) name(s *stage, err error) error {
	var one *rowError
	if !errors.As(err, &one) || one.row >= len(s.rows) {
		return err
	}
	n, convErr := strconv.Atoi(s.rows[one.row][0].text)
	e, _ := w.dialect.judge(one.err)
	if convErr != nil || e == nil || e.Kind != connector.Rejected {
		return one.err
	}
	field := ""
	for i, c := range s.columns {
		if c.name != one.column {
			continue
		}
		for l := range w.lists {
			if w.lists[l] == s && i >= 2 {
				field = w.b.lists[l].field + "." + w.b.lists[l].names()[i-2]
			}
		}
		if s == w.stage && i >= 5 {
			field = w.b.columns[i-5].name
		}
	}
	if field != "" {
		e.Message = "field " + field + ": " + e.Message
	}
	return &blame{row: w.b.rows[n], err: e}
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
