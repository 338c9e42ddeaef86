package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Keys lists root keys in the order of the primary key.
// It implements [store.Loader].
func (d *DB) Keys(ctx context.Context, shape *store.Shape, after string, limit int) ([]string, string, error) {
	p := passing{}
	err := d.view(ctx, "list the keys of "+shape.Root.Table.Name, func(tx *sql.Tx) error {
		p = passing{cursor: after, total: 1} // the total is not asked for
		return p.readRows(ctx, tx, shape, limit)
	})
	if err != nil {
		return nil, "", err
	}
	if p.end {
		p.next = ""
	}
	return p.keys, p.next, nil
}

// Canonical is how groups have root keys: what the row that has the key holds
// or else, for a number that a column of numbers would take, what it would keep.
// It implements [store.Loader].
func (d *DB) Canonical(ctx context.Context, shape *store.Shape, keys []string) (map[string]string, error) {
	found, rest := sureOf(shape.Root.Key, keys)
	if len(rest) == 0 {
		return found, nil
	}
	return found, d.view(ctx, "look up keys of "+shape.Root.Table.Name, func(tx *sql.Tx) error {
		return spell(ctx, tx, shape.Root, rest, found)
	})
}

// sureOf parts keys that are surely spelled as groups have them from those
// that have to be looked up. One with another number of values is in neither.
func sureOf(columns []store.Column, keys []string) (found map[string]string, rest []string) {
	found = make(map[string]string, len(keys))
	for _, key := range keys {
		parts, err := store.SplitKey(key, len(columns))
		if err != nil {
			continue
		}
		sure := true
		values := make([]any, len(parts))
		for i, c := range columns {
			sure, values[i] = sure && surely(c, parts[i]), parts[i]
		}
		if own, err := store.Key(values...); sure && err == nil {
			found[key] = own
		} else {
			rest = append(rest, key)
		}
	}
	return found, rest
}

// surely says whether a column would hold a text, or the number that it is,
// just as it is written.
func surely(c store.Column, text string) bool {
	declared := strings.ToUpper(c.Type)
	switch {
	case c.Alike:
		return false
	case c.Kind == store.Int:
		n, err := strconv.ParseInt(text, 10, 64)
		return err == nil && strconv.FormatInt(n, 10) == text
	case c.Kind == store.Text: // of those that SQLite gives the affinity TEXT
		return strings.Contains(declared, "CHAR") || strings.Contains(declared, "CLOB") || strings.Contains(declared, "TEXT")
	}
	return false
}

// spell adds the spelling of keys to found.
func spell(ctx context.Context, tx *sql.Tx, m *store.Member, keys []string, found map[string]string) error {
	list, err := keyTuples(m.Key, keys)
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, `SELECT `+place(m)+`, `+keyExpr(ident(m.Table.Name), m.Key)+` `+from(m), list)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var place int
		var own string
		if err := rows.Scan(&place, &own); err != nil {
			return err
		}
		found[keys[place]] = own
	}
	for _, key := range keys {
		if _, there := found[key]; there {
			continue
		}
		if own, fits := written(m.Key, key); fits {
			found[key] = own
		}
	}
	return rows.Err()
}

// written is the key as its columns would keep it; false if a column of
// numbers is to hold what is none.
func written(columns []store.Column, key string) (string, bool) {
	parts, err := store.SplitKey(key, len(columns))
	if err != nil {
		return "", false
	}
	values := make([]any, len(parts))
	for i, c := range columns {
		values[i] = parts[i]
		if c.Kind != store.Int && c.Kind != store.Decimal {
			continue
		}
		number := strings.TrimSpace(parts[i])
		if n, err := strconv.ParseInt(strings.TrimPrefix(number, "+"), 10, 64); err == nil {
			values[i] = n
		} else if n, err := decimal.NewFromString(number); err == nil && len(number) < 100 && n.Exponent() < 100 && (c.Kind == store.Decimal || n.IsInteger()) {
			values[i] = n
		} else {
			return "", false
		}
	}
	own, err := store.Key(values...)
	return own, err == nil
}

// otherKey is the key that a row was found to have, if it is spelled otherwise
// than the one it was looked for by. Of values without one text form it says
// nothing.
func otherKey(raw map[string]any, columns []store.Column, asked string) string {
	t, _, ok := tuple(raw, columns)
	if !ok {
		return ""
	}
	for _, v := range t {
		switch v := v.(type) {
		case int64:
		case string:
			if strings.ContainsRune(v, 0) || !utf8.ValidString(v) {
				return ""
			}
		default:
			return ""
		}
	}
	if own, err := keyOf(t); err == nil && own != asked {
		return own
	}
	return ""
}

// respell gives touches by hand that no group has the key of the group that is
// meant. Those of a key that the table can't have come to nothing, and are
// listed. A deletion that a person tells of is taken by the letter, and so is
// what can't be looked up.
func respell(ctx context.Context, tx *sql.Tx, shapes []*store.Shape, rows []logRow, failed unresolved) (unfit []store.ID, err error) {
	for _, s := range shapes {
		at := map[string][]int{}
		for i, r := range rows {
			if r.table == "" && r.id2.Sync == s.Sync && !r.deleted && r.op != "reference" && r.op != "replacing" && r.op != "nothing" {
				at[r.id2.Key] = append(at[r.id2.Key], i)
			}
		}
		if len(at) == 0 {
			continue
		}
		list, err := json.Marshal(slices.Sorted(maps.Keys(at)))
		if err != nil {
			return nil, err
		}
		keys, err := strs(ctx, tx, `SELECT value FROM json_each(?1) WHERE NOT EXISTS (
			SELECT 1 FROM upkeep_groups AS g WHERE g.sync = ?2 AND g.key = value)`, string(list), s.Sync)
		if err != nil {
			return nil, err
		}
		found, rest := sureOf(s.Root.Key, keys)
		if len(rest) > 0 {
			if err := failed.leave(s.Sync, spell(ctx, tx, s.Root, rest, found)); err != nil {
				return nil, err
			}
			if failed[s.Sync] != "" {
				continue
			}
		}
		for _, key := range keys {
			own, fits := found[key]
			if !fits {
				unfit = append(unfit, store.ID{Sync: s.Sync, Key: key})
			}
			for _, i := range at[key] {
				if rows[i].id2.Key = own; !fits {
					rows[i].op = "nothing"
				}
			}
		}
	}
	return unfit, nil
}

// Departed lists the keys whose deletion waits in the log.
// It implements [store.Log].
func (d *DB) Departed(ctx context.Context, shape *store.Shape, keys []string) ([]string, error) {
	var gone []string
	err := d.view(ctx, "look for deletes in the log", func(tx *sql.Tx) error {
		rows, err := logOf(ctx, tx, shape.Root.Table.Name)
		if err != nil {
			return err
		}
		p := &planner{byName: map[string]*job{}, direct: newHits(rows)}
		for i := range rows {
			p.rootRow(shape, &rows[i], i)
		}
		gone = nil
		for _, key := range keys {
			if h := p.direct.at[store.ID{Sync: shape.Sync, Key: key}]; h != nil && h.fate == deleted {
				gone = append(gone, key)
			}
		}
		return nil
	})
	return gone, err
}
