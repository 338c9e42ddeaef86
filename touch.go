package upkeep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Touch says by hand that a group may have changed, for what no trigger can
// see: a change of its rows past the triggers, or of something outside of the
// database that Translate reads all the same. tx is the application's own transaction (a
// pgx.Tx or a *sql.Tx of the same database; gormsync.Tx has that of GORM), so
// that the touch is committed or rolled back with it, or nil for a transaction of
// its own; a nil pgx.Tx can't be told from that, a nil *sql.Tx is an error. key
// is the root row's primary key, one value for each column and in any spelling
// that the database takes: Touch(ctx, tx, "machine", "north", 1). The text
// "north,1" of [Key] is for Explain, Retry and Resync. What can be no key of the
// table is an error, [ErrKey]; where that shows only when the touch is read, it
// is logged. A key that has no row is no error. In a transaction of yours only what is no number for a number is told
// at once, and nothing before the engine has looked at the tables, as Run, Explain
// and a Touch without a transaction have it do.
func (e *Engine) Touch(ctx context.Context, tx any, sync string, key ...any) error {
	return e.append(ctx, tx, sync, key, store.Touch{})
}

// Register starts keeping a row at the remote, for a sync that is ByHand, and any
// row that comes under its key later; for others it is a touch. tx and key are as in [Engine.Touch].
func (e *Engine) Register(ctx context.Context, tx any, sync string, key ...any) error {
	return e.append(ctx, tx, sync, key, store.Touch{Register: true})
}

func (e *Engine) append(ctx context.Context, tx any, sync string, key []any, t store.Touch) error {
	if _, err := e.definition(sync); err != nil {
		return err
	}
	if err := transaction(tx); err != nil {
		return fmt.Errorf("touch %s: %w", sync, err)
	}
	if tx == nil { // beside a transaction there may be no other connection to have
		_ = e.ready(ctx) // what keeps it from being told now keeps no touch from being made
	}
	k, err := e.keyOf(ctx, tx, sync, key)
	if err != nil {
		return fmt.Errorf("touch %s: %w", sync, err)
	}
	if k, err = e.spelled(ctx, tx, sync, k); err != nil {
		return fmt.Errorf("touch %s: %w", sync, err)
	}
	t.ID = store.ID{Sync: sync, Key: k}
	return e.db.Append(ctx, tx, []store.Touch{t})
}

// transaction is an error for what looks like one, and is none.
func transaction(tx any) error {
	name := fmt.Sprintf("%T", tx)
	switch {
	case name == "*gorm.DB": // by its name: this package does not know GORM
		return errors.New("a *gorm.DB is no transaction of database/sql; give what gormsync.Tx makes of it")
	case tx != nil && isNil(tx):
		return fmt.Errorf("the transaction is a nil %s; give the one that Begin returned, or nil itself for a transaction of its own", name)
	}
	return nil
}

// keyOf is the text of a key, one value for each of its columns.
func (e *Engine) keyOf(ctx context.Context, tx any, sync string, key []any) (string, error) {
	k, err := Key(key...)
	if l := e.learned.Load(); err == nil && (l == nil || len(key) == len(e.shape(sync).Root.Key)) {
		return k, nil
	}
	if unknown := e.readyBeside(ctx, tx); unknown != nil {
		if err == nil {
			err = unknown
		}
		return "", err
	}
	shape := e.shape(sync)
	if err != nil {
		return "", fmt.Errorf("%w; the key of %s has %s", err, shape.Root.Table, keyTypes(shape))
	}
	hint := ""
	if len(key) == 1 && strings.Contains(k, ",") {
		hint = fmt.Sprintf("; give the values one by one, as arguments: the text %q is for Explain, Retry and Resync", k)
	}
	return "", notKey(fmt.Errorf("%s given for the key of %s, which has %s%s", values(len(key)), shape.Root.Table, keyTypes(shape), hint))
}

func values(n int) string {
	if n == 1 {
		return "1 value is"
	}
	return fmt.Sprintf("%d values are", n)
}

// Resync is what to send again.
type Resync struct {
	// Sync is the sync's name; empty for all of them.
	Sync string
	// Key of one group, as [Engine.Explain] has it; empty for all groups. A key
	// needs its sync.
	Key string
	// Force sends records even when nothing differs from what the remote
	// acknowledged.
	Force bool
	// Deleted takes the deletion of the row as observed: for one group whose
	// row was deleted while the triggers were away. Needs Key, or Missing.
	Deleted bool
	// Missing, with Deleted and without Key, is for all groups of the sync that
	// are parked since their row is not there and nobody saw it go: how many
	// they are. With another number nothing is done, and the error says how
	// many there are. The limit of deletes holds for them, too.
	Missing int
}

// Resync looks at groups again, and sends the records that differ; without a key all
// rows are passed over, as upkeep backfill does it. It does not wait for that: Run
// does it, here or in another process. A key that has no row is none of its errors.
func (e *Engine) Resync(ctx context.Context, r Resync) error {
	if r.Missing != 0 && (!r.Deleted || r.Key != "" || r.Force) {
		return errors.New("resync with Missing goes with Sync and Deleted, and without Key and Force")
	}
	if r.Deleted && r.Key == "" {
		return e.resyncMissing(ctx, r)
	}
	if r.Key != "" {
		if r.Sync == "" {
			return &told{errors.New("resync of one group needs both the sync and the key"), ErrNoSync}
		}
		id, err := e.group(ctx, r.Sync, r.Key)
		if err != nil {
			return err
		}
		if r.Deleted {
			if err := e.rowGone(ctx, id); err != nil {
				return err
			}
		}
		if err := e.intervene(ctx, r.intervention(id.Key)); err != nil {
			return err
		}
		force := r.Force
		if force {
			if force, err = e.forces(ctx, id); err != nil {
				return err
			}
		}
		return e.db.Append(ctx, nil, []store.Touch{{ID: id, Force: force, Deleted: r.Deleted}})
	}
	defs, err := e.chosen(r.Sync)
	if err != nil {
		return err
	}
	if err := e.inPlace(ctx); err != nil {
		return err
	}
	if err := e.intervene(ctx, r.intervention("")); err != nil {
		return err
	}
	for _, d := range defs {
		// What is installed may be another declaration of the sync, and stays so:
		// the sweep that installs this one is still to come.
		state, err := e.db.Sync(ctx, d.Name)
		if err != nil {
			return fmt.Errorf("resync %s: %w", d.Name, err)
		}
		if err := e.db.StartBackfill(ctx, d.Name, state.Version, true, r.Force); err != nil {
			return fmt.Errorf("resync %s: %w", d.Name, err)
		}
	}
	return nil
}

// intervention is the resync of all groups, or of the one with that key, for the list of
// what was done by hand.
func (r Resync) intervention(key string) Intervention {
	i := Intervention{Did: "resync", Sync: r.Sync, Key: key}
	switch {
	case r.Force:
		i.Detail = "force"
	case r.Missing > 0:
		i.Detail = fmt.Sprintf("deleted, missing %d", r.Missing)
	case r.Deleted:
		i.Detail = "deleted"
	}
	return i
}

// leavesGone says whether records of a sync that are gone are left as they are
// also when all are sent again: the remote can't be asked for one that the
// registry does not know, and there is none, unless the registry was restored.
func (e *Engine) leavesGone(ctx context.Context, d *definition) (bool, error) {
	if d.finds() {
		return false, nil
	}
	restored, err := e.db.Restored(ctx)
	return restored.IsZero(), err
}

// passed is a shape as a sweep gets it.
func (e *Engine) passed(ctx context.Context, shape *store.Shape) (*store.Shape, error) {
	leave, err := e.leavesGone(ctx, e.byName[shape.Sync])
	if !leave || err != nil {
		return shape, err
	}
	left := *shape
	left.LeaveGone = true
	return &left, nil
}

// forces says whether a resync of one group forces it.
func (e *Engine) forces(ctx context.Context, id ID) (bool, error) {
	leave, err := e.leavesGone(ctx, e.byName[id.Sync])
	if !leave || err != nil {
		return true, err
	}
	g, err := e.db.Group(ctx, id)
	if errors.Is(err, store.ErrNoGroup) {
		return true, nil
	}
	return err != nil || g.State != store.Gone || g.ForcedGeneration > g.SyncedGeneration, err
}

// rowGone is an error while the row is there: said of it, "its deletion was
// observed" would stay, and hold for a day on which it is merely not visible.
func (e *Engine) rowGone(ctx context.Context, id ID) error {
	found, _, err := e.db.Load(ctx, e.shape(id.Sync), []string{id.Key})
	if err != nil {
		return fmt.Errorf("look for the row: %w", err)
	}
	if c, there := found[id.Key]; there && c.Key == "" {
		return fmt.Errorf("%s: the row is there, so its deletion can't have been observed", id)
	}
	return nil
}

// Retry lets parked and waiting groups go again at once, with a fresh count of
// attempts, and returns how many: 0 of a group that does not exist. An empty sync
// means all syncs, an empty key all groups; a key needs its sync. Where the breaker of a remote of theirs is open, some process at
// work probes it at once. The key is text, in the form of [Key] ("42", "north,1"), where
// [Engine.Touch] takes values.
func (e *Engine) Retry(ctx context.Context, sync, key string) (int64, error) {
	if key != "" {
		id, err := e.group(ctx, sync, key)
		if err != nil {
			return 0, err
		}
		key = id.Key
	}
	defs, err := e.chosen(sync)
	if err != nil {
		return 0, err
	}
	if err := e.intervene(ctx, Intervention{Did: "retry", Sync: sync, Key: key}); err != nil {
		return 0, err
	}
	n, err := e.db.Retry(ctx, sync, key)
	for _, r := range e.remotes {
		if err == nil && slices.ContainsFunc(defs, func(d *definition) bool { return d.To == r }) {
			_, err = e.db.ProbeNow(ctx, r.Name)
		}
	}
	return n, err
}

// Adopt says that the record of a parked group is at the remote, under the
// remote's own id: it is updated in full. It is for remotes that can't look
// records up (class Blind), where a create whose outcome is unknown is parked
// until a person has looked. [ErrNoGroup] without such a group. See [Engine.NotThere].
func (e *Engine) Adopt(ctx context.Context, sync, key, remoteID string) error {
	if remoteID == "" {
		return errors.New("adopt: the remote's id of the record is empty")
	}
	return e.settle(ctx, store.ID{Sync: sync, Key: key}, remoteID)
}

// NotThere says that the record of a parked group is not at the remote: it is
// made. It is refused while an older request may still make it: look once more
// after that. [ErrNoGroup] without such a group. See [Engine.Adopt].
func (e *Engine) NotThere(ctx context.Context, sync, key string) error {
	return e.settle(ctx, store.ID{Sync: sync, Key: key}, "")
}

func (e *Engine) settle(ctx context.Context, id store.ID, remoteID string) error {
	d, err := e.definition(id.Sync)
	if err != nil {
		return err
	}
	if id, err = e.group(ctx, id.Sync, id.Key); err != nil {
		return err
	}
	if _, err := e.db.Group(ctx, id); err != nil {
		return err
	}
	if d.finds() {
		return fmt.Errorf("%s: the remote %s can look records up, so nobody has to say whether one is there: upkeep retry %s", id, d.To.Name, id.Args())
	}
	did := Intervention{Did: "adopt", Sync: id.Sync, Key: id.Key, Detail: remoteID}
	if remoteID == "" {
		did.Did = "not there"
	}
	if err := e.intervene(ctx, did); err != nil {
		return err
	}
	done, other, err := e.db.Settle(ctx, id, remoteID)
	if done || err != nil {
		return err
	}
	if other != "" && other != id.Key {
		has := store.ID{Sync: id.Sync, Key: other}
		return fmt.Errorf("%s: that is the record of %s; look once more which one is meant, or whether the two rows are one: upkeep explain %s", id, has, has.Args())
	}
	g, err := e.db.Group(ctx, id)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", id, err)
	case g.RemoteID != "":
		return fmt.Errorf("%s has a record at the remote: %s", id, g.RemoteID)
	case g.State == store.Parked:
		return fmt.Errorf("%s: an older request may still make the record, until %s: look for it once more after that", id, moment.Of(g.InDoubtUntil))
	}
	return fmt.Errorf("%s is not parked but %s; see: upkeep explain %s", id, g.State, id.Args())
}

// Uninstall removes every trace of Upkeep from the database: triggers, touch
// log, registry and history. The records at the remotes stay.
func (e *Engine) Uninstall(ctx context.Context) error { return e.db.Uninstall(e.tellingLocks(ctx)) }
