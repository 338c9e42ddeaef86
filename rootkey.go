package upkeep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Groups are known by the primary key of their root row, and external ids are made of
// it. With another key every row would be a new group with a second record, and nobody
// would come to the old ones any more. So a declaration does not fit a table whose key
// is another one than when it was installed.

// resolve is [resolve], and says also where the root table's key has changed since the
// sync was installed.
func (e *Engine) resolve(ctx context.Context, d *definition) (shape *store.Shape, whole bool, err error) {
	shape, whole, err = resolve(ctx, e.db, d)
	if !whole {
		return shape, whole, err
	}
	keys, unknown := e.db.RootKeys(ctx)
	if unknown != nil && !errors.Is(unknown, store.ErrNotInstalled) {
		return shape, whole, errors.Join(err, fmt.Errorf("sync %q: read by what its groups are known: %w", d.Name, unknown))
	}
	if was, there := keys[d.Name]; there {
		if u := e.otherKey(ctx, shape, was); u != nil {
			err = errors.Join(err, u)
		}
	}
	return shape, whole, err
}

// otherKey says how the key of the root table differs from what it was; nil: it does
// not. A column that was renamed is the same one.
func (e *Engine) otherKey(ctx context.Context, shape *store.Shape, was store.RootKey) *unfit {
	is := shape.RootKey()
	if was.Table != is.Table || slices.Equal(was.Columns, is.Columns) {
		return nil
	}
	info, err := e.db.Table(ctx, shape.Root.Table)
	renamed := err == nil && len(was.Columns) == len(is.Columns)
	for i, name := range was.Columns {
		if renamed && name != is.Columns[i] {
			_, there := info.Column(name)
			renamed = !there && !slices.Contains(was.Columns, is.Columns[i])
		}
	}
	if renamed {
		return nil
	}
	return &unfit{
		err: fmt.Errorf("sync %q: %w: that of %s was (%s) when it was installed, and is (%s): its groups are known by it and the external ids of its records are made of it, so each row would become a second record", shape.Sync, errRekeyed,
			is.Table, strings.Join(was.Columns, ", "), strings.Join(is.Columns, ", ")),
		fix:   fmt.Sprintf("make (%s) the primary key again (the other can be UNIQUE), or give the sync another name, and an external_id that is what it was: see \"A primary key that changes\" in docs/operations.md", strings.Join(was.Columns, ", ")),
		table: is.Table,
	}
}

// errRekeyed: what was installed goes by another key.
var errRekeyed = errors.New("the primary key of its root table is another one")

// rekeyed are the syncs of which that was found, which must not be loaded.
func rekeyed(misfits map[string]error) map[string]error {
	maps.DeleteFunc(misfits, func(_ string, err error) bool { return !errors.Is(err, errRekeyed) })
	return misfits
}
