package postgres

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Keys implements [store.Loader]. The order is that of the primary key; the
// place is the last key's values as text.
func (db *DB) Keys(ctx context.Context, shape *store.Shape, after string, limit int) (keys []string, next string, err error) {
	columns := make([]string, len(shape.Root.Key))
	parts, from := make([]string, len(columns)), make([]string, len(columns))
	args := []any{limit}
	var at []string
	if after != "" {
		if at, err = store.SplitKey(after, len(columns)); err != nil {
			return nil, "", err
		}
	}
	for i, c := range shape.Root.Key {
		columns[i] = "t0." + quote(c.Name)
		parts[i] = placeText(columns[i], c)
		if at != nil {
			from[i] = fmt.Sprintf("$%d::text::%s", i+2, castType(c))
			args = append(args, at[i])
		}
	}
	where := ""
	if at != nil {
		where = " WHERE (" + strings.Join(columns, ", ") + ") > (" + strings.Join(from, ", ") + ")"
	}
	sql := "SELECT " + keyText("", shape.Root.Key) + ", " + joinKey(parts) + " FROM " + quoteTable(shape.Root.Table) + " t0" + where +
		" ORDER BY " + strings.Join(columns, ", ") + " LIMIT $1"
	err = pgx.BeginTxFunc(ctx, db.pool, reading, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL row_security = off"); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		var key string
		_, err = pgx.ForEachRow(rows, []any{&key, &next}, func() error {
			keys = append(keys, key)
			return nil
		})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list the keys of %s: %w", shape.Root.Table, discreet(err))
	}
	if len(keys) < limit {
		next = ""
	}
	return keys, next, nil
}

// Canonical implements [store.Loader].
//
// A key whose domain raises an error of its own is no key, and takes none of the
// others with it. One that raises an error whatever it is asked says nothing of the
// keys: that is an error.
func (db *DB) Canonical(ctx context.Context, shape *store.Shape, keys []string) (map[string]string, error) {
	found, raised, err := db.apart(ctx, shape, keys)
	if err == nil && raised != nil && len(found) == 0 && len(keys) > 1 {
		return nil, raised
	}
	return found, err
}

// apart leaves out the keys that raise an error, and returns one of these. Halving
// finds them without a statement for each key.
func (db *DB) apart(ctx context.Context, shape *store.Shape, keys []string) (found map[string]string, raised, err error) {
	found, err = db.canonical(ctx, shape, keys)
	switch {
	case !ofRow(err):
		return found, nil, err
	case len(keys) == 1:
		return map[string]string{}, err, nil
	}
	found, raised, err = db.apart(ctx, shape, keys[:len(keys)/2])
	if err != nil {
		return nil, nil, err
	}
	rest, other, err := db.apart(ctx, shape, keys[len(keys)/2:])
	maps.Copy(found, rest)
	if raised == nil {
		raised = other
	}
	return found, raised, err
}

// canonical is Canonical with the error that a key raises.
func (db *DB) canonical(ctx context.Context, shape *store.Shape, keys []string) (map[string]string, error) {
	found, rest := sureOf(shape.Root.Key, keys)
	long := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return len(shape.Sync)+len(key) <= longestGroup })
	if len(rest)+len(long) == 0 {
		return found, nil
	}
	err := pgx.BeginTxFunc(ctx, db.pool, reading, func(tx pgx.Tx) error {
		if err := spell(ctx, tx, shape.Root, rest, found); err != nil {
			return err
		}
		return dropOverlong(ctx, tx, shape.Root, long, found)
	})
	if err != nil {
		return nil, fmt.Errorf("look up keys of %s: %w", shape.Root.Table, discreet(err))
	}
	return found, nil
}

// longestGroup is how many bytes a sync's name and a key may surely have together:
// an index takes no row of much more. What it can compress may be longer; see
// [taken].
const longestGroup = store.LongestGroup

// dropOverlong takes those of the long keys from found that the table has no row
// of: its own index has taken the others.
func dropOverlong(ctx context.Context, tx pgx.Tx, m *store.Member, long []string, found map[string]string) error {
	for _, key := range long { // hardly ever one
		own, fits := found[key]
		if !fits {
			continue
		}
		parts, err := store.SplitKey(own, len(m.Key))
		if err != nil {
			return err
		}
		equal, args := make([]string, len(parts)), make([]any, len(parts))
		for i, c := range m.Key {
			equal[i], args[i] = fmt.Sprintf("t0.%s = $%d::text::%s", quote(c.Name), i+1, castType(c)), parts[i]
		}
		var there bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+quoteTable(m.Table)+" t0 WHERE "+strings.Join(equal, " AND ")+")", args...).Scan(&there); err != nil {
			return err
		}
		if !there {
			delete(found, key)
		}
	}
	return nil
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
		for i, c := range columns {
			sure = sure && surely(c, parts[i])
		}
		if own, err := store.Key(anys(parts)...); sure && err == nil {
			found[key] = own
		} else {
			rest = append(rest, key)
		}
	}
	return found, rest
}

func anys(parts []string) []any {
	out := make([]any, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out
}

// surely says whether a text is what the column's type prints of it, as far as
// that can be told here.
func surely(c store.Column, text string) bool {
	if c.Alike {
		return false
	}
	switch {
	case c.Kind == store.Int:
		bits := map[string]int{"smallint": 16, "integer": 32}[c.Type]
		n, err := strconv.ParseInt(text, 10, cmp.Or(bits, 64))
		return err == nil && strconv.FormatInt(n, 10) == text
	case c.Type == "uuid":
		return plainUUID.MatchString(text)
	case c.Type == "text" || strings.HasPrefix(c.Type, "character varying"):
		return !strings.Contains(text, "\x00")
	}
	return false
}

var plainUUID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// spell adds the spelling of keys to found: of the row that has the key, or
// else what the columns' types print. A text that is no value of its column's
// type is found by halving, and left out.
func spell(ctx context.Context, tx pgx.Tx, m *store.Member, keys []string, found map[string]string) error {
	columns, equal := make([][]string, len(m.Key)), make([]string, len(m.Key))
	alike := false
	for i, c := range m.Key {
		equal[i] = fmt.Sprintf("t0.%s = upkeep_p.upkeep_k%d", quote(c.Name), i) // the table is called t0
		alike = alike || c.Alike
	}
	for _, key := range keys {
		parts, err := store.SplitKey(key, len(columns))
		if err != nil {
			return err
		}
		for i, p := range parts {
			columns[i] = append(columns[i], clean(p))
		}
	}
	args := make([]any, len(columns))
	for i := range columns {
		args[i] = columns[i]
	}
	text, join := keyText("upkeep_p.upkeep_k", m.Key), ""
	if alike {
		text = "coalesce(" + keyText("", m.Key) + ", " + text + ")"
		join = " LEFT JOIN " + quoteTable(m.Table) + " t0 ON " + strings.Join(equal, " AND ")
	}
	sql := "SELECT " + number("upkeep_") + ", " + text + " FROM " + unnest("upkeep_", m.Key) + join
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { // a savepoint: the cast may fail
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		var n int64
		var own string
		_, err = pgx.ForEachRow(rows, []any{&n, &own}, func() error {
			found[keys[n-1]] = own
			return nil
		})
		return err
	})
	if c := code(err); !strings.HasPrefix(c, "22") && c != "23514" { // the latter: a domain's check
		return err
	}
	if len(keys) == 1 {
		return nil
	}
	if err := spell(ctx, tx, m, keys[:len(keys)/2], found); err != nil {
		return err
	}
	return spell(ctx, tx, m, keys[len(keys)/2:], found)
}

// respell gives touches by hand that no group has the key of the group that is
// meant, and returns the others with them. Those of a key that the table can't
// have are dropped. A deletion that a person tells of is taken by the letter.
func (f *folding) respell(ctx context.Context, tx pgx.Tx, s *store.Shape, ids []int64) ([]int64, error) {
	rows, err := tx.Query(ctx, `SELECT t.id, t.key FROM upkeep.touch t
		WHERE t.id = ANY($1) AND NOT coalesce((t.more->>'deleted')::boolean, false)
			AND NOT EXISTS (SELECT FROM upkeep.groups g WHERE g.sync = $2 AND g.key = t.key)`, ids, s.Sync)
	if err != nil {
		return nil, err
	}
	keys := map[int64]string{}
	var id int64
	var key string
	if _, err := pgx.ForEachRow(rows, []any{&id, &key}, func() error { keys[id] = key; return nil }); err != nil || len(keys) == 0 {
		return ids, err
	}
	distinct := slices.Compact(slices.Sorted(maps.Values(keys)))
	found, rest := sureOf(s.Root.Key, distinct)
	if len(rest) > 0 {
		if err := spell(ctx, tx, s.Root, rest, found); err != nil {
			return nil, err
		}
	}
	var changed []int64
	var to []string
	var kept []int64
	for _, id := range ids {
		key, open := keys[id]
		own, fits := found[key]
		switch {
		case open && !fits:
			f.done.Unfit = append(f.done.Unfit, store.ID{Sync: s.Sync, Key: key})
			continue
		case open && own != key:
			changed, to = append(changed, id), append(to, own)
		}
		kept = append(kept, id)
	}
	if len(changed) > 0 {
		_, err = tx.Exec(ctx, `UPDATE upkeep.touch t SET key = n.key FROM unnest($1::bigint[], $2::text[]) AS n(id, key) WHERE t.id = n.id`, changed, to)
	}
	return kept, err
}

// Departed implements [store.Log].
func (db *DB) Departed(ctx context.Context, shape *store.Shape, keys []string) ([]string, error) {
	typed := make([]string, len(shape.Root.Key))
	for i, c := range shape.Root.Key {
		typed[i] = fmt.Sprintf("(t.old->>%s)::%s AS k%d", literal(c.Name), castType(c), i)
	}
	rows, err := db.pool.Query(ctx, "SELECT DISTINCT key FROM (SELECT ("+keyText("h.k", shape.Root.Key)+`) COLLATE "C" AS key FROM (
		SELECT `+strings.Join(typed, ", ")+" FROM upkeep.touch t WHERE t.tbl = $1 AND (t.op = 'delete' OR "+keyChanged(shape.Root.Key)+`)) h) gone
		WHERE key = ANY($2)`, shape.Root.Table.String(), keys)
	if err != nil {
		return nil, installed(err)
	}
	gone, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return gone, installed(err)
}
