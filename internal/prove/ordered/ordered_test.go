package ordered

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/postgres"
)

// few cases make the short form; more are asked for with -rapid.checks.
const few = "5"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" || f.Name == "rapid.seed" })
	if !given {
		_ = flag.Set("rapid.seed", "1") // the same cases each time: the long form is for others
		_ = flag.Set("rapid.checks", few)
	}
	_ = flag.Set("rapid.nofailfile", "true")
	goleak.VerifyTestMain(m)
}

// TestOrdered is the property of "deliver: every": each version that a commit
// made of a group comes to the remote, in the order of the commits, whatever
// the application's connections do, and wherever a worker is stopped, killed,
// or meets a fault. What each commit made is read from the tables right after
// it. What may be left out is what docs/ordered.md says, and no more. The same
// tables have a sync beside it that delivers the latest version.
func TestOrdered(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	n, commits, versions := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		o := begin(rt, url, fmt.Sprint("shop", n))
		defer o.close()
		rt.Repeat(map[string]func(*rapid.T){"step": func(*rapid.T) { o.step() }})
		o.endAll()
		o.settle()
		o.stop(false)
		o.observer.run("drop schema " + o.schema + " cascade")
		commits += o.commits
		for _, p := range o.every {
			versions += len(p.steps) + len(p.strays)
		}
	})
	fmt.Fprintf(os.Stderr, "property  ordered   cases %5d  transactions %6d  versions %6d\n", n, commits, versions)
}

// ordering is one case.
type ordering struct {
	*rapid.T
	ctx    context.Context
	cancel context.CancelFunc
	shop
	endings
	schema   string
	observer *session // never in a transaction
	sessions []*session
	alone    *session // has locked a table, or its versions are read before its end: nobody else does anything
	prepared []*prepared

	now           map[string]version
	every, latest map[string]*past
	tardy         bool // a request was applied after its caller gave it up
	commits       int
	names         int

	remote  *memory.Remote
	db      *postgres.DB
	syncs   []upkeep.AnySync
	control *upkeep.Engine
	worker  *worker
	engines int            // of a worker
	paused  bool           // the worker, until a table is truncated
	hours   int            // by which the database's clock is ahead
	gaps    map[string]int // for want of time, by key
}

func begin(rt *rapid.T, url, schema string) *ordering {
	o := &ordering{
		T: rt, schema: schema, every: map[string]*past{}, latest: map[string]*past{}, gaps: map[string]int{},
		shop: shop{rapid.Bool().Draw(rt, "foreign keys"), rapid.Bool().Draw(rt, "lines are filtered"), rapid.IntRange(0, 3).Draw(rt, "trigger") == 0},
		endings: endings{
			rapid.SampledFrom([]upkeep.Action{upkeep.Delete, upkeep.Delete, upkeep.Set, upkeep.Keep}).Draw(rt, "on delete"),
			rapid.SampledFrom([]upkeep.Action{upkeep.Delete, upkeep.Set, upkeep.Keep}).Draw(rt, "when false"),
		},
		engines: rapid.SampledFrom([]int{1, 1, 2}).Draw(rt, "engines"),
		remote:  memory.New(memory.Config{Batch: rapid.SampledFrom([]int{0, 5}).Draw(rt, "batch")}),
	}
	o.ctx, o.cancel = context.WithTimeout(context.Background(), 2*time.Minute)
	o.observer = o.connect(url)
	o.observer.run("drop schema if exists upkeep cascade")
	for _, sql := range o.create(schema) {
		o.observer.run(sql)
	}
	for range 3 {
		s := o.connect(url)
		// Who waits for another's lock is refused; who waits for its turn goes
		// without it after a quarter of the first.
		s.run("set search_path = " + schema + "; set statement_timeout = '3s'; set lock_timeout = '30ms'")
		o.sessions = append(o.sessions, s)
	}
	for _, sql := range []string{"insert into regions values (1, 'r')", "insert into customers values (1, 1, 'c'), (2, 1, 'd')",
		"insert into orders values (1, 1, 'a'), (2, 1, 'b'), (3, 2, 'c')", `insert into lines values (1, 1, 'x'), (2, 1, 'y'), (3, 2, 'z')`} {
		if rapid.IntRange(0, 3).Draw(rt, "rows before") < 3 {
			_ = o.observer.exec(sql) // or what it refers to is not there
		}
	}
	if rapid.IntRange(0, 7).Draw(rt, "crowd") == 7 {
		_ = o.observer.exec(fmt.Sprintf("insert into orders select n, 1, 'a' from generate_series(%d, %d) n", crowd, 2*crowd))
	}
	var err error
	o.db, err = postgres.Open(o.ctx, url)
	o.ok(err)
	to := &upkeep.Remote{Name: "r", Connection: o.remote.Connect()}
	o.syncs = []upkeep.AnySync{o.declaration("every", upkeep.Every, to), o.declaration("latest", upkeep.Latest, to)}
	o.control = o.engine(o.db)
	o.ok(o.control.Install(o.ctx))
	o.committed(&session{}, nil, nil)
	return o
}

func (o *ordering) close() {
	o.stop(false)
	for _, p := range o.prepared {
		_ = o.observer.exec("rollback prepared '" + p.name + "'")
	}
	for _, s := range append(o.sessions, o.observer) {
		_ = s.conn.Close(context.Background())
	}
	if o.db != nil {
		_ = o.db.Close()
	}
	o.cancel()
}

func (o *ordering) ok(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

func (o *ordering) engine(db upkeep.Database) *upkeep.Engine {
	e, err := upkeep.New(upkeep.Config{Database: db, Syncs: o.syncs, Random: func() float64 { return 0 }, MaxAttempts: 1000, Drain: 5 * time.Second})
	o.ok(err)
	return e
}

func (o *ordering) declaration(name string, deliver upkeep.Delivery, to *upkeep.Remote) upkeep.Mapping {
	lines := &upkeep.Relation{Table: o.schema + ".lines", Via: []string{"order"}, To: []string{"id"}, Columns: []string{"sku"}, Order: "id",
		Aggregates: []upkeep.Aggregate{{Name: "count", Func: "count"}}}
	if o.filtered {
		lines.Where = "sku is not null"
	}
	ending := func(a upkeep.Action) upkeep.Ending {
		if a == upkeep.Set {
			return upkeep.Ending{Action: a, Fields: upkeep.Fields{"archived": true}}
		}
		return upkeep.Ending{Action: a}
	}
	return upkeep.Mapping{
		Name: name, To: to, Record: name, Deliver: deliver, DeleteLimit: -1,
		From: &upkeep.Relation{Table: o.schema + ".orders", Columns: []string{"state", "total"},
			HasMany: map[string]*upkeep.Relation{"lines": lines},
			BelongsTo: map[string]*upkeep.Relation{"customer": {Table: o.schema + ".customers", Via: []string{"customer"}, To: []string{"id"}, Columns: []string{"name"},
				BelongsTo: map[string]*upkeep.Relation{"region": {Table: o.schema + ".regions", Via: []string{"region"}, To: []string{"id"}, Columns: []string{"name"}}}}},
		},
		When:     func(r upkeep.Row) (bool, error) { return r["state"] != "off", nil },
		OnDelete: ending(o.onDelete), WhenFalse: ending(o.whenFalse),
		Translate: func(r upkeep.Row) (upkeep.Fields, error) {
			customer, _ := r["customer"].(upkeep.Row)
			region, _ := customer["region"].(upkeep.Row)
			skus := []string{}
			for _, l := range r["lines"].([]upkeep.Row) {
				skus = append(skus, said(l["sku"]))
			}
			return upkeep.Fields{"state": said(r["state"]), "total": said(r["total"]), "customer": said(customer["name"]), "region": said(region["name"]),
				"lines": skus, "count": said(r["count"]), "archived": false}, nil
		},
	}
}

func said(v any) string { return fmt.Sprint(v) }

// read computes what each group is, from all rows as a session sees them, and
// tells which rows these are.
func (o *ordering) read(s *session) (groups map[string]version, rows map[string]string) {
	o.Helper()
	type row struct {
		ID, Region, Customer, Order, Total *int
		Name, State, Sku                   *string
	}
	var all struct{ Regions, Customers, Orders, Lines []row }
	o.ok(json.Unmarshal([]byte(s.ask(`select json_build_object(
		'regions', (select coalesce(json_agg(t), '[]') from regions t), 'customers', (select coalesce(json_agg(t), '[]') from customers t),
		'orders', (select coalesce(json_agg(t), '[]') from orders t), 'lines', (select coalesce(json_agg(t order by id), '[]') from lines t))`)), &all))
	word := func(p *string) string {
		if p == nil {
			return "<nil>"
		}
		return *p
	}
	is := func(a, b *int) bool { return a != nil && b != nil && *a == *b }
	groups, rows = map[string]version{}, map[string]string{}
	for _, order := range all.Orders {
		members := []row{order}
		f := map[string]any{"state": word(order.State), "total": fmt.Sprint(*order.Total), "customer": "<nil>", "region": "<nil>"}
		for _, c := range all.Customers {
			if is(c.ID, order.Customer) {
				members = append(members, c)
				f["customer"] = word(c.Name)
				for _, r := range all.Regions {
					if is(r.ID, c.Region) {
						members = append(members, r)
						f["region"] = word(r.Name)
					}
				}
			}
		}
		skus := []string{}
		for _, l := range all.Lines {
			if !is(l.Order, order.ID) {
				continue
			}
			if members = append(members, l); l.Sku != nil || !o.filtered {
				skus = append(skus, word(l.Sku))
			}
		}
		f["lines"], f["count"] = skus, fmt.Sprint(len(skus))
		k := fmt.Sprint(*order.ID)
		groups[k], rows[k] = version{there: true, off: word(order.State) == "off", fields: text(f)}, text(members)
	}
	return groups, rows
}

// committed writes down what a commit made of each group. s is whose it was;
// saw is what it saw itself before, if that may be another thing than what was
// there after it; loose is true of the groups that others have changed since
// that was read, and tells from which step on.
func (o *ordering) committed(s *session, saw map[string]version, loose func(key string) (from int, is bool)) {
	o.Helper()
	now, _ := o.read(o.observer)
	first := o.now == nil
	overtaken := s.began < o.commits
	late := o.late()
	keys := map[string]bool{}
	for _, m := range []map[string]version{o.now, now, saw} {
		for k := range m {
			keys[k] = true
		}
	}
	for k := range s.seen {
		keys[k] = true
	}
	for k := range keys {
		p, latest := pastOf(o.every, k), pastOf(o.latest, k)
		v, changed := now[k], o.now[k] != now[k]
		if changed {
			latest.steps = append(latest.steps, step{v, false})
		}
		stale := saw != nil && saw[k] != v // what it sent may be what it saw
		from, is := 0, false
		if loose != nil {
			from, is = loose(k)
		}
		// What it saw is passed over if the record was ended since.
		inTime := !s.crowded && !p.endedSince(s.at[k])
		switch {
		case !changed && !s.seen[k] && !stale:
			// A version too, which says the same as the one before, and is seen where
			// one of a prepared transaction comes between them.
			if s.same[k] && v.there {
				p.steps = append(p.steps, step{v, false})
			}
		case late[k] || s.truncated && !(s.seen[k] && v.there):
			p.steps = append(p.steps, step{v, false})
		case is && saw[k] != o.now[k] || is && s.seen[k]:
			if !saw[k].there || saw[k].off { // older than what others read since, which is passed over
				p.excuse(from)
			}
			for i := from; i < len(p.steps); i++ { // whose outcome was unknown goes again, behind this one
				p.strays = append(p.strays, stray{step{p.steps[i].version, false}, i + 1, len(p.steps)})
			}
			p.strays = append(p.strays, stray{step{saw[k], s.seen[k] && inTime}, from, len(p.steps)})
			p.steps = append(p.steps, step{v, false})
		case !s.seen[k]:
			// Others made a row refer to what this one changed, and neither saw the
			// other: the state comes.
			if stale {
				p.steps = append(p.steps, step{saw[k], false})
			}
			p.steps = append(p.steps, step{v, !first && !overtaken && !stale && !s.crowded})
		case stale:
			p.steps = append(p.steps, step{saw[k], inTime}, step{v, false})
		default:
			p.steps = append(p.steps, step{v, !s.crowded})
		}
	}
	if !maps.Equal(o.now, now) {
		o.commits++
	}
	o.now = now
}

// steps tells how many steps each group has.
func (o *ordering) steps() map[string]int {
	at := map[string]int{}
	for k, was := range o.every {
		at[k] = len(was.steps)
	}
	return at
}

func pastOf(all map[string]*past, key string) *past {
	if all[key] == nil {
		all[key] = &past{}
	}
	return all[key]
}

// late are the groups of which a version could not be read in time since it was
// asked last.
func (o *ordering) late() map[string]bool {
	found := map[string]bool{}
	for _, k := range strings.Fields(o.observer.ask(`select coalesce(string_agg(key, ' '), '') from upkeep.command_gaps where reason like 'statement_timeout%'`)) {
		found[k] = true
	}
	late := map[string]bool{}
	for k := range found {
		n := strings.Count(o.observer.ask(`select coalesce(string_agg('x', ''), '') from upkeep.command_gaps where reason like 'statement_timeout%' and key = '`+k+`'`), "x")
		late[k], o.gaps[k] = n > o.gaps[k], n
	}
	return late
}

// compare looks at what the remote was sent.
func (o *ordering) compare() {
	o.Helper()
	for name, all := range map[string]map[string]*past{"every": o.every, "latest": o.latest} {
		records := sent(o.remote, name)
		keys := slices.Sorted(maps.Keys(all))
		for id := range records {
			if k := strings.TrimPrefix(id, name+"-"); all[k] == nil {
				o.Fatalf("%s was sent, and never was", id)
			}
		}
		for _, k := range keys {
			p := *all[k]
			p.steps = append(slices.Clone(p.steps), step{o.now[k], true})
			seen := records[name+"-"+k]
			right := p.explains(seen, o.endings)
			if name == "latest" && o.tardy { // what lands late lands over the newer state there, until the doubt is over
				right = p.endsWith(seen, o.endings)
			}
			if !right {
				var b strings.Builder
				for i, h := range seen {
					fmt.Fprintf(&b, "\n\t%3d %+v", i, h)
				}
				o.Fatalf("%s-%s (on delete: %s, when false: %s) was at the remote%s\nand the commits made of it%s\n%s", name, k, o.onDelete, o.whenFalse, b.String(), p.String(), o.lane())
			}
		}
	}
}

// lane is what the registry says, for a failure's message.
func (o *ordering) lane() string {
	return o.observer.ask(`select 'gaps: ' || coalesce((select string_agg(coalesce(key, 'all') || ': ' || reason, '; ' order by id) from upkeep.command_gaps), 'none') ||
		E'\ncommands: ' || coalesce((select string_agg(key || ' ' || number || ' ' || coalesce(payload::text, 'deleted') || ' ' || unordered || ' ' || refused, E'\n  ' order by number) from upkeep.commands), 'none') ||
		E'\ngroups: ' || coalesce((select string_agg(sync || '/' || key || ' ' || reason, '; ') from upkeep.groups where reason <> '' or parked), 'no reasons')`)
}

// session is a connection of the application.
type session struct {
	o    *ordering
	conn *pgconn.PgConn

	open, snapshot bool // snapshot: REPEATABLE READ
	truncated      bool
	crowded        bool            // it changed a row that too many groups are made of
	immediate      bool            // its versions are read after each statement
	began          int             // commits before
	at             map[string]int  // steps of each group before
	seen           map[string]bool // groups that its statements have changed, as it saw them itself
	same           map[string]bool // those of which it changed rows, and nothing that is sent
	points         []map[string]bool
}

func (o *ordering) connect(url string) *session {
	conn, err := pgconn.Connect(o.ctx, url)
	o.ok(err)
	return &session{o: o, conn: conn}
}

func (s *session) exec(sql string) error {
	if command, lines, is := strings.Cut(sql, " from stdin\n"); is {
		_, err := s.conn.CopyFrom(s.o.ctx, strings.NewReader(lines), command+" from stdin")
		return err
	}
	return s.conn.Exec(s.o.ctx, sql).Close()
}

func (s *session) run(sql string) {
	s.o.Helper()
	if err := s.exec(sql); err != nil {
		s.o.Fatalf("%s: %v", sql, err)
	}
}

// ask returns the one value of a query.
func (s *session) ask(sql string) string {
	s.o.Helper()
	results, err := s.conn.Exec(s.o.ctx, sql).ReadAll()
	if err != nil {
		s.o.Fatalf("%s: %v", sql, err)
	}
	return string(results[0].Rows[0][0])
}

// prepared is a prepared transaction.
type prepared struct {
	session
	name string
	saw  map[string]version
	at   map[string]int // steps of each group when it was prepared
}
