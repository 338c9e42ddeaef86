package upkeep

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// One row is one group, however its key is written: "7" and "007" of an
// integer, a UUID in capitals, texts that a collation takes for equal.

// respell gives the references of translated jobs the spelling that groups
// have. Keys that are spelled so already cost no statement.
func (r *runner) respell(ctx context.Context, jobs []*job) {
	keys := map[string][]string{}
	own := map[store.ID]string{}
	for _, j := range jobs {
		if j.done {
			continue
		}
		for _, id := range j.refs {
			if _, seen := own[id]; !seen {
				own[id] = ""
				keys[id.Sync] = append(keys[id.Sync], id.Key)
			}
		}
	}
	clear(own)
	failed := map[string]error{}
	for sync, ks := range keys {
		found, err := r.db.Canonical(ctx, r.shape(sync), ks)
		if err != nil {
			failed[sync] = err
		}
		for key, as := range found {
			own[store.ID{Sync: sync, Key: key}] = as
		}
	}
	for _, j := range jobs {
		if j.done {
			continue
		}
		for _, id := range j.refs {
			if err := failed[id.Sync]; err != nil && !j.done {
				j.finish(store.Result{Outcome: store.Retry, Free: true, After: r.backoff(1), Reason: "look up references: " + err.Error()})
			}
			if _, fits := own[id]; !fits && !j.done {
				j.refuse("translate: it refers to " + id.Sync + ", but " + noKey(r.shape(id.Sync), id.Key).Error())
			}
		}
		if !j.done {
			j.respell(own)
		}
	}
}

// respell replaces references.
func (j *job) respell(own map[store.ID]string) {
	if !slices.ContainsFunc(j.refs, func(id store.ID) bool { return own[id] != id.Key }) {
		return
	}
	ref := func(x Reference) Reference {
		if key, known := own[store.ID(x)]; known {
			x.Key = key
		}
		return x
	}
	for _, fields := range []*Fields{&j.fields, &j.create} {
		if *fields == nil {
			continue
		}
		var err error
		if *fields, err = refit(*fields, ref); err != nil {
			j.refuse("translate: " + err.Error())
			return
		}
	}
	j.originID = store.ID(ref(Reference(j.originID)))
	refs := make([]store.ID, len(j.refs))
	for i, id := range j.refs {
		refs[i] = store.ID(ref(Reference(id)))
	}
	slices.SortFunc(refs, compareIDs)
	j.refs = slices.Compact(refs)
}

// handOver touches the groups that have the rows which were found under
// another spelling of their keys, before those that were claimed for them end.
func (r *runner) handOver(ctx context.Context, jobs []*job) {
	var touches []store.Touch
	var under []*job
	for _, j := range jobs {
		if !j.done && j.composite != nil && j.composite.Key != "" {
			under = append(under, j)
			touches = append(touches, store.Touch{ID: store.ID{Sync: j.claim.Sync, Key: j.composite.Key}, Register: true})
		}
	}
	if len(touches) == 0 {
		return
	}
	if err := r.db.Append(ctx, nil, touches); err != nil {
		for _, j := range under {
			j.finish(store.Result{Outcome: store.Retry, Free: true, After: r.backoff(1), Reason: "touch the group that has the row: " + err.Error()})
		}
	}
}

// spelled is a key for a touch. What can't be told here is left to the fold:
// the row may be only in the application's transaction.
func (e *Engine) spelled(ctx context.Context, tx any, sync, key string) (string, error) {
	if e.learned.Load() == nil {
		return key, nil
	}
	shape := e.shape(sync)
	parts, err := store.SplitKey(key, len(shape.Root.Key))
	if err != nil {
		return "", notKey(err)
	}
	for i, c := range shape.Root.Key {
		if c.Kind != store.Int && c.Kind != store.Decimal {
			continue
		}
		text := strings.TrimSpace(parts[i])
		_, notInt := strconv.ParseInt(text, 0, 64) // 0x1F too, which PostgreSQL takes
		_, notNumber := decimal.NewFromString(text)
		if notInt != nil && notNumber != nil && !(c.Kind == store.Decimal && unreal(text)) {
			return "", noKey(shape, key)
		}
	}
	if tx != nil {
		return key, nil
	}
	found, err := e.db.Canonical(ctx, shape, []string{key})
	if err != nil {
		return "", err
	}
	own, fits := found[key]
	if !fits {
		return "", noKey(shape, key)
	}
	return own, nil
}

// unreal says whether a text is what PostgreSQL's numbers may be besides numbers.
func unreal(text string) bool {
	_, err := strconv.ParseFloat(text, 64) // "NaN", "inf", "-Infinity", in any case
	return err == nil
}

// longKey is from how many bytes on a key that does not fit is not told in full.
const longKey = 500

// noKey is an [ErrKey] about a text that is no value of a key's type.
func noKey(shape *store.Shape, key string) error {
	if len(key) > longKey {
		return notKey(fmt.Errorf("a text of %d bytes (%q) can be no key of %s, whose key is %s: it is no value of it, or there is no such row and an index takes no key as long", len(key), cut(key, 50), shape.Root.Table, keyTypes(shape)))
	}
	return notKey(fmt.Errorf("%q can be no key of %s, whose key is %s", key, shape.Root.Table, keyTypes(shape)))
}

// keyTypes are the columns of a sync's key, with their types.
func keyTypes(shape *store.Shape) string {
	var types []string
	for _, c := range shape.Root.Key {
		types = append(types, c.Name+" of type "+c.Type)
	}
	return strings.Join(types, ", ")
}

// tellUnfit logs the touches by hand that a fold dropped, and that rows were met
// that can have no record.
func (e *Engine) tellUnfit(f store.Folded) {
	for _, id := range f.Unfit {
		e.log.Warn("a touch by hand was dropped: its key can be none of the table, or is too long; give the root row's primary key", "group", cut(id.String(), longKey))
	}
	for _, sync := range f.Overlong {
		e.tellOverlong(sync)
	}
}

// tellOverlong logs that rows were met that can have no record.
func (e *Engine) tellOverlong(sync string) {
	if e.said.anew("overlong "+sync, "", e.cfg.Clock.Now()) {
		message, fix := e.overlong(sync)
		e.log.Error(message, "sync", sync, "do", fix)
	}
}

// overlong says that a sync has rows that can have no record, and what to do.
func (e *Engine) overlong(sync string) (message, fix string) {
	table := ""
	if d := e.byName[sync]; d != nil {
		table = d.From.Table + " "
	}
	return fmt.Sprintf("rows of its table %shave no record, since an index of the registry takes no key as long; all others go on", table),
		fmt.Sprintf("shorten such a key, or the sync's name, which makes new records of all its rows: keys of up to %d bytes, as text, are sure to be taken with this name; then look at all rows once more, which ends this: upkeep backfill %s", store.LongestGroup-len(sync), sync)
}
