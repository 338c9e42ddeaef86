package postgres

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// fanOut is the most groups of one sync that one changed row may lead to in
// the ordered lane. More would be read at the application's commit: they are a
// gap instead, and the state lane brings them up to date.
const fanOut = 1000

// longestKey is how many bytes a key of the ordered lane may have. An index takes
// no row of much more than 2,600, and who meets that is the application.
const longestKey = 2000

// orderedWatches are the watches of the ordered lane: of the tables of those
// syncs that deliver every version.
func orderedWatches(shapes []*store.Shape) []*watch {
	var every []*store.Shape
	for _, s := range shapes {
		if s.Every && !s.ByHand {
			every = append(every, s)
		}
	}
	all := tableWatches(every)
	for _, w := range all {
		for _, s := range every {
			in := false
			s.Root.Walk(func(_ string, m, _ *store.Member) { in = in || m.Table == w.table })
			if in {
				w.ordered = append(w.ordered, s)
			}
		}
		slices.SortFunc(w.ordered, func(a, b *store.Shape) int { return cmp.Compare(a.Sync, b.Sync) })
	}
	return all
}

// commandBody is the body of a table's trigger function in the ordered lane.
// It finds the groups of the changed row, before and after, by the declared
// path, and notes them for the commit. It must never fail, and so it reads nothing
// in a serializable transaction: what has its pages in common with others of them,
// ours or the user's, may be what one of them fails for, at its commit.
func (w *watch) commandBody() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	syncs := make([]string, len(w.ordered))
	for i, s := range w.ordered {
		syncs[i] = literal(s.Sync)
	}
	these := "unnest(ARRAY[" + strings.Join(syncs, ", ") + "]) s"
	gap := func(reason string) {
		p("INSERT INTO upkeep.command_gaps (sync, reason) SELECT s, %s FROM %s;\n", reason, these)
	}
	p("\n#variable_conflict use_column\nDECLARE\n    groups jsonb := '[]';\n    hits jsonb;\n    failed text;\n    patient boolean := current_setting('lock_timeout') = '0';\nBEGIN\n")
	// A setting ends with the transaction, and with a savepoint that takes its gap back.
	told, locked := literal("upkeep.told_"+w.id()), literal("upkeep.locked_"+w.id())
	p("    IF current_setting('transaction_isolation') = 'serializable' THEN\n")
	p("        IF current_setting(%s, true) IS DISTINCT FROM 'yes' THEN\n            PERFORM set_config(%s, 'yes', true);\n            ", told, told)
	gap(literal("a SERIALIZABLE transaction changed " + w.name() + ", and to read the version could have failed it"))
	p("        END IF;\n        RETURN NULL;\n    END IF;\n")
	p("    IF TG_OP = 'TRUNCATE' THEN\n        ")
	gap(literal(w.name() + " was truncated"))
	// What was read before the commit (of immediate constraints) had the rows yet.
	p("        DELETE FROM upkeep.commands c USING %s WHERE c.xid = pg_current_xact_id() AND c.sync = s;\n", these)
	p("        RETURN NULL;\n    END IF;\n")
	if w.leadsThroughOthers() { // the gap of the row that waited tells of the rest, too
		p("    IF current_setting(%s, true) = 'yes' THEN\n        RETURN NULL;\n    END IF;\n", locked)
	}
	p("    BEGIN\n")
	// A migration may hold one of the tables between the row and its groups.
	wait := func(most string) {
		p("        IF patient THEN PERFORM set_config('lock_timeout', %s, true); END IF;\n", literal(most))
	}
	if w.leadsThroughOthers() {
		wait(commitPatience)
	}
	for _, s := range w.ordered {
		s.Root.Walk(func(path string, m, _ *store.Member) {
			if m.Table == w.table {
				w.findGroups(&b, s, path, m)
			}
		})
	}
	if w.leadsThroughOthers() {
		wait("0")
	}
	p("    EXCEPTION WHEN OTHERS THEN\n        failed := SQLSTATE; groups := '[]';\n    END;\n")
	p("    IF failed IS NOT NULL THEN\n        ")
	gap("'the groups of a row of ' || " + literal(w.name()) + " || ' could not be found: SQLSTATE ' || failed")
	if w.leadsThroughOthers() {
		p("        IF failed = '55P03' THEN\n            PERFORM set_config(%s, 'yes', true);\n        END IF;\n", locked)
	}
	p("    END IF;\n")
	p(`    IF groups <> '[]' THEN
        INSERT INTO upkeep.command_gaps (sync, reason)
        SELECT DISTINCT g->>0, 'a row of ' || %s || CASE WHEN jsonb_array_length(g) = 1 THEN ' belongs to more than %d groups'
            ELSE ' belongs to a group whose key is longer than %d bytes' END
        FROM jsonb_array_elements(groups) g WHERE jsonb_array_length(g) = 1 OR octet_length(g->>1) > %[3]d;
        INSERT INTO upkeep.command_pending AS p (sync, key, root, gone)
        SELECT g->>0, g->>1, (array_agg(g->2))[1], bool_or((g->3)::boolean)
        FROM jsonb_array_elements(groups) g WHERE octet_length(g->>1) <= %[3]d GROUP BY 1, 2
        ON CONFLICT (xid, sync, key) DO UPDATE SET gone = true WHERE excluded.gone AND NOT p.gone;
    END IF;
    RETURN NULL;
END
`, literal(w.name()), fanOut, longestKey)
	return b.String()
}

// leadsThroughOthers: the way from a row to its groups reads other tables.
func (w *watch) leadsThroughOthers() bool {
	through := false
	for _, s := range w.ordered {
		s.Root.Walk(func(path string, m, _ *store.Member) { through = through || m.Table == w.table && path != "" })
	}
	return through
}

// findGroups adds the groups that the row, as a row of the member at path,
// belongs to, or belonged to, to the variable groups: [sync, key, root, gone]
// of each, or [sync] alone if they are too many.
func (w *watch) findGroups(b *strings.Builder, s *store.Shape, path string, m *store.Member) {
	up, chain := upward(m), chainTo(s.Root, path)
	from, _ := hops(chain)
	key, root := keyText("", s.Root.Key), image("t0", s.Root.Key)
	if len(chain) == 1 {
		key, root = keyText("h.k", s.Root.Key), keyImage(s.Root.Key)
	}
	query := func(record string, gone bool) string {
		columns, known := make([]string, len(up)), make([]string, len(up))
		for i, c := range up {
			columns[i] = fmt.Sprintf("%s.%s AS k%d", record, quote(c.Name), i)
			known[i] = fmt.Sprintf("h.k%d IS NOT NULL", i)
		}
		return fmt.Sprintf(`            SELECT coalesce(jsonb_agg(jsonb_build_array(%s, q.key, q.root, %t)), '[]') INTO hits FROM (
                SELECT DISTINCT (%s) COLLATE "C" AS key, %s AS root
                FROM (SELECT %s) h%s WHERE %s LIMIT %d) q;
            groups := groups || CASE WHEN jsonb_array_length(hits) > %d THEN jsonb_build_array(jsonb_build_array(%s)) ELSE hits END;
`, literal(s.Sync), gone, key, root, strings.Join(columns, ", "), from, strings.Join(known, " AND "), fanOut+1, fanOut, literal(s.Sync))
	}
	isRoot := len(chain) == 1
	fmt.Fprintf(b, "        IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND (%s)) THEN\n%s        END IF;\n",
		differ(up), query("OLD", isRoot))
	fmt.Fprintf(b, "        IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND (%s)) THEN\n%s        END IF;\n",
		differ(uses(m)), query("NEW", false))
}

// keyImage is [image] of the columns h.k0, h.k1, ...
func keyImage(key []store.Column) string {
	parts := make([]string, len(key))
	for i, c := range key {
		parts[i] = fmt.Sprintf("%s, h.k%d", literal(c.Name), i)
	}
	return "jsonb_build_object(" + strings.Join(parts, ", ") + ")"
}

// createCommandFunction makes the trigger function of a table in the ordered
// lane.
func createCommandFunction(ctx context.Context, c *pgxpool.Conn, w *watch) error {
	open, err := looksUpNames(ctx, c, w.ordered)
	if err != nil {
		return err
	}
	return replaceFunction(ctx, c, laneFunction{name: w.functionName(), body: w.body(), open: open,
		options: "RETURNS trigger VOLATILE SECURITY DEFINER SET row_security = off SET enable_seqscan = off SET jit = off" + w.settings()})
}

// createComposers makes the functions that read composites. They are called by
// commit_commands, whose settings and rights they have.
func createComposers(ctx context.Context, c *pgxpool.Conn, shapes []*store.Shape) error {
	for _, s := range shapes {
		if !s.Every {
			continue
		}
		open, err := looksUpNames(ctx, c, []*store.Shape{s})
		if err != nil {
			return err
		}
		if err := replaceFunction(ctx, c, laneFunction{name: composeName(s.Sync), args: "jsonb", body: composeBody(s), open: open,
			options: "RETURNS jsonb STABLE SET lock_timeout = '" + commitPatience + "'"}); err != nil {
			return fmt.Errorf("create the function that reads composites of %q: %w", s.Sync, err)
		}
	}
	return nil
}

// commitPatience is how long what reads a version may wait for a lock of one of
// its tables: the application's commit waits with it. A migration may hold one.
const commitPatience = "500ms"

// laneFunction is one of the ordered lane, which runs with Upkeep's rights.
type laneFunction struct {
	name, args, options, body string
	open                      bool // it looks names up that may be anywhere in the search path
}

// replaceFunction makes a function, unless it is there with this body and this
// search path. It resolves names and operators as the loader does, in the
// search path of the connection that installs it; temporary tables come last. A
// schema in which everyone may create functions and operators is left out, unless
// the function needs names that may be there: then [openFindings] warns of it.
func replaceFunction(ctx context.Context, c *pgxpool.Conn, f laneFunction) error {
	var path string
	err := c.QueryRow(ctx, `SELECT 'pg_catalog, ' || coalesce(string_agg(pg_catalog.quote_ident(s), ', ' ORDER BY n) || ', ', '') || 'pg_temp'
		FROM unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS x(s, n)
		WHERE s NOT IN ('pg_catalog', 'upkeep') AND s NOT LIKE 'pg\_temp%' AND ($1 OR NOT `+openSchema+`)`, f.open).Scan(&path)
	if err != nil {
		return err
	}
	var there bool
	err = c.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_proc
		WHERE pronamespace = 'upkeep'::pg_catalog.regnamespace AND proname = $1 AND prosrc = $2
		AND replace('search_path=' || $3, '"', '') = ANY (SELECT replace(p, '"', '') FROM unnest(proconfig) p))`, f.name, f.body, path).Scan(&there)
	if err != nil || there {
		return err
	}
	tag := "$upkeep_" + f.name + "$"
	return pgx.BeginTxFunc(ctx, c, plain, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "CREATE OR REPLACE FUNCTION "+quote("upkeep", f.name)+"("+f.args+") "+f.options+
			" LANGUAGE plpgsql SET search_path = "+path+" AS "+tag+f.body+tag)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "REVOKE ALL ON FUNCTION "+quote("upkeep", f.name)+"("+f.args+") FROM PUBLIC")
		return err
	})
}

// composeName is the name of the function that reads a sync's composites. The
// function commit_commands makes the same of a sync's name.
func composeName(sync string) string {
	h := sha256.Sum256([]byte(sync))
	return "compose_" + hex.EncodeToString(h[:5])
}

// tidyCommands removes what no sync needs that delivers every version now: the
// functions that read composites, and commands that nobody will deliver, which
// leave a gap.
func tidyCommands(ctx context.Context, c *pgxpool.Conn, shapes []*store.Shape) error {
	var every, keep []string
	for _, s := range shapes {
		if s.Every {
			every, keep = append(every, s.Sync), append(keep, composeName(s.Sync))
		}
	}
	_, err := c.Exec(ctx, `WITH dropped AS (DELETE FROM upkeep.commands WHERE NOT sync = ANY (coalesce($1::text[], '{}')) RETURNING sync, key)
		INSERT INTO upkeep.command_gaps (sync, key, reason)
		SELECT sync, key, count(*) || ' commands waited when the sync was changed to deliver the latest version only' FROM dropped GROUP BY 1, 2`, every)
	if err != nil {
		return err
	}
	rows, err := c.Query(ctx, `SELECT proname FROM pg_catalog.pg_proc
		WHERE pronamespace = 'upkeep'::pg_catalog.regnamespace AND proname LIKE 'compose\_%'
		AND NOT proname = ANY (coalesce($1::text[], '{}'))`, keep)
	if err != nil {
		return err
	}
	functions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, f := range functions {
		if _, err := c.Exec(ctx, "DROP FUNCTION "+quote("upkeep", f)+"(jsonb)"); err != nil {
			return fmt.Errorf("drop a function that is not needed any more: %w", err)
		}
	}
	return nil
}

// noteCommandGap says that commands may be missing, when a table's triggers
// had been in place and were not now.
func noteCommandGap(ctx context.Context, tx pgx.Tx, w *watch, gap bool) error {
	syncs := make([]string, len(w.ordered))
	for i, s := range w.ordered {
		syncs[i] = s.Sync
	}
	_, err := tx.Exec(ctx, `
		WITH known AS (INSERT INTO upkeep.watched (tbl) VALUES ($1) ON CONFLICT DO NOTHING RETURNING tbl)
		INSERT INTO upkeep.command_gaps (sync, reason)
		SELECT s, $2 FROM unnest($3::text[]) s WHERE $4 AND NOT EXISTS (SELECT FROM known)`,
		w.mark(), "the triggers on "+w.name()+" were away until now", syncs, gap)
	return err
}
