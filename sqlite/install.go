package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Install makes the triggers be exactly what the shapes need and records the
// plan, in one transaction. A table that can't have its triggers keeps those
// that it has, and no other from having them.
// It implements [store.Capture].
func (d *DB) Install(ctx context.Context, shapes []*store.Shape, plan, replaces string) error {
	for _, f := range unfit(shapes) {
		return fmt.Errorf("sync %q: %s: %s", f.Subject, f.Message, f.Fix)
	}
	const what = "install triggers"
	var lacking map[string]error
	err := d.update(ctx, what, func(tx *sql.Tx) error {
		if installed, err := installedPlan(ctx, tx); err != nil || replaces != "" && installed != replaces && installed != plan {
			return cmp.Or(err, store.ErrPlan)
		}
		if err := d.tidyCommands(ctx, tx, shapes); err != nil {
			return err
		}
		want, not, err := wanted(ctx, tx, shapes)
		if err != nil {
			return err
		}
		lacking = not
		have, err := triggers(ctx, tx)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(have)) {
			if w := want[name].sql; w != have[name].sql && (w != "" || len(not) == 0) {
				if _, err := tx.ExecContext(ctx, `DROP TRIGGER main.`+ident(name)); err != nil {
					return err
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if want[name].sql == have[name].sql {
				continue
			}
			if _, err := tx.ExecContext(ctx, want[name].sql); err != nil {
				return fmt.Errorf("table %s: %w", want[name].table, err)
			}
		}
		for _, s := range shapes {
			key, err := json.Marshal(s.RootKey())
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO upkeep_syncs (sync, root_key) VALUES (?1, ?2)
				ON CONFLICT (sync) DO UPDATE SET root_key = excluded.root_key WHERE root_key IS NOT excluded.root_key`, s.Sync, string(key)); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO upkeep_settings (name, value) VALUES ('plan', ?1)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value <> excluded.value`, plan)
		return err
	})
	if err != nil || len(lacking) == 0 {
		return err
	}
	return explain(what, unwatched(lacking))
}

// unwatched is one error of all that lack something, by name.
func unwatched(lacking map[string]error) error {
	var errs []error
	for _, table := range slices.Sorted(maps.Keys(lacking)) {
		errs = append(errs, lacking[table])
	}
	return errors.Join(errs...)
}

// trigger is one trigger in the database.
type trigger struct{ table, sql string }

// triggers are the triggers of Upkeep that are installed, by name.
func triggers(ctx context.Context, tx *sql.Tx) (map[string]trigger, error) {
	rows, err := tx.QueryContext(ctx, `SELECT name, tbl_name, sql FROM main.sqlite_schema WHERE type = 'trigger' AND name GLOB 'upkeep_*'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]trigger{}
	for rows.Next() {
		var name string
		var t trigger
		if err := rows.Scan(&name, &t.table, &t.sql); err != nil {
			return nil, err
		}
		all[name] = t
	}
	return all, rows.Err()
}

// wanted are the triggers that the shapes need, by name, and the tables that
// can't have theirs. SQLite would make a trigger that names a column which is
// not there, and then refuse the application's writes.
func wanted(ctx context.Context, tx *sql.Tx, shapes []*store.Shape) (all map[string]trigger, lacking map[string]error, err error) {
	all, lacking = map[string]trigger{}, map[string]error{}
	for _, w := range watchedTables(shapes) {
		info, err := describe(ctx, tx, store.Table{Name: w.table})
		if err == nil {
			err = w.lacks(info)
		}
		if errors.Is(err, store.ErrNoTable) || errors.Is(err, errNoColumn) {
			lacking[w.table] = err
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if len(info.Key) == 1 {
			if c, _ := info.Column(info.Key[0]); c.Type == "INTEGER" {
				w.ints[c.Name] = true
			}
		}
		if w.unique, err = uniques(ctx, tx, info); err != nil {
			return nil, nil, err
		}
		for name, text := range w.triggers() {
			all[name] = trigger{info.Name, text}
		}
	}
	return all, lacking, nil
}

// errNoColumn: a table lacks a column that is watched.
var errNoColumn = errors.New("no such column")

// lacks is the error of a table without a column that its triggers would name.
func (w *watched) lacks(info *store.TableInfo) error {
	for _, name := range slices.Concat(w.key, w.cols, w.logged) {
		if !slices.ContainsFunc(info.Columns, func(c store.Column) bool { return strings.EqualFold(c.Name, name) }) {
			return fmt.Errorf("table %s can't have its triggers: %w: %s", info.Table, errNoColumn, name)
		}
	}
	return nil
}

// uniques are the primary key and the unique indexes of a table.
func uniques(ctx context.Context, tx *sql.Tx, info *store.TableInfo) ([]unique, error) {
	rows, err := tx.QueryContext(ctx, `SELECT l.name, l.partial, coalesce(i.name, ''), i.coll
		FROM pragma_index_list(?1, 'main') AS l, pragma_index_xinfo(l.name, 'main') AS i
		WHERE l."unique" AND i.key ORDER BY l.name, i.seqno`, info.Name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []unique
	last := ""
	for rows.Next() {
		var index, column, collate string
		var partial bool
		if err := rows.Scan(&index, &partial, &column, &collate); err != nil {
			return nil, err
		}
		if index != last {
			all = append(all, unique{whole: !partial})
			last = index
		}
		u := &all[len(all)-1]
		if column == "" { // an expression
			u.whole = false
			continue
		}
		u.cols, u.collate = append(u.cols, column), append(u.collate, collate)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(u unique) bool { return len(u.cols) == 0 })
	hasKey := slices.ContainsFunc(all, func(u unique) bool { return slices.Equal(u.cols, info.Key) })
	if len(info.Key) == 1 && !hasKey { // INTEGER PRIMARY KEY has no index of its own
		all = append(all, unique{cols: info.Key, collate: []string{"BINARY"}, whole: true})
	}
	sort.SliceStable(all, func(i, j int) bool { return slices.Compare(all[i].cols, all[j].cols) < 0 })
	return all, nil
}

// Inspect compares the triggers in the database with what the shapes need.
// It implements [store.Capture].
func (d *DB) Inspect(ctx context.Context, shapes []*store.Shape) ([]store.Finding, error) {
	var found []store.Finding
	err := d.view(ctx, "inspect triggers", func(tx *sql.Tx) error {
		found = nil
		want, lacking, err := wanted(ctx, tx, shapes)
		if err != nil {
			return err
		}
		if len(lacking) > 0 {
			found = append(found, store.Finding{Severity: store.Problem, Subject: "tables", Message: unwatched(lacking).Error(),
				Fix: "correct the configuration, or bring the table back as it was"})
		}
		have, err := triggers(ctx, tx)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			w, h := want[name], have[name]
			switch {
			case h.sql == "":
				found = append(found, problem(w.table, "trigger "+name+" is missing: changes of this table are not seen"))
			case h.sql != w.sql:
				found = append(found, problem(w.table, "trigger "+name+" is not as it was installed"))
			}
		}
		return nil
	})
	return found, err
}

func problem(table, message string) store.Finding {
	return store.Finding{Severity: store.Problem, Subject: table, Message: message,
		Fix: "a running worker puts the trigger back and sweeps; or run: upkeep apply"}
}

// installedPlan is the registry's plan.
func installedPlan(ctx context.Context, tx *sql.Tx) (plan string, err error) {
	err = tx.QueryRowContext(ctx, "SELECT coalesce(max(value), '') FROM upkeep_settings WHERE name = 'plan'").Scan(&plan)
	return plan, err
}
