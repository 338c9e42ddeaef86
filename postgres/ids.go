package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// In the arrays refs and waits_for an id is "sync/key", with the slash inside
// a sync's name escaped.
var (
	escapeSync   = strings.NewReplacer("%", "%25", "/", "%2F")
	unescapeSync = strings.NewReplacer("%25", "%", "%2F", "/")
)

func textOf(ids []store.ID) []string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = escapeSync.Replace(clean(id.Sync)) + "/" + clean(id.Key)
	}
	return texts
}

func idsOf(texts []string) []store.ID {
	var ids []store.ID
	for _, t := range texts {
		sync, key, _ := strings.Cut(t, "/")
		ids = append(ids, store.ID{Sync: unescapeSync.Replace(sync), Key: key})
	}
	return ids
}

// splitIDs makes two arrays for unnest.
func splitIDs(ids []store.ID) (syncs, keys []string) {
	syncs, keys = make([]string, len(ids)), make([]string, len(ids))
	for i, id := range ids {
		syncs[i], keys[i] = clean(id.Sync), clean(id.Key)
	}
	return syncs, keys
}

func collectIDs(rows pgx.Rows) ([]store.ID, error) {
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.ID, error) {
		var id store.ID
		err := r.Scan(&id.Sync, &id.Key)
		return id, err
	})
}
