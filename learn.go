package upkeep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// learned is what the database says that the declarations mean there.
type learned struct {
	shapes []*store.Shape // in the order of Engine.defs
	plan   string         // a digest of the shapes and of the declarations
	secret []byte         // key of the digests
}

// retyped is what is logged when only the tables have changed: no process has to
// stop for it.
const retyped = "a column has another type than when it was installed"

// learn asks the database what the declarations mean there.
func (e *Engine) learn(ctx context.Context) error {
	shapes, err := e.resolveAll(ctx)
	if err != nil {
		return err
	}
	plan, err := planOf(e.defs, shapes)
	if err != nil {
		return err
	}
	outdated, err := e.outdated(ctx, shapes)
	if err != nil {
		return err
	}
	e.bar(outdated)
	secret, err := e.db.Secret(ctx)
	if err != nil {
		return fmt.Errorf("learn what the declarations mean: %w", err)
	}
	e.learned.Store(&learned{shapes: shapes, plan: plan, secret: secret})
	return nil
}

// ready learns from the database once, for calls that come before Run.
func (e *Engine) ready(ctx context.Context) error {
	if e.learned.Load() != nil {
		return nil
	}
	return e.learn(ctx)
}

// besidePatience is how long a call waits for a connection beside the caller's.
const besidePatience = 5 * time.Second

// beside bounds how long a call waits that is made in a transaction of the
// caller's: that one may have the only connection of a pool, and others who wait
// here all the rest.
func beside(ctx context.Context, tx any) (context.Context, context.CancelFunc) {
	if tx == nil {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, besidePatience)
}

// readyBeside is ready for such a call.
func (e *Engine) readyBeside(ctx context.Context, tx any) error {
	within, cancel := beside(ctx, tx)
	defer cancel()
	err := e.ready(within)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("the tables were not looked at yet, and no connection came free to do it beside your transaction: call Install (or Explain, where nothing is to be installed) before the first such transaction, or give postgres.New a pool with more connections (%w)", err)
	}
	return err
}

// relearned learns anew for a process that does not run, after something failed
// that goes by the types of the tables, and says whether they have changed. One
// that runs learns by itself, together with the others.
func (e *Engine) relearned(ctx context.Context) bool {
	if e.running.Load() {
		return false
	}
	now, misfit, err := e.learnAnew(ctx)
	if err != nil || misfit != nil || now.plan == e.learned.Load().plan {
		return false
	}
	e.learned.Store(now)
	return true
}

// planOf is a digest of declarations and of what they mean in the database:
// another one if a declaration, its version or a type differs. What is loaded may
// be the same and what is made of it another.
func planOf(defs []*definition, shapes []*store.Shape) (string, error) {
	versions := make([]string, len(defs))
	for i, d := range defs {
		versions[i] = d.version
	}
	b, err := json.Marshal(struct {
		Versions []string
		Shapes   []*store.Shape
	}{versions, shapes})
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), err
}

// learnAnew asks again what the declarations mean, while Run is at work: a
// migration may have given a column another type. A sync that fits the tables
// no more keeps the shape that it had; misfit says why.
func (e *Engine) learnAnew(ctx context.Context) (now *learned, misfit, err error) {
	before := e.learned.Load()
	now = &learned{shapes: slices.Clone(before.shapes), secret: before.secret}
	misfits := map[string]error{}
	for i, d := range e.defs {
		s, _, err := e.resolve(ctx, d)
		if err != nil {
			misfits[d.Name] = err
			misfit = errors.Join(misfit, err)
			continue
		}
		now.shapes[i] = s
	}
	outdated, err := e.outdated(ctx, now.shapes)
	if err != nil {
		return nil, nil, err
	}
	e.bar(rekeyed(misfits), outdated)
	now.plan, err = planOf(e.defs, now.shapes)
	return now, misfit, err
}

// adopt is for a process that finds another plan installed than its own. If its
// declarations mean just that by now, since a type has changed and another
// process was the first to learn so, it goes on with it. Otherwise the plan is
// of another configuration: [store.ErrPlan].
//
// Where one table is migrated after the other, the plan that is found may be of a
// moment between the two, and what is learned now of the next one, or of one before:
// then whoever installed it is about to learn that too, or this process is at it
// itself. It shows in the declarations, which are those that are installed.
func (e *Engine) adopt(ctx context.Context) error {
	for tries := 0; ; {
		if _, err := e.db.Look(ctx, e.learned.Load().plan, nil); !errors.Is(err, store.ErrPlan) {
			return err
		}
		before := e.learned.Load()
		now, _, err := e.learnAnew(ctx)
		if err != nil {
			return err
		}
		if _, err = e.db.Look(ctx, now.plan, nil); err == nil {
			e.tellRetyped(before.shapes, now.shapes)
			return e.goBy(ctx, now)
		}
		if !errors.Is(err, store.ErrPlan) {
			return err
		}
		if e.installing.TryLock() {
			e.installing.Unlock()
			ours, unknown := e.installed(ctx)
			if ours && unknown == nil {
				ours, unknown = e.sameSyncs(ctx)
			}
			if unknown != nil {
				return unknown
			}
			if tries++; !ours || tries > adoptTries {
				return err
			}
		}
		if e.cfg.Clock.Sleep(ctx, adoptRest) != nil {
			return ctx.Err()
		}
	}
}

// sameSyncs says whether the newest plan that was noted has the same syncs, and
// neither one more nor one less: whoever installed that declares what this one does.
func (e *Engine) sameSyncs(ctx context.Context) (bool, error) {
	notes, err := e.db.Plans(ctx)
	if err != nil || len(notes) == 0 {
		return true, err
	}
	for sync := range notes[0].Syncs {
		if e.byName[sync] == nil {
			return false, nil
		}
	}
	return len(notes[0].Syncs) == len(e.defs), nil
}

// For how long the process that installed a plan may take to learn of the next
// change of a table.
const (
	adoptTries = 40
	adoptRest  = 500 * time.Millisecond
)

// installAnew installs the capture as the declarations are to be understood by
// now, and goes by that. It is for the process whose plan is installed:
// otherwise [store.ErrPlan].
func (e *Engine) installAnew(ctx context.Context) error {
	e.installing.Lock()
	defer e.installing.Unlock()
	now, _, err := e.learnAnew(ctx)
	if err != nil {
		return err
	}
	before := e.learned.Load()
	if now.plan != before.plan {
		e.tellRetyped(before.shapes, now.shapes)
	}
	if err := e.db.Install(e.tellingLocks(ctx), now.shapes, now.plan, before.plan); err != nil {
		return fmt.Errorf("install capture: %w", err)
	}
	return e.goBy(ctx, now)
}

// goBy goes by what was learned anew.
func (e *Engine) goBy(ctx context.Context, now *learned) error {
	if err := e.noteLabels(ctx, now.shapes); err != nil {
		return err
	}
	e.learned.Store(now)
	return nil
}

// tellRetyped logs what differs between two readings of the same declarations.
func (e *Engine) tellRetyped(before, now []*store.Shape) {
	if columns := retypedColumns(before, now); len(columns) > 0 {
		e.log.Info(retyped, "columns", columns)
		return
	}
	syncs := []string{}
	for i, s := range now {
		if !reflect.DeepEqual(before[i], s) {
			syncs = append(syncs, s.Sync)
		}
	}
	if len(syncs) == 0 { // another look was quicker, and has told it
		return
	}
	e.log.Info("keys or conditions of the tables of syncs are not what they were when this was installed; it goes by what they are now", "syncs", syncs)
}

// retypedColumns are the columns that differ between two readings of the same
// declarations, for people: "users.name: text not null, now varchar(100)".
func retypedColumns(before, now []*store.Shape) []string {
	was, is := columnTypes(before), columnTypes(now)
	found := []string{}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if old, there := was[name]; there && old != is[name] {
			found = append(found, fmt.Sprintf("%s: %s, now %s", name, old, is[name]))
		}
	}
	return found
}

// columnTypes are the types of all columns that shapes read, by table and column.
func columnTypes(shapes []*store.Shape) map[string]string {
	all := map[string]string{}
	add := func(m *store.Member, columns []store.Column) {
		for _, c := range columns {
			text := c.Type
			if !c.Nullable {
				text += " not null"
			}
			if c.Alike {
				text += " whose collation takes other spellings for equal"
			}
			all[m.Table.String()+"."+c.Name] = text
		}
	}
	for _, s := range shapes {
		s.Root.Walk(func(_ string, m, parent *store.Member) {
			add(m, slices.Concat(m.Key, m.Columns, m.Fragment))
			for _, a := range m.Aggregates {
				if a.Column.Name != "" {
					add(m, []store.Column{a.Column})
				}
			}
			switch {
			case parent == nil:
			case m.Relation == store.BelongsTo:
				add(parent, m.Via)
				add(m, m.To)
			default:
				add(m, m.Via)
				add(parent, m.To)
			}
		})
	}
	return all
}

// otherwise lists the syncs whose declarations, or what they mean in the
// database, are not those of the newest note of a plan, if there is one.
func (e *Engine) otherwise(ctx context.Context) (syncs []string, noted bool, err error) {
	notes, err := e.db.Plans(ctx)
	if err != nil || len(notes) == 0 {
		return nil, false, err
	}
	own, err := e.digests()
	if err != nil {
		return nil, true, err
	}
	return differing(notes[0].Syncs, own), true, nil
}

// announce says that another configuration is about to be replaced.
func (e *Engine) announce(ctx context.Context, plan string) error {
	_, err := e.db.Look(ctx, plan, nil)
	if !errors.Is(err, store.ErrPlan) {
		return err
	}
	known, err := e.db.Counts(ctx)
	if err != nil || len(known) == 0 { // it is the first one
		return err
	}
	same, err := e.installed(ctx)
	for _, c := range known {
		same = same && e.byName[c.Sync] != nil
	}
	syncs, noted, noteErr := e.otherwise(ctx)
	err = errors.Join(err, noteErr)
	const another = "this configuration is another than the one that was installed; processes that run with the other one stop; started again with it, they install theirs again and this one stops"
	switch {
	case len(syncs) == 0 && (same || noted): // another process with this configuration was quicker
	case same:
		e.log.Info(retyped, "syncs", syncs)
	case len(syncs) == 0: // the other one's process ended before it noted what it is
		e.log.Warn(another)
	default:
		e.log.Warn(another, "syncs", syncs)
	}
	return err
}
