package sqlite

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Keys lists root keys in the order of the primary key.
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

// Canonical is a root key as groups have it: a number that a column of numbers
// would take is written as it would keep it.
func (d *DB) Canonical(_ context.Context, shape *store.Shape, key string) (string, error) {
	parts, err := store.SplitKey(key, len(shape.Root.Key))
	if err != nil {
		return "", err
	}
	values := make([]any, len(parts))
	for i, c := range shape.Root.Key {
		values[i] = parts[i]
		number := strings.TrimSpace(parts[i])
		if n, err := strconv.ParseInt(strings.TrimPrefix(number, "+"), 10, 64); err == nil && (c.Kind == store.Int || c.Kind == store.Decimal) {
			values[i] = n
		} else if n, err := decimal.NewFromString(number); err == nil && c.Kind == store.Decimal {
			values[i] = n
		}
	}
	return store.Key(values...)
}

// Departed lists the keys whose deletion waits in the log.
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
