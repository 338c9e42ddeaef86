package upkeep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/upkeep-sync/upkeep/internal/spelling"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Engine keeps the remotes up to date with the database. It has two halves
// that know nothing of each other and meet in the group's row:
//
//	capture, fold                                   know when a sync is needed
//	claim, load, translate, compare, send, record   perform it
//
// Any number of engines, in any number of processes, may share one database.
type Engine struct {
	cfg     Config
	db      Database
	log     *slog.Logger
	defs    []*definition
	byName  map[string]*definition
	remotes []*Remote

	stuck      *stuck
	looks      *looks
	learned    atomic.Pointer[learned]
	relabel    atomic.Bool                      // a label was read that was not known
	barred     atomic.Pointer[map[string]error] // syncs that are not loaded: see rekeyed and outdated
	installing sync.Mutex                       // one reading of the declarations at a time is installed
	provenance provenance
	said       said                      // what was logged of the capture
	running    atomic.Bool               // Run is at work
	gates      atomic.Pointer[[]*gate]   // of the runners of Run
	reached    atomic.Pointer[time.Time] // when it last looked at the log; see Ready
	failed     atomic.Pointer[error]     // what ended Run; nil: it is at work, or ended as it was told
}

// New examines the whole configuration and returns every problem of the declarations
// at once. It does not speak to the database or the remotes; what only the tables can
// tell is for [Engine.Check].
func New(cfg Config) (*Engine, error) {
	defs, wrong := define(cfg.Syncs)
	remotes, unfit := gather(defs)
	if err := errors.Join(cfg.examine(), wrong, unfit); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	e := &Engine{cfg: cfg, db: cfg.Database, log: cfg.Logger, defs: defs, byName: map[string]*definition{}, remotes: remotes, stuck: newStuck(), looks: newLooks()}
	var longest time.Duration
	for _, d := range defs {
		e.byName[d.Name] = d
		longest = max(longest, d.traits.Timeout)
	}
	if err := e.cfg.limitTimes(longest); err != nil {
		return nil, err
	}
	return e, nil
}

// limitTimes fills in how long things may take, so that a group that is
// translated in time can still be sent under its lease.
func (c *Config) limitTimes(call time.Duration) error {
	if c.Lease == 0 {
		setDefault(&c.TranslateLimit, 10*time.Second)
		c.Lease = call + c.TranslateLimit + 20*time.Second
	}
	if c.Lease <= call {
		return fmt.Errorf("a lease of %s is shorter than one call may take (%s)", c.Lease, call)
	}
	setDefault(&c.TranslateLimit, min(10*time.Second, (c.Lease-call)/2))
	if c.TranslateLimit < 0 || c.Lease <= call+c.TranslateLimit {
		return fmt.Errorf("a lease of %s is shorter than a translation (%s) and one call (%s) may take together", c.Lease, c.TranslateLimit, call)
	}
	return nil
}

func (c Config) withDefaults() Config {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if c.Name == "" {
		c.Name = fmt.Sprintf("%s:%d", host, os.Getpid())
	}
	if c.By == "" {
		c.By = person(host)
	}
	// Always: two with one name would each take the other's slots and claims
	// for their own.
	c.Name = fmt.Sprintf("%s:%08x", c.Name, rand.Uint32())
	setDefault(&c.MaxAttempts, 12)
	setDefault(&c.Drain, 30*time.Second)
	setDefault(&c.JobLimit, 24*time.Hour)
	setDefault(&c.History, 30*24*time.Hour)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = realClock{}
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	return c
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Name is the name of this engine among those that share the database, as
// Group.Holder has it: Config.Name, or what stands for it, and a random part.
func (e *Engine) Name() string { return e.cfg.Name }

// Install makes the database ready: Upkeep's own schema, and the triggers that
// the declarations ask for. A sync that is new is backfilled from then on, one
// whose declaration changed is swept. Then it makes the remotes ready that need
// it ([connector.Preparer]), as far as they can be: the error tells of the
// others. Idempotent; [Engine.Run] does it too, and does not wait for a remote
// that can't be made ready.
func (e *Engine) Install(ctx context.Context) error {
	if err := e.install(ctx); err != nil {
		return err
	}
	return e.prepareAll(ctx)
}

func (e *Engine) install(ctx context.Context) error {
	ctx = e.tellingLocks(ctx)
	if err := e.unpublished(ctx); err != nil {
		return err
	}
	if err := e.db.Migrate(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := e.examineOrigin(ctx); err != nil {
		return err
	}
	if err := e.learn(ctx); err != nil {
		return err
	}
	if err := e.inPlace(ctx); err != nil {
		return err
	}
	l := e.learned.Load()
	lost, err := e.lost(ctx)
	if err != nil {
		return err
	}
	if err := e.announce(ctx, l.plan); err != nil {
		return err
	}
	// Before and after: whenever this process ends, the sweep is asked for.
	if err := e.sweep(ctx, lost); err != nil {
		return err
	}
	if err := e.db.Install(ctx, l.shapes, l.plan, ""); err != nil {
		return fmt.Errorf("install capture: %w", err)
	}
	if err := e.noteLabels(ctx, l.shapes); err != nil {
		return err
	}
	if err := e.notePlan(ctx); err != nil {
		return err
	}
	if err := e.sweep(ctx, lost); err != nil {
		return err
	}
	for _, d := range e.defs {
		state, err := e.db.Sync(ctx, d.Name)
		if err != nil {
			return err
		}
		if state.Version == d.version {
			continue
		}
		// The triggers stand already, so nothing falls between the two. Records of
		// an earlier installation may be there: a forced group is looked for.
		look := state.Version == "" && d.looks()
		if err := e.db.StartBackfill(ctx, d.Name, d.version, look || state.Version != "", look); err != nil {
			return fmt.Errorf("start backfill of %s: %w", d.Name, err)
		}
		if state.Version == "" {
			e.log.Info("a new sync: all its rows are looked at", "sync", d.Name)
		} else {
			e.log.Info("the mapping has changed: all its rows are looked at, and what differs is sent", "sync", d.Name)
		}
	}
	return nil
}

// lost lists the syncs that were installed as they are declared now, and lack
// a trigger: changes of their tables may have gone unseen.
func (e *Engine) lost(ctx context.Context) ([]*definition, error) {
	// Asked first: another process that installs now makes the triggers before
	// it notes the version.
	installed := map[*definition]bool{}
	for _, d := range e.defs {
		state, err := e.db.Sync(ctx, d.Name)
		if err != nil {
			return nil, err
		}
		installed[d] = state.Version == d.version
	}
	changes, err := e.db.Preview(ctx, e.learned.Load().shapes)
	if err != nil {
		return nil, fmt.Errorf("compare the triggers: %w", err)
	}
	gaps := map[store.Table]bool{}
	for _, c := range changes {
		gaps[c.Table] = gaps[c.Table] || c.Gap
	}
	var lost []*definition
	for _, d := range e.defs {
		gap := false
		e.shape(d.Name).Root.Walk(func(_ string, m, _ *store.Member) { gap = gap || gaps[m.Table] })
		if gap && installed[d] {
			lost = append(lost, d)
			e.log.Warn("a trigger was lost; every group is looked at again", "sync", d.Name)
		}
	}
	return lost, nil
}

// sweep asks for every group of the syncs to be looked at again.
func (e *Engine) sweep(ctx context.Context, defs []*definition) error {
	for _, d := range defs {
		if err := e.db.StartBackfill(ctx, d.Name, d.version, true, false); err != nil {
			return fmt.Errorf("start a sweep of %s: %w", d.Name, err)
		}
	}
	return nil
}

func (e *Engine) shape(sync string) *store.Shape {
	for _, s := range e.learned.Load().shapes {
		if s.Sync == sync {
			return s
		}
	}
	return nil
}

// byHand lists the syncs whose groups are made by Register only.
func (e *Engine) byHand() []string {
	var names []string
	for _, d := range e.defs {
		if d.ByHand {
			names = append(names, d.Name)
		}
	}
	return names
}

// group is the group that a person means, whose key may be in another spelling
// than the database's.
func (e *Engine) group(ctx context.Context, sync, key string) (store.ID, error) {
	id := store.ID{Sync: sync, Key: key}
	if _, err := e.definition(sync); err != nil {
		return id, err
	}
	if err := e.ready(ctx); err != nil {
		return id, err
	}
	shape := e.shape(sync)
	if _, err := store.SplitKey(key, len(shape.Root.Key)); err != nil {
		return id, fmt.Errorf("%s: %w; the key of %s has %s", sync, notKey(err), shape.Root.Table, keyTypes(shape))
	}
	found, err := e.db.Canonical(ctx, shape, []string{key})
	if err != nil {
		return id, fmt.Errorf("%s: %w", sync, err)
	}
	own, fits := found[key]
	if fits && own == key {
		return id, nil
	}
	if _, err := e.db.Group(ctx, id); err == nil {
		return id, nil // a group under just this spelling is the one that is meant
	}
	if !fits {
		return id, noKey(shape, key)
	}
	return store.ID{Sync: sync, Key: own}, nil
}

// definition finds a sync by name; the error names those that are there.
func (e *Engine) definition(name string) (*definition, error) {
	if d := e.byName[name]; d != nil {
		return d, nil
	}
	var names []string
	for _, d := range e.defs {
		names = append(names, d.Name)
	}
	if name == "" {
		return nil, &told{fmt.Errorf("no sync is named; there are: %s", strings.Join(names, ", ")), ErrNoSync}
	}
	return nil, &told{fmt.Errorf("there is no sync %q%s; there are: %s", name, spelling.DidYouMean(name, names), strings.Join(names, ", ")), ErrNoSync}
}

// chosen is the sync of that name, or all of them for an empty one.
func (e *Engine) chosen(name string) ([]*definition, error) {
	if name == "" {
		return e.defs, nil
	}
	d, err := e.definition(name)
	if err != nil {
		return nil, err
	}
	return []*definition{d}, nil
}

// told is an error in its own words that is also one of the variables which
// programs tell apart.
type told struct {
	error
	is error
}

func (t *told) Unwrap() error { return t.error }

func (t *told) Is(target error) bool { return target == t.is }

// notKey is an [ErrKey] with the words of err; nil for nil.
func notKey(err error) error {
	if err == nil {
		return nil
	}
	return &told{err, ErrKey}
}
