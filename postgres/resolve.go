package postgres

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// raising is the end of every statement that raises groups. It takes rows
// (sync, key, forced_generation, deleted_generation, due_at, backfill, cause,
// touched_at, dirty_since) of new groups, in the order (sync, key) so that two
// statements take their locks in one order. A group that is there already is
// raised; that wakes it if it was clean, parked or waiting, and leaves its
// next time alone if it was dirty: a touch must not defeat a backoff. A
// deleted_generation of 1 is an observed delete of the root row, -1 an insert;
// less says that the row is back since the delete of generation -1 - it. What was
// parked, or is woken by what it waited for, is late from now on; what waited and
// was touched may wait on, and keeps its age.
const raising = `
	ON CONFLICT (sync, key) DO UPDATE SET
		generation = g.generation + 1,
		forced_generation = CASE WHEN excluded.forced_generation > 0 THEN g.generation + 1 ELSE g.forced_generation END,
		skip = CASE WHEN excluded.forced_generation = 0 THEN g.skip END,
		deleted_generation = CASE WHEN excluded.deleted_generation > 0 THEN g.generation + 1
			WHEN excluded.deleted_generation < -1 AND excluded.deleted_generation <> -1 - g.deleted_generation THEN g.deleted_generation
			WHEN excluded.deleted_generation < 0 THEN 0 ELSE g.deleted_generation END,
		due_at = CASE WHEN g.holder IS NOT NULL OR ` + queued + ` THEN g.due_at ELSE excluded.due_at END,
		backfill = excluded.backfill AND (g.backfill OR NOT (` + queued + `)),
		attempts = CASE WHEN ` + queued + ` THEN g.attempts ELSE 0 END,
		reason = CASE WHEN ` + queued + ` THEN g.reason ELSE '' END,
		parked = false, waits_for = '{}',
		cause = excluded.cause, touched_at = excluded.touched_at,
		dirty_since = CASE WHEN g.generation > g.synced_generation AND NOT g.parked AND NOT (g.waits_for <> '{}' AND (excluded.cause).op = 'reference')
			THEN g.dirty_since ELSE excluded.dirty_since END`

// queued is true of a group g that is dirty and neither parked nor waiting.
const queued = `(g.generation > g.synced_generation AND NOT g.parked AND g.waits_for = '{}')`

// origin is the id of the row t of the log, or of the one that it is the rest of.
const origin = `coalesce((t.more->>'origin')::bigint, t.id)`

// raisingInto is the beginning.
const raisingInto = `INSERT INTO upkeep.groups AS g (sync, key, forced_generation, deleted_generation, due_at, backfill,
		cause, touched_at, dirty_since)`

// causeOf is the SQL of a cause that is no row of the log.
func causeOf(op, at string) string {
	return "ROW(NULL, NULL, " + op + ", NULL, NULL, " + at + ")::upkeep.cause"
}

// resolve is the statement that finds the groups that the sources lead to, and
// raises them, with its parameters. It answers how many groups were raised, how
// many of these were dirty before, whether a key was missing in the log, and for
// each source whether it leads to more than a piece, the last key of those that
// were raised, and the long keys that would make a group and were left out. Of a
// wide source that leads to more no group is raised; nor is one, with only, whose
// key is not among these.
func resolve(s *store.Shape, sources []*source, only []string) (sql string, args []any) {
	args = []any{s.Sync}
	param := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	var ctes, found, missing, over, last []string
	var ofMembers []int64
	keys := map[string]string{}
	for i, o := range sources {
		ids, name := param(o.ids), fmt.Sprintf("found%d", i)
		all, full, end := "SELECT * FROM "+name, "false", "''"
		switch {
		case o.hand:
			ctes = append(ctes, name+` AS (
		SELECT t.key, max(t.id) AS id, max(`+origin+`) FILTER (WHERE (t.more->>'deleted')::boolean) AS gone, NULL::bigint AS came,
			bool_or(coalesce((t.more->>'register')::boolean, false)) AS there, bool_or(coalesce((t.more->>'force')::boolean, false)) AS force
		FROM upkeep.touch t WHERE t.id = ANY(`+ids+`) GROUP BY t.key)`)
		case o.member == nil:
			after := ""
			if o.cursor != "" {
				after = " AND g.key > " + param(o.cursor)
			}
			ctes = append(ctes, fmt.Sprintf(name+` AS (
		SELECT g.key, t.id, CASE WHEN %t THEN t.origin END AS gone, NULL::bigint AS came, false AS there, false AS force
		FROM (%s) g,
			(SELECT max(id) AS id, max(`+origin+`) AS origin FROM upkeep.touch t WHERE id = ANY(%s)) t)`, o.deleted, groupsAfter(s, after), ids))
			full, end = fmt.Sprintf("(SELECT count(*) = %d FROM %s)", piece, name), "coalesce((SELECT max(key) FROM "+name+"), '')"
		case o.listed:
			// A row without a group gets one by its own insert, or by the backfill.
			ctes = append(ctes, name+` AS (
		SELECT unnest(t.key::text[]) COLLATE "C" AS key, t.id, NULL::bigint AS gone, NULL::bigint AS came, false AS there, false AS force
		FROM upkeep.touch t WHERE t.id = ANY(`+ids+`))`)
			keys[o.member.Table.String()] = causeKey(o.member)
		default:
			most := ""
			if o.wide() {
				ofMembers = append(ofMembers, o.ids...)
				most = fmt.Sprintf(" LIMIT %d", piece+1)
				full = fmt.Sprintf("(SELECT count(*) > %d FROM %s)", piece, name)
				all += " WHERE NOT " + full
			}
			ctes = append(ctes, fromMember(s, o, i, ids, most)...)
			missing = append(missing, fmt.Sprintf("EXISTS (SELECT FROM log%d WHERE NOT known)", i))
			keys[o.member.Table.String()] = causeKey(o.member)
		}
		found, over, last = append(found, all), append(over, full), append(last, end)
	}
	if s.Every && len(ofMembers) > 0 {
		ctes, found = append(ctes, unfound(param(ofMembers))), append(found, "SELECT * FROM unfound")
	}
	chosen := "p.there AND " + short(s, "p.key") + " OR " + grouped("p.key") + waiting(s)
	if only != nil {
		chosen = "p.key = ANY(" + param(only) + ")"
	}
	key := "NULL"
	if len(keys) > 0 {
		key = "CASE t.tbl"
		for _, tbl := range slices.Sorted(maps.Keys(keys)) {
			key += " WHEN " + literal(tbl) + " THEN " + keys[tbl]
		}
		key += " END"
	}
	return "WITH " + strings.Join(ctes, ",\n\t") + `,
	page AS (
		SELECT key, max(id) AS id, coalesce(max(gone), 0) AS gone, coalesce(max(came), 0) AS came,
			bool_or(there) AS there, bool_or(force) AS force
		FROM (` + strings.Join(found, " UNION ALL ") + `) AS f GROUP BY key),
	clock AS MATERIALIZED (SELECT upkeep.clock() AS now),
	raised AS (
		` + raisingInto + `
		SELECT $1, p.key, p.force::int, sign(p.gone - p.came), clock.now, false,
			ROW(t.tbl, ` + key + `, t.op, t.columns, t.xid, t.at)::upkeep.cause, t.at, t.at
		FROM clock CROSS JOIN page p JOIN upkeep.touch t ON t.id = p.id
		WHERE ` + chosen + ` ORDER BY p.key` + raising + `
		RETURNING g.generation - 1 > g.synced_generation AS dirty)
	SELECT (SELECT count(*) FROM raised), (SELECT count(*) FROM raised WHERE dirty), ` + strings.Join(append(missing, "false"), " OR ") + `,
		ARRAY[` + strings.Join(over, ", ") + "], ARRAY[" + strings.Join(last, ", ") + `]::text[],
		ARRAY(SELECT p.key FROM page p WHERE p.there AND NOT ` + short(s, "p.key") + ` AND ` + grouped("p.key") + ` IS NULL)`, args
}

// waiting is true of a page's key too whose row is gone, and that has no group
// yet, if versions of it are to be delivered: those of a row that came and went
// before its first touch was folded.
func waiting(s *store.Shape) string {
	if !s.Every {
		return ""
	}
	return `
			OR (SELECT true FROM upkeep.commands c WHERE c.sync = $1 AND c.key = p.key LIMIT 1)`
}

// unfound are the groups that have versions of the same transactions as touches
// of members' rows, and that are not dirty. The trigger found them when the rows
// were changed. By now the root row may be gone, or refer to another row: another
// transaction, which did not see this one, was first. OFFSET 0 has each looked up
// by its index: the planner would else compare all versions that wait with all the
// transactions.
func unfound(ids string) string {
	return `unfound AS (
		SELECT c.key, x.id, NULL::bigint AS gone, NULL::bigint AS came, true AS there, false AS force
		FROM (SELECT t.xid, max(t.id) AS id FROM upkeep.touch t WHERE t.id = ANY(` + ids + `) GROUP BY t.xid) x
		CROSS JOIN LATERAL (SELECT c.key FROM upkeep.commands c WHERE c.xid = x.xid AND c.sync = $1 OFFSET 0) c
		LEFT JOIN LATERAL (SELECT g.generation = g.synced_generation OR g.holder IS NOT NULL AS free
			FROM upkeep.groups g WHERE g.sync = $1 AND g.key = c.key OFFSET 0) g ON true
		WHERE g.free IS NOT FALSE LIMIT ` + strconv.Itoa(piece) + `)`
}

// groupsAfter is a piece of a sync's groups, and of what will be groups since
// versions of them wait, in the order of their keys.
func groupsAfter(s *store.Shape, after string) string {
	of := func(table, distinct string) string {
		return fmt.Sprintf("SELECT g.key FROM upkeep.%s g WHERE g.sync = $1%s%s ORDER BY g.sync, g.key LIMIT %d", table, after, distinct, piece)
	}
	if !s.Every {
		return of("groups", "")
	}
	return fmt.Sprintf("(%s) UNION (%s) ORDER BY 1 LIMIT %d", of("groups", ""), of("commands", " GROUP BY g.sync, g.key"), piece)
}

// spread writes down in the log what a wide source leads to: rows with the same
// contents, each with the keys of so many groups that a Fold raises them in a
// moment. All of them are looked up here, once. Whoever comes to be one of them
// later is in the log itself.
func spread(s *store.Shape, o *source) (sql string, args []any) {
	return "WITH " + strings.Join(fromMember(s, o, 0, "$2", ""), ",\n\t") + `,
	found AS (SELECT key, max(id) AS id FROM found0 GROUP BY key),
	placed AS (SELECT id, key, (row_number() OVER (PARTITION BY id) - 1) / ` + strconv.Itoa(piece) + ` AS place FROM found),
	lists AS (SELECT id, place, count(*) AS listed, array_agg(key)::text AS keys FROM placed GROUP BY id, place)
	INSERT INTO upkeep.touch (at, xid, tbl, op, old, new, columns, sync, key, more)
	SELECT t.at, t.xid, t.tbl, t.op, t.old, t.new, t.columns, $1, l.keys,
		jsonb_build_object('path', $3::text, 'listed', l.listed, 'origin', ` + origin + `)
	FROM lists l JOIN upkeep.touch t ON t.id = l.id ORDER BY l.id, l.place`, []any{s.Sync, o.ids, o.path}
}

// fromMember resolves touches of one member's table. The first hop goes by
// the raw keys in the log, old and new: a parent that is gone or another now
// is found all the same. Further hops go by the rows as they are: had one of
// those changed, it would be in the log itself. most bounds what is found.
func fromMember(s *store.Shape, o *source, n int, ids, most string) []string {
	up := upward(o.member)
	present, typed := make([]string, len(up)), make([]string, len(up))
	notNull, groupBy := make([]string, len(up)), make([]string, len(up))
	for i, c := range up {
		present[i] = literal(c.Name)
		typed[i] = fmt.Sprintf("(r->>%s)::%s AS k%d", literal(c.Name), castType(c), i)
		notNull[i] = fmt.Sprintf("r->>%s IS NOT NULL", literal(c.Name))
		groupBy[i] = fmt.Sprint(i + 1)
	}
	chain := chainTo(s.Root, o.path)
	for _, c := range up { // a root row's text is another key where only its case is another
		if len(chain) == 1 && c.Kind == store.Text {
			groupBy = append(groupBy, fmt.Sprintf("r->>%s", literal(c.Name)))
		}
	}
	from, there := hops(chain)
	if s.ByHand || o.unseen {
		there = "false"
	}
	// Of the root row's comings and goings the last one says.
	key, moved := keyText("", s.Root.Key), "false"
	if len(chain) == 1 {
		key = keyText("h.k", s.Root.Key)
		moved = "t.op <> 'update' OR " + keyChanged(s.Root.Key)
	}
	return []string{fmt.Sprintf(`log%d AS MATERIALIZED (
		SELECT t.id, v.r, CASE WHEN %s THEN `+origin+` END AS moved, v.was, v.r ?& ARRAY[%s] AS known
		FROM upkeep.touch t CROSS JOIN LATERAL (VALUES (t.old, true), (t.new, false)) AS v(r, was)
		WHERE t.id = ANY(%s) AND v.r IS NOT NULL)`, n, moved, strings.Join(present, ", "), ids),
		fmt.Sprintf(`h%d AS MATERIALIZED (
		SELECT %s, max(id) AS id, max(moved) FILTER (WHERE was) AS gone, max(moved) FILTER (WHERE NOT was) AS came
		FROM log%d WHERE known AND %s GROUP BY %s)`, n, strings.Join(typed, ", "), n,
			strings.Join(notNull, " AND "), strings.Join(groupBy, ", ")),
		fmt.Sprintf(`found%d AS (
		SELECT (%s) COLLATE "C" AS key, h.id, h.gone, h.came, %s AS there, false AS force FROM h%d h%s)`, n, key, there, n, from+most)}
}

// chainTo lists the members from the root to the one at path.
func chainTo(root *store.Member, path string) []*store.Member {
	chain := []*store.Member{root}
	if path == "" {
		return chain
	}
	parents := map[*store.Member]*store.Member{}
	var at *store.Member
	root.Walk(func(p string, m, parent *store.Member) {
		parents[m] = parent
		if p == path {
			at = m
		}
	})
	chain = nil
	for ; at != nil; at = parents[at] {
		chain = append([]*store.Member{at}, chain...)
	}
	return chain
}

// hops joins from the logged keys "h" up to the root, and says how to tell
// that the root row is there.
func hops(chain []*store.Member) (from, there string) {
	root := chain[0]
	if len(chain) == 1 {
		conditions := make([]string, len(root.Key))
		for i, c := range root.Key {
			conditions[i] = fmt.Sprintf("t0.%s = h.k%d", quote(c.Name), i)
		}
		return "", "EXISTS (SELECT FROM " + quoteTable(root.Table) + " t0 WHERE " + strings.Join(conditions, " AND ") + ")"
	}
	var b strings.Builder
	for i := len(chain) - 1; i > 0; i-- {
		child, parent := chain[i], chain[i-1]
		up, at := upward(child), across(child)
		conditions := make([]string, len(up))
		for j := range up {
			below := fmt.Sprintf("h.k%d", j)
			if i < len(chain)-1 {
				below = fmt.Sprintf("t%d.%s", i, quote(up[j].Name))
			}
			conditions[j] = fmt.Sprintf("t%d.%s = %s", i-1, quote(at[j].Name), below)
		}
		fmt.Fprintf(&b, " JOIN %s t%d ON %s", quoteTable(parent.Table), i-1, strings.Join(conditions, " AND "))
	}
	return b.String(), "true"
}

// keyChanged is true when the logged row has another key than before. The new
// one is logged only if it is another.
func keyChanged(key []store.Column) string {
	parts := make([]string, len(key))
	for i, c := range key {
		parts[i] = fmt.Sprintf("t.old->%[1]s IS DISTINCT FROM t.new->%[1]s", literal(c.Name))
	}
	return "(t.new IS NOT NULL AND (" + strings.Join(parts, " OR ") + "))"
}

// keyText is the SQL of a key's text form, as [store.Key] has it: of the
// columns prefix0, prefix1, ... or, without a prefix, of the root row t0.
func keyText(prefix string, key []store.Column) string {
	parts := make([]string, len(key))
	for i, c := range key {
		expr := fmt.Sprintf("%s%d", prefix, i)
		if prefix == "" {
			expr = "t0." + quote(c.Name)
		}
		parts[i] = valueText(expr, c)
	}
	return joinKey(parts)
}

// joinKey joins the texts of a key's columns, with escapes if there are many.
func joinKey(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	escaped := make([]string, len(parts))
	for i, p := range parts {
		escaped[i] = `replace(replace(` + p + `, E'\\', E'\\\\'), ',', E'\\,')`
	}
	return strings.Join(escaped, " || ',' || ")
}

// valueText is the SQL of one value's text in a key, which must not depend on
// a setting of the session, must be NULL for no value, and is read again as the
// same value: "infinity", and years before Christ too.
func valueText(expr string, c store.Column) string {
	switch {
	case c.Kind == store.Decimal:
		return "trim_scale(" + expr + ")::text"
	case c.Kind == store.Date: // to_char has no infinity, and not the last of the years
		return "(to_jsonb(" + expr + ") #>> '{}')"
	case c.Type == "timestamp with time zone" || strings.HasPrefix(c.Type, "timestamp(") && strings.HasSuffix(c.Type, "with time zone"):
		return "coalesce(to_char(" + expr + " AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00')" +
			" || CASE WHEN " + expr + " < '0001-01-01 00:00:00+00' THEN ' BC' ELSE '' END, " + expr + "::text)" // NULL of infinity
	case c.Kind == store.Time:
		return "replace(to_jsonb(" + expr + ") #>> '{}', 'T', ' ')"
	}
	return expr + "::text"
}

// placeText is the SQL of one value's text that is read again in another
// session, which may write dates in another way.
func placeText(expr string, c store.Column) string {
	if c.Kind == store.Date || c.Kind == store.Time {
		return "(to_jsonb(" + expr + ") #>> '{}')"
	}
	return expr + "::text"
}

// causeKey is the SQL of the changed row's own key, from the log.
func causeKey(m *store.Member) string {
	parts := make([]string, len(m.Key))
	for i, c := range m.Key {
		parts[i] = "(coalesce(t.new, t.old)->>" + literal(c.Name) + ")"
	}
	if len(parts) == 0 {
		return "NULL"
	}
	return joinKey(parts)
}

// castType is the column's type for a cast from text, without the length or
// precision to which a cast would cut.
func castType(c store.Column) string {
	for prefix, bare := range map[string]string{
		"numeric(": "numeric", "character varying(": "text", "character(": "bpchar", "character varying": "text",
	} {
		if strings.HasPrefix(c.Type, prefix) {
			return bare
		}
	}
	return c.Type
}
