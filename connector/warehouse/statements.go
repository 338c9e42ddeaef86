package warehouse

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
)

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

// notNewer lets a write pass that is not older than the row. A write without a
// version is for tests and tools: it always passes.
const notNewer = `(s.v = 0 OR coalesce(t.{version}, 0) <= s.v)`

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
