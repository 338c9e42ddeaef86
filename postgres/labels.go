package postgres

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// readValues reads the only texts that columns can hold: the labels of an enum, and
// those of a CHECK (column IN ('a', 'b')), which holds for every row. Of several
// that concern a column the first is taken. A text that may be written in another
// case is left out.
func readValues(ctx context.Context, tx pgx.Tx, oid uint32, info *store.TableInfo) error {
	info.Values, info.Enums = map[string][]string{}, map[string]bool{}
	rows, err := tx.Query(ctx, `
		WITH RECURSIVE base(attname, typid) AS (
			SELECT attname, atttypid FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
			UNION
			SELECT b.attname, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END
			FROM base b JOIN pg_type t ON t.oid = b.typid WHERE t.typtype = 'd' OR t.typcategory = 'A')
		SELECT b.attname, array_agg(e.enumlabel::text ORDER BY e.enumsortorder),
			string_agg(e.oid::text || ' ' || e.enumlabel, E'\n' ORDER BY e.enumsortorder), ''
		FROM base b JOIN pg_enum e ON e.enumtypid = b.typid GROUP BY b.attname
		UNION ALL
		SELECT a.attname, NULL, '', pg_get_expr(k.conbin, k.conrelid)
		FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
		WHERE k.conrelid = $1 AND k.contype = 'c' AND k.convalidated AND NOT k.connoinherit AND cardinality(k.conkey) = 1`, oid)
	if err != nil {
		return err
	}
	var name, labels, check string
	var values []string
	_, err = pgx.ForEachRow(rows, []any{&name, &values, &labels, &check}, func() error {
		if i := slices.IndexFunc(info.Columns, func(c store.Column) bool { return c.Name == name }); i >= 0 && labels != "" {
			info.Columns[i].Labels = labels
		}
		enum := values != nil
		if !enum {
			values = oneOf(check)
		}
		if c, _ := info.Column(name); values != nil && info.Values[name] == nil && c.Kind == store.Text && !c.Alike {
			info.Values[name] = values
			if enum {
				info.Enums[name] = true
			}
		}
		values = nil
		return nil
	})
	return err
}

// oneOfThese is column IN ('a', 'b') as PostgreSQL prints it, of text and varchar.
var oneOfThese = regexp.MustCompile(`^\(\(?("[^"]+"|\w+)\)?(::text)? = ANY \(\(?ARRAY\[((?:'(?:[^'\\]|'')*'::(?:text|character varying)(?:, |\]))+)\)?(::text\[\])?\)\)$`)

var oneText = regexp.MustCompile(`'((?:[^'\\]|'')*)'::`)

// oneOf are the texts that a check lets a column have; nil: it says something else.
func oneOf(check string) (texts []string) {
	m := oneOfThese.FindStringSubmatch(check)
	if m == nil {
		return nil
	}
	for _, text := range oneText.FindAllStringSubmatch(m[3], -1) {
		texts = append(texts, strings.ReplaceAll(text[1], "''", "'"))
	}
	return texts
}
