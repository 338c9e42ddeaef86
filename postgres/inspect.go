package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// fault is something about a table's triggers that is not as it is to be.
type fault struct {
	table   string // quoted
	message string
	gap     bool // changes may have gone unseen
	young   bool // it is a partition that is new; then gap is to be found out: see [unwritten]
	mend    func(context.Context, pgx.Tx) error

	relation store.Table
	oid      uint32
	trigger  string
	action   string // what mend does, in the words of [store.TriggerChange]
}

// relation is a table that has to have our triggers: the watched one, a
// partition of it, or a plain inheritance child.
type relation struct {
	oid       uint32
	table     string // quoted
	name      store.Table
	partition bool
	columns   []string
	triggers  map[string]state
}

// state is a trigger as the catalogue has it.
type state struct {
	hash    string
	enabled string
	clone   bool
	columns []string // that its condition reads, by their names today, sorted
}

// Inspect implements [store.Capture]. In one snapshot, a table whose triggers a
// migration took away is known to be released, or its triggers are there.
func (db *DB) Inspect(ctx context.Context, shapes []*store.Shape) ([]store.Finding, error) {
	var found []store.Finding
	err := pgx.BeginTxFunc(ctx, db.pool, still, func(tx pgx.Tx) error {
		for _, w := range watches(shapes) {
			faults, err := inspectTable(ctx, tx, w)
			if err == nil && len(faults) > 0 {
				var away bool
				if away, err = released(ctx, tx, w); away {
					faults = nil
					found = append(found, store.Finding{Severity: store.Note, Subject: w.name(), Message: store.ReleasedTable,
						Fix: "a running worker puts them back within a second, and looks at every group of the table; or run: upkeep apply"})
				}
			}
			if errors.Is(err, store.ErrNoTable) {
				faults, err = []fault{{table: quoteTable(w.table), message: "the table is gone"}}, nil
			}
			if err != nil {
				return fmt.Errorf("inspect triggers of %s: %w", w.name(), err)
			}
			for _, f := range faults {
				found = append(found, f.finding())
			}
			_, same, err := function(ctx, tx, w.functionName(), w.body())
			if err != nil {
				return err
			}
			if !same {
				found = append(found, store.Finding{Severity: store.Problem, Subject: quoteTable(w.table),
					Message: "the trigger function is missing or was altered", Fix: "run: upkeep apply"})
			}
		}
		for _, s := range shapes {
			if !s.Every {
				continue
			}
			_, same, err := function(ctx, tx, composeName(s.Sync), composeBody(s))
			if err != nil {
				return err
			}
			if !same {
				found = append(found, store.Finding{Severity: store.Problem, Subject: s.Sync,
					Message: "the function " + quote("upkeep", composeName(s.Sync)) + ", which reads each version of a group, is missing or was altered: versions are lost, or not what they were",
					Fix:     "a running worker puts it back; or run: upkeep apply"})
			}
		}
		return nil
	})
	return found, installed(err)
}

// released says whether a migration has released the table and nobody has put its
// triggers back: the log asks for the sweep, once they are.
func released(ctx context.Context, tx pgx.Tx, w *watch) (is bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM upkeep.touch WHERE tbl = $1 AND op = 'release')
		AND NOT EXISTS (SELECT FROM upkeep.watched WHERE tbl = $1)`, w.name()).Scan(&is)
	return is, err
}

// finding is the fault for people. A partition that is new is none of the
// application's doing against us.
func (f fault) finding() store.Finding {
	if f.young {
		return store.Finding{Severity: store.Note, Subject: f.table, Message: "the partition is new: " + f.message,
			Fix: "a running worker completes it within a minute; or run: upkeep apply"}
	}
	return store.Finding{Severity: store.Problem, Subject: f.table, Message: f.message,
		Fix: "a running worker puts the triggers back and sweeps; or run: upkeep apply"}
}

// function says whether one of ours is there, and whether it has this body.
func function(ctx context.Context, tx pgx.Tx, name, body string) (there, same bool, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) > 0, coalesce(bool_or(prosrc = $2), false) FROM pg_catalog.pg_proc
		WHERE pronamespace = to_regnamespace('upkeep') AND proname = $1`, name, body).Scan(&there, &same)
	return there, same, err
}

// inspectTable compares the triggers of a table and its descendants with what
// they are to be.
func inspectTable(ctx context.Context, tx pgx.Tx, w *watch) ([]fault, error) {
	relations, err := descendants(ctx, tx, w)
	if err != nil {
		return nil, err
	}
	rows, truncate := w.triggers()
	var faults []fault
	for _, r := range relations {
		// PostgreSQL puts the row triggers on a new partition, and not this one.
		_, old := r.triggers[truncate.name]
		young := r.partition && !old
		for _, t := range rows {
			if r.partition {
				// The parent's trigger makes and drops the clone; only its
				// being enabled is the partition's own.
				if s, ok := r.triggers[t.name]; ok && s.clone && s.enabled != "A" {
					f := r.fault(t, " is not enabled always", s.enabled != "O", "enable", enable(r, t))
					f.young = young && !f.gap
					faults = append(faults, f)
				}
				young = young && r.triggers[t.name].clone
				continue
			}
			faults = append(faults, check(r, t)...)
		}
		for _, f := range check(r, truncate) {
			f.young = young
			faults = append(faults, f)
		}
	}
	return faults, nil
}

// fault is one of a trigger on r.
func (r relation) fault(t *trigger, what string, gap bool, action string, mend func(context.Context, pgx.Tx) error) fault {
	return fault{table: r.table, message: "trigger " + t.name + what, gap: gap, mend: mend, relation: r.name, oid: r.oid, trigger: t.name, action: action}
}

// check compares one trigger of one table.
func check(r relation, t *trigger) []fault {
	s, ok := r.triggers[t.name]
	switch {
	case !ok:
		return []fault{r.fault(t, " is missing", true, "create", create(r, t, false))}
	case s.hash != t.hash:
		return []fault{r.fault(t, " is not as this configuration needs it", false, "replace", create(r, t, true))}
	case r.elsewhere(t, s):
		return []fault{r.fault(t, " watches a column that was renamed, and another one has its name now", true, "replace", create(r, t, true))}
	case s.enabled != "A":
		what := " is disabled"
		if s.enabled != "D" {
			what = " does not fire always: it was enabled without ALWAYS"
		}
		return []fault{r.fault(t, what, true, "enable", enable(r, t))}
	}
	return nil
}

// unwritten says whether a partition that is new has never had a row that its
// own triggers did not see, once it is locked: nothing is in its file, which is the
// one that it was made with, and no TRUNCATE gave it another.
func (f fault) unwritten(ctx context.Context, tx pgx.Tx) (yes bool, err error) {
	err = tx.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_partition_tree($1::oid::regclass) p
			JOIN pg_catalog.pg_class c ON c.oid = p.relid
			WHERE c.relkind <> 'p' AND (c.relfilenode <> c.oid OR pg_catalog.pg_relation_size(c.oid) > 0))`, f.oid).Scan(&yes)
	return yes, err
}

// elsewhere says whether a trigger reads other columns than it was made for,
// though the table has all of these: a trigger follows a column that is renamed,
// and not its name. Where a name is gone the mapping does not fit, and says so.
func (r relation) elsewhere(t *trigger, s state) bool {
	missing := func(column string) bool { return !slices.Contains(r.columns, column) }
	return t.columns != nil && !slices.Equal(s.columns, t.columns) && !slices.ContainsFunc(t.columns, missing)
}

func create(r relation, t *trigger, replace bool) func(context.Context, pgx.Tx) error {
	return func(ctx context.Context, tx pgx.Tx) error {
		statements := []string{
			fmt.Sprintf(t.sql, r.table),
			"COMMENT ON TRIGGER " + quote(t.name) + " ON " + r.table + " IS " + literal(t.comment()),
			"ALTER TABLE " + r.table + " ENABLE ALWAYS TRIGGER " + quote(t.name),
		}
		if replace {
			statements = append([]string{"DROP TRIGGER " + quote(t.name) + " ON " + r.table}, statements...)
		}
		for _, sql := range statements {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return enableClones(ctx, tx, r, t)
	}
}

// enableClones does for the partitions what some versions of ALTER TABLE ...
// ENABLE ALWAYS TRIGGER leave out.
func enableClones(ctx context.Context, tx pgx.Tx, r relation, t *trigger) error {
	rows, err := tx.Query(ctx, `SELECT n.nspname, c.relname
		FROM pg_catalog.pg_partition_tree($1::oid::regclass) p JOIN pg_catalog.pg_class c ON c.oid = p.relid
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_trigger g ON g.tgrelid = c.oid AND g.tgname = $2
		WHERE c.oid <> $1 AND g.tgparentid <> 0 AND g.tgenabled <> 'A'`, r.oid, t.name)
	if err != nil {
		return err
	}
	var schema, table string
	var behind []relation
	_, err = pgx.ForEachRow(rows, []any{&schema, &table}, func() error {
		behind = append(behind, relation{table: quote(schema, table)})
		return nil
	})
	if err != nil {
		return err
	}
	for _, b := range behind {
		if err := enable(b, t)(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

func enable(r relation, t *trigger) func(context.Context, pgx.Tx) error {
	return func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "ALTER TABLE "+r.table+" ENABLE ALWAYS TRIGGER "+quote(t.name))
		return err
	}
}

// descendants are the watched table itself, its partitions and inheritance
// children at every depth, with our triggers on them. A parent comes before its
// children, which is the order in which the application locks them too.
func descendants(ctx context.Context, tx pgx.Tx, w *watch) ([]relation, error) {
	rows, err := tx.Query(ctx, `
		WITH RECURSIVE found(oid, partition, depth) AS (
			SELECT to_regclass($1)::oid, false, 0 WHERE to_regclass($1) IS NOT NULL
			UNION
			SELECT i.inhrelid, c.relispartition, found.depth + 1
			FROM pg_catalog.pg_inherits i JOIN found ON i.inhparent = found.oid
			JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
			WHERE c.relkind IN ('r', 'p')),
		tree AS (SELECT oid, partition, max(depth) AS depth FROM found GROUP BY oid, partition)
		SELECT tree.oid, n.nspname, c.relname, tree.partition, coalesce(g.tgname, ''),
			coalesce(substring(obj_description(g.oid, 'pg_trigger') FROM '\[([0-9a-f]+)\]$'), ''),
			coalesce(g.tgenabled::text, ''), coalesce(g.tgparentid <> 0, false),
			ARRAY(SELECT attname::text FROM pg_catalog.pg_attribute
				WHERE attrelid = tree.oid AND attnum > 0 AND NOT attisdropped),
			ARRAY(SELECT DISTINCT a.attname::text COLLATE "C" FROM pg_catalog.pg_depend d
				JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
				WHERE d.classid = 'pg_catalog.pg_trigger'::regclass AND d.objid = g.oid
				AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = tree.oid AND d.refobjsubid > 0
				ORDER BY 1)
		FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_catalog.pg_trigger g ON g.tgrelid = tree.oid
			AND g.tgfoid = to_regprocedure($2)
		ORDER BY tree.depth, tree.oid`, quoteTable(w.table), w.function()+"()")
	if err != nil {
		return nil, err
	}
	var all []relation
	var r relation
	var schema, table, name string
	var s state
	_, err = pgx.ForEachRow(rows, []any{&r.oid, &schema, &table, &r.partition, &name, &s.hash, &s.enabled, &s.clone, &r.columns, &s.columns}, func() error {
		if len(all) == 0 || all[len(all)-1].oid != r.oid {
			all = append(all, relation{r.oid, quote(schema, table), store.Table{Schema: schema, Name: table}, r.partition, r.columns, map[string]state{}})
		}
		if name = strings.TrimSpace(name); name != "" {
			all[len(all)-1].triggers[name] = s
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: %s", store.ErrNoTable, w.name())
	}
	return all, nil
}
