package netsuitetest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// eventually waits for a condition, with a deadline.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func (a *account) fail(f Fault) {
	a.t.Helper()
	if err := a.server.Fail(f); err != nil {
		a.t.Fatal(err)
	}
}

func TestFaultsThatAnswer(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{})
	for i, c := range []struct {
		fault   Fault
		status  int
		applied bool
		contain string
	}{
		{Fault{Kind: Status, Status: 429, RetryAfter: Duration(1500 * time.Millisecond)}, 429, false, `"title":"Bad Request","status":429,"o:errorDetails":[{"detail":"Concurrent request limit exceeded. Request blocked.","o:errorCode":"CONCURRENCY_LIMIT_EXCEEDED"}],"o:errorCode":"USER_ERROR"}`},
		{Fault{Kind: Status, Status: 401}, 401, false, "INVALID_LOGIN"},
		{Fault{Kind: Status, Status: 500}, 500, false, "UNEXPECTED_ERROR"},
		{Fault{Kind: Status, Status: 500, Applied: true}, 500, true, "UNEXPECTED_ERROR"},
		{Fault{Kind: Status, Status: 503, Applied: true}, 503, true, "<html>"},
		{Fault{Kind: HTML}, 200, false, "<!DOCTYPE html>"},
		{Fault{Kind: Empty, Applied: true}, 200, true, ""},
	} {
		a.fail(c.fault)
		name := fmt.Sprint("C-", i)
		out := a.must(c.status, "PUT", "customer/eid:"+name, `{"entityId":"`+name+`"}`)
		if !strings.Contains(out.raw, c.contain) || c.contain == "" && out.raw != "" {
			t.Errorf("%d: %s", i, out.raw)
		}
		if i == 0 && out.header.Get("Retry-After") != "2" {
			t.Error("Retry-After is rounded up: " + out.header.Get("Retry-After"))
		}
		a.server.Heal()
		if got := a.call("GET", "customer/eid:"+name, "").status == 200; got != c.applied {
			t.Errorf("%d: applied %v", i, got)
		}
	}
}

func TestFaultsMatchAndCount(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{})
	a.fail(Fault{Kind: Status, Status: 500, Method: "POST", Type: "customer", Op: "create", Path: "/services/rest/record/v1/*", Skip: 1, Count: 2})
	var got []int
	for i := range 5 {
		a.must(200, "GET", "customer", "")
		a.must(204, "POST", "vendor", fmt.Sprintf(`{"entityId":"%d"}`, i))
		got = append(got, a.call("POST", "customer", fmt.Sprintf(`{"entityId":"%d"}`, i)).status)
	}
	if fmt.Sprint(got) != "[204 500 500 204 204]" {
		t.Error(got)
	}
	if n := a.server.Stats().Faulted; n != 2 {
		t.Errorf("faulted %d", n)
	}
	// Dice with one seed fall alike.
	roll := func() string {
		b := newAccount(t, Config{Seed: 7})
		b.fail(Fault{Kind: Status, Status: 503, Probability: 0.5})
		s := ""
		for range 20 {
			s += fmt.Sprint(b.call("GET", "customer", "").status, " ")
		}
		return s
	}
	if one, two := roll(), roll(); one != two || !strings.Contains(one, "200") || !strings.Contains(one, "503") {
		t.Errorf("%s\n%s", one, two)
	}
	for _, bad := range []Fault{{Kind: "nope"}, {Kind: Status}, {Kind: Hang, Probability: 2}, {Kind: Hang, Path: "["},
		{Kind: Status, Status: 400, Code: "USER_ERROR"}, {Kind: "row", Code: "USER_ERROR"}, {Kind: "short"}} {
		if a.server.Fail(bad) == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestResetAfterApplying(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{})
	a.fail(Fault{Kind: Reset, Applied: true, Op: "create", Count: 1})
	_, err := a.client.Do(a.request("POST", "customer", `{"externalId":"C","entityId":"C"}`))
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error %v", err)
	}
	a.must(200, "GET", "customer/eid:C", "")
	out := a.must(400, "POST", "customer", `{"externalId":"C","entityId":"C"}`)
	if _, detail, _ := out.detail(); !strings.Contains(detail, "already exists") {
		t.Error(out.raw)
	}
}

func TestLateAndHanging(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{})
	a.fail(Fault{Kind: Late, Op: "update"})
	a.fail(Fault{Kind: Hang, Op: "create"})
	a.must(204, "PUT", "customer/eid:C", `{"entityId":"C","phone":"0"}`)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	for _, r := range []*http.Request{a.request("PATCH", "customer/eid:C", `{"phone":"1"}`), a.request("POST", "customer", `{"entityId":"D"}`)} {
		go func() {
			res, err := a.client.Do(r.WithContext(ctx))
			if err == nil {
				res.Body.Close()
			}
			done <- err
		}()
	}
	eventually(t, "both are taken", func() bool { return a.server.Pending() == 1 && a.server.Stats().Faulted == 2 })
	cancel()
	for range 2 {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	a.must(204, "PUT", "customer/eid:C", `{"phone":"2"}`)
	if got := a.show("customer/eid:C", "phone"); got != "phone=2" {
		t.Error(got)
	}
	if n := a.server.Release(); n != 1 {
		t.Errorf("released %d", n)
	}
	if got := a.show("customer/eid:C", "phone"); got != "phone=1" {
		t.Error("the late request did not land: " + got)
	}
	// Late with a delay and a broken connection.
	a.server.Heal()
	a.fail(Fault{Kind: Late, Op: "update", Delay: Duration(time.Millisecond), Drop: true})
	if _, err := a.client.Do(a.request("PATCH", "customer/eid:C", `{"phone":"3"}`)); err == nil {
		t.Error("answered")
	}
	eventually(t, "landing", func() bool { return a.show("customer/eid:C", "phone") == "phone=3" })
	eventually(t, "slots are free again", func() bool { return a.server.inFlight.Load() == 0 })
}

func TestConcurrencyLimit(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{Concurrency: 2})
	a.fail(Fault{Kind: Hang, Op: "list"})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 2 {
		r := a.request("GET", "customer", "")
		wg.Go(func() {
			if res, err := a.client.Do(r.WithContext(ctx)); err == nil {
				res.Body.Close()
			}
		})
	}
	eventually(t, "two in flight", func() bool { return a.server.inFlight.Load() == 2 })
	out := a.must(429, "GET", "customer/1", "")
	if want := `{"type":"https://www.rfc-editor.org/rfc/rfc9110.html","title":"Bad Request","status":429,"o:errorDetails":[{"detail":"Concurrent request limit exceeded. Request blocked.","o:errorCode":"CONCURRENCY_LIMIT_EXCEEDED"}],"o:errorCode":"USER_ERROR"}`; out.raw != want {
		t.Error(out.raw)
	}
	if out.header.Get("Retry-After") != "" {
		t.Error("NetSuite sends no Retry-After")
	}
	cancel()
	wg.Wait()
	eventually(t, "a slot is free", func() bool { return a.server.inFlight.Load() == 0 })
	a.must(404, "GET", "customer/1", "")
	if s := a.server.Stats(); s.MaxInFlight != 2 || s.Limited != 1 {
		t.Errorf("%+v", s)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{Concurrency: -1})
	a.must(204, "PUT", "customer/eid:C", `{"entityId":"C"}`)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 20 {
				name := fmt.Sprintf("O-%d", i) // all workers upsert the same orders
				a.call("PUT", "salesOrder/eid:"+name, fmt.Sprintf(`{"entity":"1001","orderStatus":"B","item":{"items":[{"item":"201","quantity":%d,"rate":1}]}}`, w+1))
				a.call("POST", "salesOrder/eid:"+name+"/!transform/itemFulfillment", `{"externalId":"F`+name+`"}`)
				a.call("GET", "salesOrder/eid:"+name+"?expandSubResources=true", "")
				a.call("GET", "customer?q=entityId%20IS%20C", "")
			}
		})
	}
	wg.Wait()
	if n := len(a.server.Records("salesOrder")); n != 20 {
		t.Errorf("%d orders", n)
	}
	if n := len(a.server.Records("itemFulfillment")); n != 20 {
		t.Errorf("%d fulfillments", n)
	}
	if d := a.server.Duplicates(); len(d) != 0 {
		t.Errorf("%+v", d)
	}
}

func TestLatencyAndSize(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{BodyLimit: 100})
	a.fail(Fault{Kind: Latency, Latency: Duration(time.Millisecond), LatencyMax: Duration(3 * time.Millisecond), Type: "customer"})
	a.fail(Fault{Kind: Status, Status: 504, Type: "customer", Count: 1})
	a.must(504, "GET", "customer", "")
	a.must(200, "GET", "customer", "")
	if n := a.server.Stats().Faulted; n != 2 {
		t.Errorf("faulted %d", n)
	}
	a.must(413, "POST", "customer", `{"entityId":"`+strings.Repeat("x", 100)+`"}`)
}

func TestCloseLetsGo(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{})
	a.fail(Fault{Kind: Hang})
	done := make(chan error, 1)
	r := a.request("GET", "customer", "")
	go func() {
		_, err := a.client.Do(r)
		done <- err
	}()
	eventually(t, "the request hangs", func() bool { return a.server.inFlight.Load() == 1 })
	a.server.Close()
	if err := <-done; err == nil {
		t.Error("answered")
	}
}
