package postgres

import (
	"context"
	"fmt"
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
		parts[i] = columns[i] + "::text"
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
	err = pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
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
		return nil, "", fmt.Errorf("list the keys of %s: %w", shape.Root.Table, err)
	}
	if len(keys) < limit {
		next = ""
	}
	return keys, next, nil
}

// Canonical implements [store.Loader]: what the columns' types print is what
// groups are called.
func (db *DB) Canonical(ctx context.Context, shape *store.Shape, key string) (string, error) {
	parts, err := store.SplitKey(key, len(shape.Root.Key))
	if err != nil {
		return "", err
	}
	typed, args := make([]string, len(parts)), make([]any, len(parts))
	for i, c := range shape.Root.Key {
		typed[i] = fmt.Sprintf("$%d::text::%s AS k%d", i+1, castType(c), i)
		args[i] = parts[i]
	}
	var out string
	err = db.pool.QueryRow(ctx, "SELECT "+keyText("h.k", shape.Root.Key)+" FROM (SELECT "+strings.Join(typed, ", ")+") h", args...).Scan(&out)
	if strings.HasPrefix(code(err), "22") {
		var types []string
		for _, c := range shape.Root.Key {
			types = append(types, c.Name+" of type "+c.Type)
		}
		return "", fmt.Errorf("%q can be no key of %s, which has %s", key, shape.Root.Table, strings.Join(types, ", "))
	}
	return out, err
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
