package upkeep_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// hurried is a process's clock that can be put forward.
type hurried struct{ ahead atomic.Int64 }

func (c *hurried) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *hurried) Sleep(ctx context.Context, d time.Duration) error {
	for end := c.Now().Add(d); c.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(d, time.Millisecond)):
		}
	}
	return nil
}

// hurriedEngine is an engine whose translations have ten seconds of c.
func (s *shop) hurriedEngine(c *hurried, syncs ...upkeep.AnySync) *upkeep.Engine {
	s.t.Helper()
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: syncs, Clock: c, TranslateLimit: 10 * time.Second,
		Logger: slog.New(slog.NewTextHandler(testWriter{s.t}, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// untilHurried puts the clock forward until a condition holds.
func (s *shop) untilHurried(c *hurried, what string, ok func() bool) {
	s.t.Helper()
	s.until(what, func() bool {
		c.ahead.Add(int64(200 * time.Millisecond))
		return ok()
	})
}

// parked lists why groups are parked.
func (s *shop) parked(e *upkeep.Engine) map[string]string {
	s.t.Helper()
	groups, err := e.Groups(s.ctx, "", upkeep.Parked, upkeep.ID{}, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	reasons := map[string]string{}
	for _, g := range groups {
		reasons[g.ID.String()] = g.Reason
	}
	return reasons
}

// A translation that does not end parks its own group, and the others do not
// wait for it, not even until its time is over.
func TestTranslationThatDoesNotEnd(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s, clock, release := newShop(memory.Config{}), &hurried{}, make(chan struct{})
		s.exec(shopSchema2)
		sync := customerSync(s.to)
		translate := sync.Translate
		sync.Translate = func(u User) (upkeep.Fields, error) {
			if u.Name == "loop" {
				<-release
			}
			return translate(u)
		}
		e := s.hurriedEngine(clock, sync)
		stop := s.run(e)
		s.until("the others to be there", func() bool { return len(s.remote.Records("customer")) == 20 })
		if p := s.parked(e); len(p) > 0 {
			t.Errorf("parked before the time was over: %v", p)
		}
		s.untilHurried(clock, "the group to be parked", func() bool { return len(s.parked(e)) == 1 })
		reason := s.parked(e)["customer/7"]
		for _, want := range []string{"sync customer", "10s", "for 7", "upkeep retry customer 7"} {
			if !strings.Contains(reason, want) {
				t.Errorf("parked since %q, want %q in it", reason, want)
			}
		}
		s.exec(`update users set name = 'after' where id = 8`)
		s.quiet(e)
		s.field("customer", "customer-8", "entityId", `"after"`)
		close(release)
		if n, err := e.Retry(s.ctx, "customer", "7"); n != 1 || err != nil {
			t.Errorf("retry: %d, %v", n, err)
		}
		s.quiet(e)
		s.inSync(e, "customer")
		if n := len(s.remote.Records("customer")); n != 21 {
			t.Errorf("%d records for 21 users", n)
		}
		stop()
	})
}

const shopSchema2 = `insert into users (id, name) values (1,'a'),(2,'b'),(3,'c'),(4,'d'),(5,'e'),(6,'f'),(7,'loop'),(8,'h'),(9,'i'),(10,'j'),
	(11,'k'),(12,'l'),(13,'m'),(14,'n'),(15,'o'),(16,'p'),(17,'q'),(18,'r'),(19,'s'),(20,'t'),(21,'u')`

// The same in the ordered lane: the group stops at the version that does not
// end, and that is named; versions of other groups go on.
func TestVersionWhoseTranslationDoesNotEnd(t *testing.T) {
	t.Parallel()
	s, clock, release := makeShop(t, memory.Config{}, (*shop).onPostgres), &hurried{}, make(chan struct{})
	s.tickets(2)
	sync := ticketSync(s.to)
	translate := sync.Translate
	sync.Translate = func(v Ticket) (upkeep.Fields, error) {
		if v.State == "loop" {
			<-release
		}
		return translate(v)
	}
	e := s.hurriedEngine(clock, sync)
	s.run(e)
	s.quiet(e)
	for _, state := range []string{"one", "loop", "two"} {
		s.exec(`update tickets set state = '%s', version = version + 1 where id = 1`, state)
	}
	s.exec(`update tickets set state = 'fine', version = 1 where id = 2`)
	s.until("the other group to go on", func() bool { return s.remote.Text("ticket", "ticket-2", "state") == `"fine"` })
	s.untilHurried(clock, "the group to be parked", func() bool { return len(s.parked(e)) == 1 })
	if reason := s.parked(e)["ticket/1"]; !strings.HasPrefix(reason, "command ") || !strings.Contains(reason, "did not end within 10s for 1") {
		t.Errorf("parked since %q", reason)
	}
	s.wantDelivered("ticket-1", `0 "new"`, `1 "one"`)
	close(release)
	if n, err := e.Retry(s.ctx, "ticket", "1"); n != 1 || err != nil {
		t.Errorf("retry: %d, %v", n, err)
	}
	s.quiet(e)
	s.wantDelivered("ticket-1", `0 "new"`, `1 "one"`, `2 "loop"`, `3 "two"`)
}

// A translation that takes long, but not too long, delays the others by a
// moment, and is sent.
func TestSlowTranslation(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s, clock, release := newShop(memory.Config{}), &hurried{}, make(chan struct{})
		s.exec(shopSchema2)
		sync := customerSync(s.to)
		translate := sync.Translate
		sync.Translate = func(u User) (upkeep.Fields, error) {
			if u.Name == "loop" {
				<-release
			}
			return translate(u)
		}
		e := s.hurriedEngine(clock, sync)
		s.run(e)
		s.until("the others to be there", func() bool { return len(s.remote.Records("customer")) == 20 })
		close(release)
		s.quiet(e)
		s.inSync(e, "customer")
		if n := len(s.remote.Records("customer")); n != 21 {
			t.Errorf("%d records for 21 users", n)
		}
	})
}

// When every translation of a sync loops, eight are left behind and the sync
// is paused, with the reason; another sync goes on, and a stop is clean.
func TestTooManyTranslationsThatDoNotEnd(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s, clock, release := newShop(memory.Config{}), &hurried{}, make(chan struct{})
		s.exec(shopSchema2)
		s.to.Concurrency = 40 // so that one claim has more than eight
		var begun atomic.Int64
		sync := customerSync(s.to)
		sync.Translate = func(u User) (upkeep.Fields, error) {
			begun.Add(1)
			<-release
			return nil, nil
		}
		defer close(release)
		other := customerSync(s.to)
		other.Name, other.Record = "contact", "contact"
		e := s.hurriedEngine(clock, sync, other)
		stop := s.run(e)
		s.until("the other sync to be done", func() bool { return len(s.remote.Records("contact")) == 21 })
		s.untilHurried(clock, "eight to be parked", func() bool { return len(s.parked(e)) == 8 })
		s.until("the sync to be paused", func() bool {
			st, err := e.Status(s.ctx)
			return err == nil && len(st.Pauses) == 1 && st.Pauses[0].Sync == "customer" && strings.Contains(st.Pauses[0].Reason, "8 translations do not end")
		})
		if _, err := e.Resume(s.ctx, upkeep.Pause{Sync: "customer"}); err != nil {
			t.Fatal(err)
		}
		st, err := e.Status(s.ctx)
		if err != nil || !strings.Contains(st.Syncs[0].Stuck, "8 translations do not end in this process") || st.Syncs[1].Stuck != "" {
			t.Errorf("resumed in vain: %+v, %v", st, err)
		}
		findings, err := e.Doctor(s.ctx)
		if err != nil || !strings.Contains(fmt.Sprint(findings), "it is held: 8 translations do not end in this process") {
			t.Errorf("resumed in vain: %v, %v", findings, err)
		}
		ctx, cancel := context.WithTimeout(s.ctx, time.Second)
		defer cancel()
		if err := e.Quiet(ctx, nil); err == nil || !strings.Contains(err.Error(), "customer is held: 8 translations do not end in this process") {
			t.Errorf("resumed in vain: %v", err)
		}
		s.exec(`update users set name = 'news' where id = 21`)
		s.until("the other sync to go on", func() bool { return s.remote.Text("contact", "contact-21", "entityId") == `"news"` })
		stop()
		if n := begun.Load(); n != 8 {
			t.Errorf("%d translations were begun", n)
		}
		doubt, err := e.Groups(s.ctx, "", upkeep.InDoubt, upkeep.ID{}, 100)
		held, err2 := e.Groups(s.ctx, "", upkeep.Claimed, upkeep.ID{}, 100)
		if err != nil || err2 != nil || len(doubt)+len(held) > 0 {
			t.Errorf("after a stop %d groups are in doubt and %d claimed; %v, %v", len(doubt), len(held), err, err2)
		}
	})
}

// A stop does not wait for a translation, and leaves its group free: while the
// others wait for it, and when they have gone on.
func TestStopDuringATranslation(t *testing.T) {
	for name, users := range map[string]int{"alone": 1, "left behind": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, clock, release, began := newShop(t, memory.Config{}), &hurried{}, make(chan struct{}), make(chan struct{}, 10)
			for i := range users {
				s.exec(`insert into users (id, name) values (%d, '%d')`, i+1, i+1)
			}
			sync := customerSync(s.to)
			sync.Translate = func(u User) (upkeep.Fields, error) {
				if u.ID == 1 {
					began <- struct{}{}
					<-release
				}
				return upkeep.Fields{}, nil
			}
			defer close(release)
			e := s.hurriedEngine(clock, sync)
			stop := s.run(e)
			<-began
			s.until("the others to be there", func() bool { return len(s.remote.Records("customer")) == users-1 })
			stop()
			if dirty, err := e.Groups(s.ctx, "customer", upkeep.Dirty, upkeep.ID{}, 10); err != nil || len(dirty) != 1 {
				t.Errorf("%d groups are dirty, want 1; %v", len(dirty), err)
			}
		})
	}
}

// A translation that ends its goroutine parks its own group, with the reason,
// and those translated after it go on; one that reads for it, too.
func TestTranslationThatEndsItsGoroutine(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(shopSchema2)
		sync := customerSync(s.to)
		translate := sync.Translate
		sync.Translate = func(u User) (upkeep.Fields, error) {
			if u.Name == "loop" {
				runtime.Goexit()
			}
			return translate(u)
		}
		e := s.engine(sync)
		s.run(e)
		s.quiet(e)
		if n := len(s.remote.Records("customer")); n != 20 {
			t.Errorf("%d records for the 20 users that can be translated", n)
		}
		if p := s.parked(e); len(p) != 1 || !strings.Contains(p["customer/7"], "called runtime.Goexit") {
			t.Errorf("parked: %v", p)
		}
		if x, err := e.Explain(s.ctx, "customer", "7"); err != nil || !strings.Contains(x.Why, "called runtime.Goexit") {
			t.Errorf("explained as %+v, %v", x, err)
		}
	})
}

// standing is a clock on which no time goes by.
type standing struct{}

func (standing) Now() time.Time { return time.Unix(0, 0) }

func (standing) Sleep(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// A look at a translation that does not end ends in real time, whatever the
// engine's clock does.
func TestLookAtATranslationThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	s, release := newShop(t, memory.Config{}), make(chan struct{})
	s.exec(`insert into users (id, name) values (1, 'Ada')`)
	sync := customerSync(s.to)
	sync.Translate = func(User) (upkeep.Fields, error) { <-release; return nil, nil }
	defer close(release)
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{sync}, Clock: standing{}, TranslateLimit: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Install(s.ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.ctx, 20*time.Second)
	defer cancel()
	x, err := e.Explain(ctx, "customer", "1")
	if err != nil || x.Send != "refuse" {
		t.Errorf("%+v, %v", x, err)
	}
}

// Whoever looks at a group whose translation does not end, again and again and
// at once, begins it once, and stops no engine.
func TestLooksStopNoEngine(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s, clock, release := newShop(memory.Config{}), &hurried{}, make(chan struct{})
		s.exec(shopSchema2)
		var begun atomic.Int64
		var loops atomic.Bool
		sync := customerSync(s.to)
		translate := sync.Translate
		sync.Translate = func(u User) (upkeep.Fields, error) {
			if u.Name == "loop" && loops.Load() {
				begun.Add(1)
				<-release
			}
			return translate(u)
		}
		e := s.hurriedEngine(clock, sync)
		s.run(e)
		s.quiet(e)
		loops.Store(true)
		gone, leave := context.WithCancel(s.ctx) // a page that is closed before its time is over
		left := make(chan error, 1)
		go func() {
			_, err := e.Explain(gone, "customer", "7")
			left <- err
		}()
		s.until("it to begin", func() bool { return begun.Load() == 1 })
		leave()
		<-left
		const pages = 20
		answers := make(chan string, pages)
		for range pages {
			go func() {
				x, err := e.Explain(s.ctx, "customer", "7")
				if err != nil {
					answers <- err.Error()
					return
				}
				answers <- x.Why
			}()
		}
		s.untilHurried(clock, "all to be answered", func() bool { return len(answers) == pages })
		for range pages {
			if why := <-answers; !strings.Contains(why, "did not end within 10s for 7") {
				t.Errorf("explained as %s", why)
			}
		}
		if x, err := e.Explain(s.ctx, "customer", "8"); err != nil || x.Send != "nothing" {
			t.Errorf("another group: %+v, %v", x, err)
		}
		if f, err := e.Forecast(s.ctx, upkeep.ForecastOptions{}); err != nil || f.Syncs[0].Refused != 1 || f.Syncs[0].Unchanged != 20 {
			t.Errorf("forecast: %+v, %v", f, err)
		}
		if missed, err := e.Audit(s.ctx, "customer", nil); err != nil || len(missed) > 0 {
			t.Errorf("audit: %v, %v", missed, err)
		}
		if n := begun.Load(); n != 1 {
			t.Errorf("%d translations were begun for looks", n)
		}
		s.exec(`update users set name = 'news' where id = 8`)
		s.quiet(e)
		s.field("customer", "customer-8", "entityId", `"news"`)
		close(release)
		s.until("it to be explained", func() bool {
			x, err := e.Explain(s.ctx, "customer", "7")
			return err == nil && x.Send == "nothing"
		})
	})
}

// Looks at many groups that do not end come to an end, too; and the engine goes on.
func TestLooksAtManyThatDoNotEnd(t *testing.T) {
	t.Parallel()
	s, clock, release := newShop(t, memory.Config{}), &hurried{}, make(chan struct{})
	s.exec(shopSchema2)
	var begun atomic.Int64
	var loops atomic.Bool
	sync := customerSync(s.to)
	translate := sync.Translate
	sync.Translate = func(u User) (upkeep.Fields, error) {
		if u.Name != "news" && loops.Load() {
			begun.Add(1)
			<-release
		}
		return translate(u)
	}
	defer close(release)
	e := s.hurriedEngine(clock, sync)
	s.run(e)
	s.quiet(e)
	loops.Store(true)
	var refused atomic.Int64
	go func() {
		f, err := e.Forecast(s.ctx, upkeep.ForecastOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		refused.Store(f.Syncs[0].Refused)
	}()
	s.untilHurried(clock, "the forecast to end", func() bool { return refused.Load() > 0 })
	if n, b := refused.Load(), begun.Load(); n != 21 || b != 8 {
		t.Errorf("%d refused, %d begun; want 21 and 8", n, b)
	}
	s.exec(`update users set name = 'news' where id = 21`)
	s.quiet(e)
	s.field("customer", "customer-21", "entityId", `"news"`)
}

// marshals is a value with a method of its own for JSON.
type marshals func() ([]byte, error)

func (m marshals) MarshalJSON() ([]byte, error) { return m() }

// What panics or loops while a value makes its JSON is the user's code too.
func TestValueThatCannotMakeItsJSON(t *testing.T) {
	t.Parallel()
	s, clock, release := newShop(t, memory.Config{}), &hurried{}, make(chan struct{})
	s.exec(`insert into users (id, name) values (1, 'panics'), (2, 'loops'), (3, 'fine')`)
	sync := customerSync(s.to)
	sync.Translate = func(u User) (upkeep.Fields, error) {
		return upkeep.Fields{"name": []any{marshals(func() ([]byte, error) {
			switch u.Name {
			case "panics":
				panic("no JSON of " + u.Name)
			case "loops":
				<-release
			}
			return []byte(`{"a":"<b>"}`), nil
		}), upkeep.Ref("customer", nil)}}, nil
	}
	defer close(release)
	e := s.hurriedEngine(clock, sync)
	s.run(e)
	s.until("the one that is fine to be there", func() bool { return s.remote.Text("customer", "customer-3", "name") == `[{"a":"<b>"},null]` })
	s.untilHurried(clock, "the others to be parked", func() bool { return len(s.parked(e)) == 2 })
	p := s.parked(e)
	if r := p["customer/1"]; !strings.Contains(r, "panic: no JSON of panics, at ") || !strings.Contains(r, "watch_test.go:") || strings.Contains(r, "\n") {
		t.Errorf("parked since %q", r)
	}
	if r := p["customer/2"]; !strings.Contains(r, "did not end within 10s") {
		t.Errorf("parked since %q", r)
	}
}
