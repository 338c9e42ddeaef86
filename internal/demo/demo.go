// Package demo shows Upkeep at work on one machine: it makes a small shop in a
// database, starts a NetSuite sandbox, and lets an application change the shop
// while Upkeep keeps the sandbox up to date.
package demo

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
	"github.com/upkeep-sync/upkeep/internal/config"
	"github.com/upkeep-sync/upkeep/internal/screen"
	"github.com/upkeep-sync/upkeep/internal/store"
)

//go:embed upkeep.yaml
var template string

// Config says how the demo runs. Its zero values work, but for Connectors and
// Out.
type Config struct {
	// Source is the database: empty for a SQLite file in the demo's
	// directory, "sqlite:" and the path of a new file, or a PostgreSQL URL.
	Source string
	// Once makes the fixed run: a burst of changes, then a comparison of
	// everything. Otherwise changes go on until the context ends.
	Once bool
	// Seed makes what the application does repeatable. Zero means 1.
	Seed uint64
	// Scale multiplies the sizes; zero means 1.
	Scale float64
	// All adds three remotes to NetSuite: Salesforce, a warehouse and a
	// webhook.
	All bool
	// Latency, in a fixed run, is how many single changes are timed from
	// their commit to the remote.
	Latency int
	// Keep leaves everything as it is at the end.
	Keep bool

	Connectors config.Connectors
	Out        io.Writer
	// Terminal says that Out is a terminal. Size, if not nil, is asked for its
	// columns and lines before each picture, as the window may change; zero
	// columns mean that lines are not cut.
	Terminal bool
	Size     func() (width, height int)

	// meddle is a test's hand at the sandbox, before the comparison; under is
	// where it wants the demo's directory.
	meddle  func(*account)
	started func(*demo) // once the remotes are there
	under   string
	leave   time.Duration // how long a stop may take; zero means leaveMost
}

// demo is a demo under way.
type demo struct {
	Config
	dir     string
	file    string // the configuration's path
	size    size
	place   *place
	account *account
	others  *others // nil without All
	shop    *shop
	screen  *board
	watch   *watch
	engine  *upkeep.Engine
	touches atomic.Int64 // that triggers logged
	alive   atomic.Bool  // the backfill is over, and the application works

	backfilled int   // calls of the backfill
	before     int64 // those of them that the syncs made to send
}

// leaveMost is how long a stop may take, when a remote hangs: most of it goes
// to what is on its way, the rest to calls that don't end.
const leaveMost = 20 * time.Second

// Run runs the demo. It returns false when the remote turned out not to be
// what the database says.
func Run(ctx context.Context, c Config) (inSync bool, err error) {
	if c.Seed == 0 {
		c.Seed = 1
	}
	if c.Scale == 0 {
		c.Scale = 1
	}
	if c.leave == 0 {
		c.leave = leaveMost
	}
	d := &demo{Config: c, size: sizeOf(c.Scale), watch: &watch{}, screen: &board{Screen: screen.Screen{Out: c.Out}, terminal: c.Terminal, size: c.Size}}
	if d.dir, err = os.MkdirTemp(c.under, "upkeep-demo-"); err != nil {
		return false, err
	}
	d.file = filepath.Join(d.dir, "upkeep.yaml")
	if !c.Keep {
		defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	}
	if d.place, err = findPlace(ctx, c.Source, d.dir); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, d.place.end(c.Keep)) }()
	if d.account, err = openAccount(c.Seed, d.watch.answered); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, d.account.close()) }()
	if d.All {
		if d.others, err = openOthers(c.Seed, d.place, d.dir); err != nil {
			return false, err
		}
		defer func() { err = errors.Join(err, d.others.close()) }()
	}
	if err := d.open(ctx); err != nil {
		return false, err
	}
	if d.started != nil {
		d.started(d)
	}
	inSync, err = d.withEngine(ctx)
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))) {
		if !d.Once { // it is to be ended so, whatever it is at
			return true, nil
		}
		err = errInterrupted
	}
	return inSync, err
}

var errInterrupted = errors.New("interrupted before the end")

// open makes the shop and writes the configuration.
func (d *demo) open(ctx context.Context) error {
	items, err := d.account.items()
	if err != nil {
		return err
	}
	d.shop = &shop{db: d.place.db, random: rand.New(rand.NewPCG(d.Seed, 0)), now: time.Now, items: items, edited: map[int64]time.Time{}}
	if !d.Once {
		d.shop.rest = 5 * time.Second
	}
	if err := d.shop.create(ctx, d.place.id, d.size); err != nil {
		return err
	}
	source, err := json.Marshal(strings.ReplaceAll(d.place.url, "$", "$$"))
	if err != nil {
		return err
	}
	configuration := strings.NewReplacer("@REMOTES@", "", "@SYNCS@", "").Replace(template)
	if d.All {
		remotes := strings.NewReplacer(d.others.placeholders()...).Replace(otherRemotes)
		configuration = strings.NewReplacer("@REMOTES@", "\n"+remotes, "@SYNCS@", otherSyncs).Replace(template)
	}
	text := strings.NewReplacer("@SOURCE@", string(source), "@CHANGE@", d.place.change, "@SANDBOX@", d.account.url,
		"@CONSUMER_KEY@", netsuitetest.ConsumerKey, "@CONSUMER_SECRET@", netsuitetest.ConsumerSecret,
		"@TOKEN_ID@", netsuitetest.TokenID, "@TOKEN_SECRET@", netsuitetest.TokenSecret,
		"-c upkeep.yaml", "-c "+d.file).Replace(configuration)
	if err := os.WriteFile(d.file, []byte(text), 0o600); err != nil {
		return err
	}
	d.screen.say("The shop:          %s (%d users, %d customers, %d orders)", d.place.name, d.size.users, d.size.customers, d.size.orders)
	d.screen.say("NetSuite:          a sandbox at %s", d.account.url)
	if d.All {
		d.screen.say("Salesforce:        a sandbox at %s", d.others.url.org)
		d.screen.say("Warehouse:         %s", d.others.about())
		d.screen.say("Webhook:           a receiver at %s", d.others.url.hook)
	}
	d.screen.say("The configuration: %s", d.file)
	if !d.Once {
		d.screen.say("To try from another terminal (where upkeep is not installed, in the clone: go run ./cmd/upkeep in its place):")
		d.screen.say("  %s", d.place.change)
		d.screen.say("  upkeep -c %s explain sales_order 42", d.file)
		d.screen.say("  upkeep -c %s status     # or top, a live screen", d.file)
		d.screen.say("  curl %s/sandbox/faults -d '{\"kind\":\"status\",\"status\":429}'   # break the remote; mend it: curl -X DELETE %[1]s/sandbox/faults, and calls go on when the pause is over that status tells", d.account.url)
	}
	d.screen.say("")
	return nil
}

// withEngine runs the engine beside the application. It ends after it, so that
// the last changes still go out.
func (d *demo) withEngine(ctx context.Context) (inSync bool, err error) {
	log, err := os.OpenFile(filepath.Join(d.dir, "upkeep.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	db, err := d.place.open(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	remotes, err := d.makeEngine(ctx, db, log)
	for _, r := range remotes {
		defer func() { err = errors.Join(err, r.Connection.Close()) }()
	}
	if err != nil {
		return false, err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	ended := make(chan error, 1)
	go func() {
		err := d.engine.Run(life)
		if errors.Is(err, upkeep.ErrPlan) && d.alive.Load() { // somebody tries another mapping, with the same shop
			d.screen.say("Another configuration was installed, which that process has to send by now: upkeep run. The shop and the remote go on; Ctrl-C ends them.")
			ended <- nil
			return
		}
		ended <- err
		end() // of itself: then there is nothing to wait for any more
	}()
	inSync, err = d.play(ctx, life)
	end()
	if failed := <-ended; failed != nil {
		return false, fmt.Errorf("the engine ended: %w", failed)
	}
	return inSync, err
}

// makeEngine reads the configuration file that was written, as upkeep run does.
func (d *demo) makeEngine(ctx context.Context, db upkeep.Database, log io.Writer) (map[string]*upkeep.Remote, error) {
	data, err := os.ReadFile(d.file)
	if err != nil {
		return nil, err
	}
	file, err := config.Parse(d.file, data, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	remotes, err := file.Open(d.Connectors)
	if err != nil {
		return nil, err
	}
	mappings, problems := file.Mappings(ctx, db, remotes)
	if len(problems) > 0 && ctx.Err() != nil {
		return remotes, ctx.Err() // the file is not to blame
	}
	if err := errors.Join(problems...); err != nil {
		return remotes, err
	}
	c := upkeep.Config{Database: &counter{Database: db, rows: &d.touches}, Logger: slog.New(slog.NewTextHandler(log, nil)), Drain: d.leave / 4}
	for _, m := range mappings {
		c.Syncs = append(c.Syncs, m)
	}
	d.engine, err = upkeep.New(c)
	return remotes, err
}

// counter counts what is taken from the touch log. Each row is taken once.
type counter struct {
	upkeep.Database
	rows *atomic.Int64
}

func (c *counter) Fold(ctx context.Context, shapes []*store.Shape, plan string, limit int) (store.Folded, error) {
	f, err := c.Database.Fold(ctx, shapes, plan, limit)
	if err == nil {
		c.rows.Add(int64(f.Rows))
	}
	return f, err
}

// play is the demo from the backfill on. life ends with the engine, and later
// than ctx.
func (d *demo) play(ctx, life context.Context) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(life, cancel)()
	if err := d.backfill(ctx); err != nil {
		return false, err
	}
	if d.Once {
		return d.once(ctx)
	}
	return true, d.live(ctx, life)
}

// backfill waits until everything that was there before Upkeep is at the
// remote.
func (d *demo) backfill(ctx context.Context) error {
	began := time.Now()
	total := d.groups()
	quarter := int64(1)
	var done int64
	err := d.quiet(ctx, func(s *upkeep.Status) bool {
		done = 0
		for _, c := range s.Syncs {
			done += c.Clean + c.Gone + c.Parked + c.Skipped
		}
		d.screen.progress("Backfill", done, total)
		for ; !d.Terminal && quarter <= 4 && done >= total*quarter/4; quarter++ {
			d.screen.say("Backfill: %d of %d groups", total*quarter/4, total)
		}
		return done >= total
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	d.backfilled = d.calls()
	s, err := d.engine.Status(ctx)
	if err != nil {
		return err
	}
	d.before = sent(s)
	d.screen.say("Backfill: %d groups in %.1f s (%.0f a second), %d calls; drafts and orders that are not shipped are groups without a record", done, took.Seconds(), float64(done)/took.Seconds(), d.backfilled)
	d.screen.say("")
	return nil
}

// quiet waits until there is nothing left to do and enough says so.
func (d *demo) quiet(ctx context.Context, enough func(*upkeep.Status) bool) error {
	for {
		fine := false
		err := d.engine.Quiet(ctx, func(s *upkeep.Status) { fine = enough == nil || enough(s) })
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && !errors.Is(err, store.ErrNotInstalled) {
			return err
		}
		if err == nil && fine {
			return nil
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// pause waits for d, or less when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// groups is how many groups the syncs make of what the shop begins with.
func (d *demo) groups() int64 {
	n := d.size.groups()
	if d.All {
		n += int64(2*d.size.users + 3*d.size.orders)
	}
	return n
}

// sent is how many calls the syncs made to send something, since the beginning.
func sent(s *upkeep.Status) (n int64) {
	for _, c := range s.Syncs {
		n += c.Calls
	}
	return n
}

// calls is how many requests the remotes have had, whoever made them.
func (d *demo) calls() int {
	n := d.account.calls()
	if d.All {
		n += d.others.calls()
	}
	return n
}
