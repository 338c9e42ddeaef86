package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// found examines one sync of a struct type and returns the findings, each as
// "severity: message => fix".
func found[T any](s *shop, table string) []string {
	s.t.Helper()
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{upkeep.Sync[T]{Name: "s", Table: table, To: s.to, Record: "r",
		Translate: func(T) (upkeep.Fields, error) { return upkeep.Fields{"a": "b"}, nil }}}})
	if err != nil {
		s.t.Fatal(err)
	}
	findings, err := e.Check(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for _, f := range findings {
		if f.Severity != upkeep.Note {
			all = append(all, fmt.Sprintf("%s: %s => %s", f.Severity, f.Message, f.Fix))
		}
	}
	return all
}

// says fails unless exactly one finding has all the words.
func says(t *testing.T, findings []string, words ...string) {
	t.Helper()
	n := 0
	for _, f := range findings {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(f, w) }) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d findings say %q:\n%s", n, words, strings.Join(findings, "\n"))
	}
}

const machines = `create table machines (site text not null, no integer not null, title text, serial text, primary key (site, no));
	create table pairs (a integer, b integer, name text not null, primary key (a, b));
	create table work (id integer primary key, machine_site text, machine_no integer, pa integer, pb integer, note text,
		foreign key (pa, pb) references pairs (a, b));
	create index work_machine on work (machine_no); create index work_site on work (machine_site); create index work_pair on work (pa);
	create index work_pb on work (pb); create index machines_no on machines (no); create index machines_title on machines (title)`

type pairOf struct {
	Name string `db:"name"`
}

type machineOf struct {
	Title *string `db:"title"`
}

type workOf struct {
	ID int `db:"id"`
}

// The columns of a foreign key in another order than it is declared in lead to
// another row, or to none, and count as clean.
func TestSwappedColumnsOfAForeignKey(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(machines)
		type swapped struct {
			ID   int     `db:"id"`
			Pair *pairOf `belongs_to:"pairs.pb+pa"`
		}
		says(t, found[swapped](s, "work"), "problem: ", `relation "Pair": pb+pa of `, " would point at a+b of ", `=> write belongs_to:"pairs.pa+pb"`)
		type swappedTo struct {
			ID   int     `db:"id"`
			Pair *pairOf `belongs_to:"pairs.pa+pb" to:"b+a"`
		}
		says(t, found[swappedTo](s, "work"), "problem: ", `=> write belongs_to:"pairs.pb+pa"`)
		type swappedMany struct {
			A     int      `db:"a"`
			Work  []workOf `has_many:"work.pb+pa"`
			Count int      `count:"work.pb+pa"`
		}
		all := found[swappedMany](s, "pairs")
		says(t, all, `relation "Work": `, `=> write has_many:"work.pa+pb"`)
		says(t, all, `relation "Count": `, `=> write count:"work.pa+pb"`)
		type right struct {
			ID    int     `db:"id"`
			Pair  *pairOf `belongs_to:"pairs.pa+pb"`
			Other *pairOf `belongs_to:"pairs.pb+pa" to:"b+a"`
		}
		for _, f := range found[right](s, "work") {
			if !strings.Contains(f, "CREATE INDEX") {
				t.Errorf("columns in the right order: %s", f)
			}
		}
	})
}

// Columns that can't be compared are found before a load fails.
func TestColumnsThatCannotBeCompared(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(machines)
		type swapped struct {
			ID      int        `db:"id"`
			Machine *machineOf `belongs_to:"machines.machine_no+machine_site"`
		}
		type other struct {
			ID      int        `db:"id"`
			Machine *machineOf `belongs_to:"machines.note" to:"no"`
		}
		type many struct {
			Title *string  `db:"title"`
			Works []workOf `has_many:"work.pa" to:"title"`
			Count int      `count:"work.pa" to:"title"`
		}
		if strings.HasSuffix(t.Name(), "/sqlite") {
			says(t, found[swapped](s, "work"), "warning: it is INTEGER and is compared with site of main.machines, which is TEXT")
			says(t, found[other](s, "work"), "warning: it is TEXT and is compared with no of main.machines, which is INTEGER")
			return
		}
		says(t, found[swapped](s, "work"), `problem: sync "s": relation "Machine": PostgreSQL can't compare machine_no of public.work (integer) with site of public.machines (text)`,
			"machine_site of public.work (text) with no of public.machines (integer)", "=> name the columns that belong together")
		says(t, found[other](s, "work"), `relation "Machine": PostgreSQL can't compare note of public.work (text) with no of public.machines (integer)`)
		all := found[many](s, "machines")
		says(t, all, `relation "Works": PostgreSQL can't compare title of public.machines (text) with pa of public.work (integer)`)
		says(t, all, `relation "Count": PostgreSQL can't compare`)
		if len(all) != 2 {
			t.Errorf("findings: %q", all)
		}
	})
}

// Everything is said at once, with its relation and what to do.
func TestCheckSaysEverythingAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(machines)
		type machine struct {
			Title  string `db:"title"`
			Serail string `db:"serail"`
			Site   int    `db:"site"`
		}
		type work struct {
			ID      int      `db:"id"`
			Note    string   `db:"note"`
			Machine *machine `belongs_to:"machines.machine_site+machine_no"`
			Spare   *machine `belongs_to:"machines.machin_no"`
		}
		all := found[work](s, "work")
		for _, relation := range []string{"Machine", "Spare"} {
			says(t, all, "problem: ", `relation "`+relation+`": table `, `has no column "serail"`, "=> did you mean serial?")
			says(t, all, "problem: ", `relation "`+relation+`": column site of `, " and the field Site: ", "=> ")
			says(t, all, "warning: ", `relation "`+relation+`": column title of `, " may be NULL", "=> make the field a pointer (*string)")
		}
		says(t, all, "warning: column note of ", " may be NULL", "=> make the field a pointer (*string)")
		says(t, all, `relation "Spare": table `, `has no column "machin_no"`, "=> did you mean machine_no?")
		says(t, all, `relation "Spare": the foreign key machin_no of `, "has 1, and points at site+no of ", `in that order: belongs_to:"machines.column_1+column_2"`)
		if len(all) != 9 {
			t.Errorf("%d findings:\n%s", len(all), strings.Join(all, "\n"))
		}
	})
}

// A condition that depends on the clock changes what a record is to be while no
// row does: Check and Install refuse it.
func TestCheckRefusesTheClock(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(machines)
		type one struct {
			Works int64 `count:"work.machine_site+machine_no" where:"note <> '' and current_timestamp is not null"`
		}
		all := found[one](s, "machines")
		says(t, all, "problem: ", `relation "Works": `, "it asks what time it is (", "let a job of yours set a column")
		if len(all) != 1 {
			t.Errorf("findings: %q", all)
		}
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{upkeep.Sync[one]{Name: "s", Table: "machines", To: s.to, Record: "r",
			Translate: func(o one) (upkeep.Fields, error) { return upkeep.Fields{"works": o.Works}, nil }}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Install(s.ctx); err == nil || !strings.Contains(err.Error(), "it asks what time it is (") {
			t.Errorf("Install: %v", err)
		}
	})
}

// A finding names the table that a declaration is wrong to name.
func TestFindingsNameTheTable(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec("create table keyless (v integer)")
		for _, table := range []string{"keyles", "keyless"} {
			e := s.engine(upkeep.Mapping{Name: "s", To: s.to, Record: "r", From: &upkeep.Relation{Table: table},
				Translate: func(upkeep.Row) (upkeep.Fields, error) { return nil, nil }})
			all, err := e.Check(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			if len(all) != 1 || !strings.HasSuffix(all[0].Table, table) || all[0].Sync != "s" || all[0].Fix == "" {
				t.Errorf("findings of %s: %+v", table, all)
			}
		}
	})
}

// What is not there is told with what to do about it.
func TestFixesOfWhatIsNotThere(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(machines)
		type pair struct {
			A int `db:"a"`
		}
		says(t, found[pair](s, "pair"), "no such table: ", "=> did you mean pairs?")
		says(t, found[pair](s, "zz"), "no such table: ", "=> correct the name, make the table, or let the role see it")
		type counted struct {
			A int   `db:"a"`
			N int64 `count:"work.pa+pb" where:"vv > 1"`
		}
		says(t, found[counted](s, "pairs"), `relation "N": `, "no such column: ", "vv", "=> where and order take columns of ", "it has id, machine_site, ")
	})
}

// A remote that is nil is told, as New tells it.
func TestStoredOfNoRemote(t *testing.T) {
	s := newShop(t, memory.Config{})
	if _, err := upkeep.Stored(s.ctx, s.open(), s.to, nil); err == nil || !strings.Contains(err.Error(), "remotes[1] is nil: give") {
		t.Errorf("it says %v", err)
	}
}

// strict is a connection that takes no backslash in an external id, and of
// record type "none" nothing.
type strict struct{ connector.Connection }

func (s strict) Foresee(c connector.Change) error {
	if strings.Contains(c.Record.ExternalID, `\`) || c.Record.Type == "none" {
		return &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf("the external id %q has a backslash", c.Record.ExternalID)}
	}
	return nil
}

// A comma in a text of a key of several columns makes a backslash in the external
// ids by default. Check, which reads no row, warns where the connection would refuse.
func TestKeysThatMakeRefusedExternalIDs(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(machines + "; create table tags (id varchar(40) primary key)")
		to := *s.to
		to.Connection = strict{s.to.Connection}
		sync := func(name, table, record string, externalID func(upkeep.Row) (string, error)) upkeep.Mapping {
			return upkeep.Mapping{Name: name, From: &upkeep.Relation{Table: table, Columns: []string{}}, To: &to, Record: record, ExternalID: externalID,
				Translate: func(upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"a": "b"}, nil }}
		}
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{
			sync("machine", "machines", "r", nil),
			sync("own", "machines", "r", func(upkeep.Row) (string, error) { return "x", nil }),
			sync("refused", "machines", "none", nil),
			sync("pair", "pairs", "r", nil),
			sync("tag", "tags", "r", nil),
		}})
		if err != nil {
			t.Fatal(err)
		}
		findings, err := e.Check(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, f := range findings {
			if strings.Contains(f.Message, "external id") {
				told = append(told, fmt.Sprintf("%s: %s: %s => %s", f.Severity, f.Sync, f.Message, f.Fix))
			}
		}
		if len(told) != 1 {
			t.Errorf("it warns of %d:\n%s", len(told), strings.Join(told, "\n"))
		}
		says(t, told, "warning: machine: ", "machines, and a row with a comma or a backslash in site would be parked", `"machine-a\\, b,1" has a backslash`, "=> give the sync an external_id")
	})
}

// A check goes within what the workers leave of a remote's limits: it is not what
// has them wait.
func TestCheckLeavesTheWorkersTheirSlots(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{Concurrency: 2, Types: map[string][]string{"customer": {"name", "segment"}}})
		db := s.open()
		e, err := upkeep.New(upkeep.Config{Database: db, Clock: new(restless), Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err == nil {
			err = e.Install(s.ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		calls, full := 0, false
		s.remote.FailWhen(func(q memory.Request) *memory.Fault {
			if calls++; full {
				return &memory.Fault{Err: memory.Err(connector.RateLimited)}
			}
			return nil
		})
		check := func(when string, want int, note string) {
			t.Helper()
			calls = 0
			found, err := e.Check(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			told := slices.ContainsFunc(found, func(f upkeep.Finding) bool {
				return f.Severity == upkeep.Note && strings.HasPrefix(f.Message, note)
			})
			if calls != want || note != "" && !told {
				t.Errorf("%s: %d calls, found %+v; want %d and %q", when, calls, found, want, note)
			}
		}
		hold := func(slots int) {
			t.Helper()
			if _, _, err := db.Hold(s.ctx, "erp", "a worker", store.Ask{Slots: slots, Limit: 2, TTL: time.Hour}); err != nil {
				t.Fatal(err)
			}
		}
		check("while nothing runs", 1, "")
		hold(2)
		check("while a worker has both slots", 0, "not tried: the workers use all")
		if all, err := db.Holders(s.ctx, "erp"); err != nil || len(all) != 1 {
			t.Errorf("who holds a slot, or waits for one, afterwards: %+v, %v", all, err)
		}
		hold(0)
		full = true
		check("when others use it up", 1, "not tried to the end: ")
		full = false
		check("afterwards", 1, "")
		if err := db.Pause(s.ctx, "erp", time.Hour, "429"); err != nil {
			t.Fatal(err)
		}
		check("while it asked to be left alone", 0, "not tried: the workers use all")
	})
}

// silent is a connection that is not answered when it examines itself.
type silent struct {
	connector.Connection
	asked chan struct{}
}

func (s *silent) Check(ctx context.Context, _ []connector.Use) []error {
	close(s.asked)
	<-ctx.Done()
	return []error{ctx.Err()}
}

// Who interrupts an examination is told what it has found by then, and nothing of the
// remote that it was asking.
func TestInterruptedCheckTellsWhatItFound(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{}).in(t)
		s.exec("drop index orders_user") // by which the customers of orders are found
		remote := &silent{s.to.Connection, make(chan struct{})}
		s.to.Connection = remote
		e := s.engine(customerSync(s.to))
		if err := e.Install(s.ctx); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(s.ctx)
		defer cancel()
		go func() { <-remote.asked; cancel() }()
		findings, err := e.Doctor(ctx)
		if said := fmt.Sprint(findings); !errors.Is(err, context.Canceled) || !strings.Contains(said, "orders") || strings.Contains(said, "erp") {
			t.Errorf("%v, found: %s", err, said)
		}
	})
}
