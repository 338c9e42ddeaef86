package postgres

import (
	"fmt"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// composeBody is the body of the function that reads one composite as JSON, in
// the form that [store.DecodePayload] has: one statement, so one snapshot. $1
// holds the root key's columns. It answers NULL without a root row, which tells
// of a deletion: a key under other names than the table's is an error.
func composeBody(s *store.Shape) string {
	var all []*store.Member
	s.Root.Walk(func(_ string, m, _ *store.Member) { all = append(all, m) })
	c := &composer{limit: s.MemberLimit, own: store.Own(all...)}
	if c.limit <= 0 {
		c.limit = defaultMemberLimit
	}
	root := s.Root
	from, object := c.row(root)
	conditions, missing := make([]string, len(root.Key)), make([]string, len(root.Key))
	for i, k := range root.Key {
		missing[i] = "($1->>" + literal(k.Name) + ") IS NULL"
		conditions[i] = fmt.Sprintf("%s = ($1->>%s)::%s", quoteColumn(root, k), literal(k.Name), castType(k))
	}
	return "\n#variable_conflict use_column\nBEGIN\n    IF " + strings.Join(missing, " OR ") +
		" THEN\n        RAISE EXCEPTION 'the key has other columns' USING ERRCODE = '42703';\n    END IF;\n    RETURN (SELECT " + object + "\n    FROM " + from +
		"\n    WHERE " + strings.Join(conditions, " AND ") + ");\nEND\n"
}

type composer struct {
	limit int
	rows  int    // rows so far, to name them
	own   string // how names of our own begin
}

// row is the FROM of a member's row, and the JSON object made of it. Its own
// table keeps its name, for the user's fragments; what members hang on is
// selected under a name of our own, which no inner table can hide.
func (c *composer) row(m *store.Member) (from, object string) {
	c.rows++
	parent := fmt.Sprintf("%sp%d", c.own, c.rows)
	var pairs, links []string
	for _, col := range m.Columns {
		pairs = append(pairs, literal(col.Name)+", "+jsonValue(quoteColumn(m, col), col))
	}
	for _, child := range m.Members {
		on := make([]string, len(child.Via))
		up := upward(child)
		for i, col := range across(child) {
			name := fmt.Sprintf("%sl%d", c.own, len(links))
			links = append(links, quoteColumn(m, col)+" AS "+name)
			on[i] = quoteColumn(child, up[i]) + " = " + converted(parent+"."+name, col, up[i])
		}
		condition := strings.Join(on, " AND ")
		where, order := fragmentClauses(child.Where, child.Order)
		if where != "" {
			condition += " AND " + where
		}
		for _, a := range child.Aggregates {
			value := "count(*)"
			if a.Func != "count" {
				value = "coalesce(sum(" + quoteColumn(child, a.Column) + ")::numeric, 0)::text"
			}
			pairs = append(pairs, fmt.Sprintf("%s, (SELECT %s FROM %s WHERE %s)", literal(a.Name), value, quoteTable(child.Table), condition))
		}
		if !child.OnlyAggregates {
			pairs = append(pairs, literal(child.Name)+", "+c.list(child, condition, order))
		}
	}
	from = quoteTable(m.Table)
	if len(links) > 0 {
		from += " CROSS JOIN LATERAL (SELECT " + strings.Join(links, ", ") + ") AS " + parent
	}
	return from, objectOf(pairs)
}

// list is the JSON array of a member's rows, with at most one more than is
// allowed, so that too many are noticed.
func (c *composer) list(m *store.Member, condition, order string) string {
	limit := c.limit + 1
	if m.Relation != store.HasMany {
		limit = 2
		if m.Order != "" {
			limit = 1
		}
	}
	from, object := c.row(m)
	return fmt.Sprintf(`(SELECT coalesce(jsonb_agg(%[1]sv.%[1]so), '[]')
        FROM (SELECT %[2]s AS %[1]so FROM %[3]s WHERE %[4]s ORDER BY %[5]s LIMIT %[6]d) %[1]sv)`, c.own, object, from, condition, orderBy(m, order), limit)
}

// objectOf joins pairs of a name and a value; a function takes 100 arguments
// at most.
func objectOf(pairs []string) string {
	const most = 50
	if len(pairs) == 0 {
		return "'{}'::jsonb"
	}
	var parts []string
	for len(pairs) > most {
		parts = append(parts, "jsonb_build_object("+strings.Join(pairs[:most], ", ")+")")
		pairs = pairs[most:]
	}
	return strings.Join(append(parts, "jsonb_build_object("+strings.Join(pairs, ", ")+")"), " || ")
}

// jsonValue is the SQL of a column's value in a payload.
func jsonValue(expr string, c store.Column) string {
	switch c.Kind {
	case store.Int, store.Bool:
		return readExpr(expr, c)
	case store.JSON:
		return expr + "::jsonb"
	case store.Bytes:
		return "encode(" + readExpr(expr, c) + ", 'hex')"
	case store.Time:
		if strings.HasSuffix(c.Type, "without time zone") {
			return expr + "::text"
		}
		return "(" + readExpr(expr, c) + " AT TIME ZONE 'UTC')::text"
	}
	return readExpr(expr, c) + "::text"
}

// converted is a link's value as one of the column that it is compared with.
func converted(expr string, from, to store.Column) string {
	if from.Type == to.Type {
		return expr
	}
	return expr + "::text::" + castType(to)
}
