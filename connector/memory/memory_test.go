package memory_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

func fields(kv ...string) connector.Fields {
	f := connector.Fields{}
	for i := 0; i < len(kv); i += 2 {
		f[kv[i]] = json.RawMessage(kv[i+1])
	}
	return f
}

func order(ext string, kv ...string) connector.Record {
	return connector.Record{Type: "order", ExternalID: ext, Fields: fields(kv...)}
}

func kind(t *testing.T, err error, want connector.Kind) {
	t.Helper()
	if err == nil || connector.KindOf(err) != want {
		t.Fatalf("got %v, want an error of kind %v", err, want)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := memory.New(memory.Config{})
	c := r.Connect()

	r.Fail(memory.Fault{On: memory.Create, Err: memory.Err(connector.Busy), After: 1, Times: 2})
	for i, want := range []bool{true, false, false, true} {
		if _, err := c.Create(ctx, order("a", "memo", `"x"`)); (err == nil) != want {
			t.Fatalf("create %d: %v", i, err)
		}
	}

	r.Fail(memory.Fault{On: memory.Create, Err: memory.Err(connector.Unknown), Applied: true})
	_, err := c.Create(ctx, order("b", "memo", `1`))
	kind(t, err, connector.Unknown)
	if r.Text("order", "b", "memo") != "1" {
		t.Error("the fault with Applied was not applied")
	}

	r.Fail(memory.Fault{Late: true})
	kind(t, c.Update(ctx, "1", order("a", "memo", `"late"`)), connector.Unknown)
	if err := c.Update(ctx, "1", order("a", "memo", `"new"`)); err != nil {
		t.Fatal(err)
	}
	if n := r.Land(-1); n != 1 || len(r.Late()) != 0 || r.Text("order", "a", "memo") != `"late"` {
		t.Errorf("landed %d, memo %s", n, r.Text("order", "a", "memo"))
	}

	r.FailWhen(func(q memory.Request) *memory.Fault {
		if string(q.Fields["memo"]) == `"bad"` {
			return &memory.Fault{Err: memory.Err(connector.Rejected)}
		}
		return nil
	})
	_, err = c.Create(ctx, order("c", "memo", `"bad"`))
	kind(t, err, connector.Rejected)
	r.Heal()
	if _, err = c.Create(ctx, order("c", "memo", `"bad"`)); err != nil {
		t.Error(err)
	}

	var verbs []memory.Verb
	for _, q := range r.Applied() {
		verbs = append(verbs, q.Verb)
	}
	want := []memory.Verb{"create", "create", "create", "update", "update", "create"}
	if !slices.Equal(verbs, want) || r.Calls(memory.Create) != 7 || len(r.Requests()) != 9 {
		t.Errorf("applied %v, want %v; %d creates, %d requests", verbs, want, r.Calls(memory.Create), len(r.Requests()))
	}
}

func TestHeldCalls(t *testing.T) {
	t.Parallel()
	r := memory.New(memory.Config{Limit: 2})
	c := r.Connect()
	ended := make(chan error, 2)
	until := make(chan struct{})
	r.Fail(memory.Fault{ExternalID: "a", Until: until, Times: 2})
	for range 2 {
		go func() { _, err := c.Create(context.Background(), order("a")); ended <- err }()
	}
	for deadline := time.Now().Add(5 * time.Second); r.InFlight() < 2; {
		if time.Now().After(deadline) {
			t.Fatal("the calls did not arrive")
		}
	}
	_, err := c.Create(t.Context(), order("b"))
	kind(t, err, connector.RateLimited)
	close(until)
	if err := errors.Join(<-ended, <-ended); err != nil {
		t.Error(err)
	}
	if all, one := r.MaxInFlight(); all != 3 || one != 2 {
		t.Errorf("most in flight %d, on one record %d, want 3 and 2", all, one)
	}

	r.Fail(memory.Fault{Hang: true, Applied: true})
	go func() { _, err := c.Create(context.Background(), order("c")); ended <- err }()
	for deadline := time.Now().Add(5 * time.Second); len(r.Records("order")) < 2; {
		if time.Now().After(deadline) {
			t.Fatal("the create was not applied")
		}
	}
	c.Close()
	kind(t, <-ended, connector.Unknown)
	_, err = c.Create(t.Context(), order("d"))
	kind(t, err, connector.Unavailable)
}

func TestClasses(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	r := memory.New(memory.Config{Class: connector.Lookup, Lag: time.Second, Clock: func() time.Time { return now }})
	c := r.Connect()
	for range 2 {
		if _, err := c.Create(t.Context(), order("a")); err != nil {
			t.Fatal(err)
		}
	}
	if d := r.Duplicates(); !slices.Equal(d, []string{"order/a"}) {
		t.Errorf("duplicates %v", d)
	}
	_, err := c.Find(t.Context(), "order", "a")
	kind(t, err, connector.NotFound)
	now = now.Add(time.Second)
	if id, err := c.Find(t.Context(), "order", "a"); id != "1" || err != nil {
		t.Errorf("found %q, %v", id, err)
	}
	if n := r.Remove("order", "a"); n != 2 || len(r.Records("")) != 0 {
		t.Errorf("removed %d", n)
	}
}

func TestReadAndCheck(t *testing.T) {
	t.Parallel()
	r := memory.New(memory.Config{
		Types: map[string][]string{"order": {"memo", "lines"}, "fulfillment": {"memo"}},
		Defaults: func(o memory.Record, _ string) connector.Fields {
			return connector.Fields{"memo": o.Fields["memo"]}
		},
	})
	c := r.Connect()
	id, err := c.Create(t.Context(), order("a", "memo", `"m"`, "lines", `[{"sku":"x","price":12.5,"extra":1}]`))
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.(connector.Initializer).Initialize(t.Context(), connector.Origin{Type: "order", RemoteID: id},
		connector.Record{Type: "fulfillment", ExternalID: "a"})
	if err != nil || r.Text("fulfillment", "a", "memo") != `"m"` {
		t.Errorf("initialized %q, %v", f, err)
	}
	got, err := c.(connector.Reader).Read(t.Context(), "order", id, fields("memo", "null", "lines", `[{"price":12.50,"sku":"x"}]`))
	if err != nil || string(got["lines"]) != `[{"price":12.50,"sku":"x"}]` || string(got["memo"]) != `"m"` {
		t.Errorf("read %s, %v", got, err)
	}
	r.Edit("order", "a", fields("memo", "null", "lines", "[]"))
	got, err = c.(connector.Reader).Read(t.Context(), "order", id, fields("memo", `"m"`, "lines", `[{"sku":"x"}]`))
	if err != nil || string(got["lines"]) != `[]` || string(got["memo"]) != `null` {
		t.Errorf("read %s, %v", got, err)
	}
	problems := c.(connector.Checker).Check(t.Context(), []connector.Use{{Sync: "s", Type: "order", Fields: []string{"memo", "mmo"}}, {Sync: "t", Type: "odrer"}})
	if len(problems) != 2 {
		t.Errorf("problems: %v", problems)
	}
}
