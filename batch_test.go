package upkeep_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// users makes n users, numbered from 1.
func (s *shop) users(n int) {
	s.exec(`with recursive n(i) as (select 1 union all select i + 1 from n where i < %d)
		insert into users (id, name) select i, 'user ' || i from n`, n)
}

// many is a remote that takes 100 changes in a request.
func many() memory.Config { return memory.Config{Batch: 100, Concurrency: 2} }

// A thousand changes take ten requests of a hundred, and a few more because
// the first ones go before the others are there.
func TestBatches(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(many())
		s.users(1000)
		sync := customerSync(s.to)
		sync.DeleteLimit = -1
		e := s.engine(sync)
		s.run(e)
		s.quiet(e)
		for _, change := range []string{
			`update users set name = name || '!'`,
			`insert into users (id, name) select id + 1000, name from users`,
			`delete from users where id > 1000`,
		} {
			s.remote.Forget()
			s.exec("%s", change)
			s.quiet(e)
			if n := s.remote.Calls(memory.Any); n < 10 || n > 20 {
				t.Errorf("%s: %d requests for 1000 changes", change, n)
			}
			s.inSync(e, "customer")
		}
		if n := len(s.remote.Records("customer")); n != 1000 {
			t.Errorf("%d records", n)
		}
		status, err := e.Status(s.ctx)
		if err != nil || status.Syncs[0].Saved > 100 {
			t.Errorf("changes that shared a request count as calls that were saved: %+v, %v", status.Syncs, err)
		}
	})
}

// A batch that is refused as a whole is taken apart until the record to blame
// is alone; the others go through.
func TestBatchIsolatesThePoison(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(many())
		s.users(100)
		s.exec(`update users set name = 'poison' where id in (17, 60)`)
		s.remote.FailWhen(func(q memory.Request) *memory.Fault {
			for _, c := range q.Changes {
				if bytes.Contains(c.Record.Fields["entityId"], []byte("poison")) {
					return &memory.Fault{Err: &connector.Error{Kind: connector.Rejected, Message: "something in it is wrong"}}
				}
			}
			if q.Verb == memory.Create && bytes.Contains(q.Fields["entityId"], []byte("poison")) {
				return &memory.Fault{Err: &connector.Error{Kind: connector.Rejected, Message: "poison is no name"}}
			}
			return nil
		})
		e := s.engine(customerSync(s.to))
		s.run(e)
		for _, key := range []string{"17", "60"} {
			if x := s.state(e, "customer", key, upkeep.State("parked")); x.Group.Reason == "" || !bytes.Contains([]byte(x.Group.Reason), []byte("poison is no name")) {
				t.Errorf("%s: %s", key, x.Group.Reason)
			}
		}
		s.quiet(e)
		if n := len(s.remote.Records("customer")); n != 98 {
			t.Errorf("%d records, want all but the two", n)
		}
		if n := s.remote.Calls(memory.Any); n > 40 {
			t.Errorf("%d requests to find two of a hundred", n)
		}
	})
}

// What fails of a batch is what failed, and nothing else is sent again.
func TestBatchFailsInPart(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(many())
		s.users(50)
		s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-7", Err: memory.Err(connector.Busy)})
		s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-8", Err: memory.Err(connector.Unknown), Applied: true})
		s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-9", Err: memory.Err(connector.Rejected)})
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.state(e, "customer", "9", upkeep.State("parked"))
		s.state(e, "customer", "8", upkeep.State("in doubt"))
		s.until("the others to be sent", func() bool { calm, _ := s.calm(e); return calm })
		s.advance(2 * time.Minute) // the doubt about 8 is settled
		s.quiet(e)
		for _, c := range []struct {
			key         string
			least, most int
		}{{"1", 1, 1}, {"7", 1, 1}, {"8", 2, 3}, {"9", 0, 0}} {
			n := 0
			for _, q := range s.remote.Applied() {
				if q.ExternalID == "customer-"+c.key {
					n++
				}
			}
			if n < c.least || n > c.most {
				t.Errorf("customer %s was applied %d times, want %d to %d", c.key, n, c.least, c.most)
			}
		}
		if dup := s.remote.Duplicates(); len(dup) > 0 {
			t.Error(dup)
		}
	})
}

// A record that makes every request that holds it fail in a way that tells
// nothing is soon alone, and parks without the others.
func TestBatchesShrinkAfterFailures(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(many())
		s.users(30)
		s.remote.FailWhen(func(q memory.Request) *memory.Fault {
			bad := q.ExternalID == "customer-7"
			for _, c := range q.Changes {
				bad = bad || c.Record.ExternalID == "customer-7"
			}
			if bad && (q.Verb == memory.Apply || q.Verb == memory.Create) {
				return &memory.Fault{Err: memory.Err(connector.Unknown)}
			}
			return nil
		})
		e := s.engine(customerSync(s.to))
		s.run(e)
		for range 4 { // all in one request, in requests of 25, of 6, of 1
			s.until("all that failed to rest", func() bool {
				st, err := e.Status(s.ctx)
				return err == nil && len(st.Syncs) == 1 && st.Syncs[0].Groups == 30 &&
					int(st.Syncs[0].InDoubt) == 30-len(s.remote.Records("customer"))
			})
			s.advance(10 * time.Second) // then all of them are due at once
		}
		s.until("the other 29", func() bool { return len(s.remote.Records("customer")) == 29 })
		failed := 0
		for _, q := range s.remote.Requests() {
			if q.Err == nil || q.Verb != memory.Apply {
				continue
			}
			if failed++; failed > 1 && len(q.Changes) > 25 {
				t.Errorf("failure %d was of %d changes", failed, len(q.Changes))
			}
		}
	})
}

// An answer that has not one result for each change tells nothing.
func TestBatchWithAShortAnswer(t *testing.T) {
	s := newShop(t, many())
	s.users(10)
	short := &shortAnswers{Connection: s.to.Connection}
	s.to.Connection = short
	e := s.engine(customerSync(s.to))
	s.run(e)
	s.until("doubt", func() bool { // the first one goes alone, to ask for slots with
		st, err := e.Status(s.ctx)
		return err == nil && len(st.Syncs) == 1 && st.Syncs[0].InDoubt >= 9
	})
}

type shortAnswers struct{ connector.Connection }

func (c *shortAnswers) Batch(recordType string) connector.Batch {
	return c.Connection.(connector.Batcher).Batch(recordType)
}

func (c *shortAnswers) Apply(ctx context.Context, recordType string, changes []connector.Change) ([]connector.Result, error) {
	results, err := c.Connection.(connector.Batcher).Apply(ctx, recordType, changes)
	return results[:len(results)-1], err
}

// What the engine says of a write lets a remote refuse an older one, and know
// a repeated one.
func TestRecordsCarryVersionAndGeneration(t *testing.T) {
	s := newShop(t, memory.Config{})
	s.users(1)
	var seen []connector.Record
	s.to.Connection = &spy{Connection: s.to.Connection, see: func(r connector.Record) { seen = append(seen, r) }}
	e := s.engine(customerSync(s.to))
	s.run(e)
	s.quiet(e)
	for i := range 3 {
		s.exec(`update users set name = 'n%d'`, i)
		s.quiet(e)
	}
	for i, r := range seen {
		if r.Version == 0 || r.Generation == 0 || i > 0 && (r.Version <= seen[i-1].Version || r.Generation <= seen[i-1].Generation) {
			t.Errorf("write %d has version %d and generation %d, after %s", i, r.Version, r.Generation, fmt.Sprint(seen[:i]))
		}
	}
	if len(seen) != 4 {
		t.Errorf("%d writes", len(seen))
	}
}

type spy struct {
	connector.Connection
	see func(connector.Record)
}

func (c *spy) Create(ctx context.Context, r connector.Record) (string, error) {
	c.see(r)
	return c.Connection.Create(ctx, r)
}

func (c *spy) Update(ctx context.Context, id string, r connector.Record) error {
	c.see(r)
	return c.Connection.Update(ctx, id, r)
}

// A remote that names a time is left alone for so long with that record, also
// when it does not ask for less.
func TestRecordRestsAsLongAsTheRemoteAsks(t *testing.T) {
	s := newShop(t, memory.Config{})
	s.users(1)
	busy := memory.Err(connector.Busy)
	busy.RetryAfter = time.Hour
	s.remote.Fail(memory.Fault{On: memory.Create, Err: busy})
	e := s.engine(customerSync(s.to))
	s.run(e)
	var due time.Time
	s.until("the retry", func() bool {
		x, err := e.Explain(s.ctx, "customer", "1")
		if err == nil && x.Group != nil && x.Group.Attempts == 1 {
			due = x.Group.DueAt
		}
		return !due.IsZero()
	})
	if rest := time.Until(due); rest < 50*time.Minute {
		t.Errorf("it goes again in %s", rest)
	}
}
