package sqlite

import (
	"context"
	"database/sql"

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
