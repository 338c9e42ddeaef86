package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/httpapi/httpapitest"
)

// stripe opens the example's connection to a fresh account.
func stripe(t *testing.T) (*httpapitest.Stripe, connector.Connection) {
	account := httpapitest.NewStripe()
	server := httptest.NewServer(account)
	t.Cleanup(server.Close)
	c := example(t, "stripe", server.URL)
	c.Auth.Bearer = httpapitest.Token
	return account, open(t, c)
}

func customer(generation int64, name string) connector.Record {
	return connector.Record{Type: "customer", ExternalID: "customer-7", Generation: generation, Version: generation,
		Fields: connector.Fields{"name": json.RawMessage(`"` + name + `"`), "metadata": json.RawMessage(`{"segment":"retail"}`)}}
}

func kindOf(t *testing.T, err error, want connector.Kind) {
	t.Helper()
	if err == nil || connector.KindOf(err) != want {
		t.Errorf("%v, want %v", err, want)
	}
}

func TestStripeRepeats(t *testing.T) {
	t.Parallel()
	account, conn := stripe(t)
	first, err := conn.Create(t.Context(), customer(1, "Ada"))
	if err != nil {
		t.Fatal(err)
	}
	again := customer(1, "Ada")
	again.Version = 9 // another claim of the same work
	if id, err := conn.Create(t.Context(), again); err != nil || id != first {
		t.Errorf("a repeated create: %q, %v, want %q", id, err, first)
	}
	if n := account.Count("customer", "customer-7"); n != 1 {
		t.Errorf("%d customers", n)
	}
	// Newer rows, or a later generation, are another request.
	for _, other := range []connector.Record{customer(1, "Ada L."), customer(2, "Ada")} {
		if id, err := conn.Create(t.Context(), other); err != nil || id == first {
			t.Errorf("another create: %q, %v", id, err)
		}
	}
	_, err = conn.Find(t.Context(), "customer", "customer-7")
	kindOf(t, err, connector.Rejected) // three of one key: a person must decide
}

// A 500 is kept for its key: repeating gives it again, whatever was applied.
// After the doubt is over the generation is another, and so is the key.
func TestStripeKeepsA500(t *testing.T) {
	t.Parallel()
	account, conn := stripe(t)
	account.FailCreates(1, false)
	for range 2 {
		_, err := conn.Create(t.Context(), customer(1, "Ada"))
		kindOf(t, err, connector.Unknown)
	}
	_, err := conn.Find(t.Context(), "customer", "customer-7")
	kindOf(t, err, connector.NotFound)
	if _, err := conn.Create(t.Context(), customer(2, "Ada")); err != nil {
		t.Fatal(err)
	}
	account.FailCreates(1, true)
	lost := customer(1, "Bob")
	lost.ExternalID = "customer-8"
	_, err = conn.Create(t.Context(), lost)
	kindOf(t, err, connector.Unknown)
	if id, err := conn.Find(t.Context(), "customer", "customer-8"); err != nil || id == "" {
		t.Errorf("the customer that was made is not found: %v", err)
	}
}

func TestStripeKeyAtWork(t *testing.T) {
	t.Parallel()
	account, conn := stripe(t)
	release := account.Hold()
	done := make(chan error, 1)
	go func() { _, err := conn.Create(t.Context(), customer(1, "Ada")); done <- err }()
	for end := time.Now().Add(20 * time.Second); account.AtWork() == 0; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the create did not arrive")
		}
	}
	_, err := conn.Create(t.Context(), customer(1, "Ada"))
	kindOf(t, err, connector.Busy)
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestStripeForm(t *testing.T) {
	t.Parallel()
	account, conn := stripe(t)
	id, err := conn.Create(t.Context(), customer(1, "Ada & Søn"))
	if err != nil {
		t.Fatal(err)
	}
	r := account.Records("customer")[0]
	b, err := json.Marshal(r.Fields["metadata"])
	if err != nil || r.Key != "customer-7" || r.Fields["name"] != "Ada & Søn" || string(b) != `{"segment":"retail","upkeep_id":"customer-7"}` {
		t.Errorf("stored %+v", r)
	}
	// Metadata are merged by Stripe: ours is not lost by an update.
	err = conn.Update(t.Context(), id, connector.Record{Type: "customer", ExternalID: "customer-7", Fields: connector.Fields{"metadata": json.RawMessage(`{"segment":null}`)}})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := conn.Find(t.Context(), "customer", "customer-7"); err != nil || found != id {
		t.Errorf("found %q, %v", found, err)
	}
	bad := customer(1, "x")
	bad.ExternalID = "it's"
	_, err = conn.Create(t.Context(), bad)
	kindOf(t, err, connector.Rejected)
	bad = customer(1, "x")
	bad.Fields["no_such_parameter"] = json.RawMessage(`1`)
	_, err = conn.Create(t.Context(), bad)
	kindOf(t, err, connector.Rejected)
	if e := connector.AsError(err); e.Code != "parameter_unknown" || e.Status != http.StatusBadRequest {
		t.Errorf("%+v", e)
	}
}
