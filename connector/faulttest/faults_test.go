package faulttest_test

import (
	"fmt"
	"testing"

	"github.com/upkeep-sync/upkeep/connector/faulttest"
)

func Example() {
	faults := faulttest.New(1, faulttest.Status, faulttest.Late)
	if err := faults.Fail(faulttest.Fault{Kind: faulttest.Status, Status: 503, Op: "create", Skip: 1, Count: 1}); err != nil {
		fmt.Println(err)
	}
	for range 3 {
		_, f := faults.Strike(faulttest.Request{Method: "POST", Path: "/customers", Op: "create"})
		fmt.Println(f != nil)
	}
	fmt.Println(faults.Fail(faulttest.Fault{Kind: faulttest.Row, Code: "LOCKED"}))
	faults.Ops("create", "update")
	fmt.Println(faults.Fail(faulttest.Fault{Kind: faulttest.Late, Op: "upsert"}))
	// Output:
	// false
	// true
	// false
	// unknown kind of fault "row": use one of status, late
	// unknown op "upsert": use one of create, update
}

// What a remote is like outlives what went wrong there.
func TestHeal(t *testing.T) {
	faults := faulttest.New(1, faulttest.Status, faulttest.Latency)
	for _, f := range []faulttest.Fault{{Kind: faulttest.Latency, Latency: 5, Stays: true}, {Kind: faulttest.Status, Status: 503}} {
		if err := faults.Fail(f); err != nil {
			t.Fatal(err)
		}
	}
	faults.Heal()
	if left := faults.List(); len(left) != 1 || left[0].Kind != faulttest.Latency {
		t.Errorf("left: %+v", left)
	}
}

// Rules about records and jobs strike no request, and a rule without an
// operation no request for a token.
func TestWhatIsStruck(t *testing.T) {
	t.Parallel()
	faults := faulttest.New(1, faulttest.Row, faulttest.FailJob, faulttest.Reset)
	for _, f := range []faulttest.Fault{
		{Kind: faulttest.Row, Code: "LOCKED", ExternalID: "b", Skip: 1, Count: 1},
		{Kind: faulttest.FailJob, Type: "Account", Skip: 2, Count: 1},
	} {
		if err := faults.Fail(f); err != nil {
			t.Fatal(err)
		}
	}
	if _, f := faults.Strike(faulttest.Request{Op: "create", Type: "Account"}); f != nil {
		t.Errorf("a request met %+v", f)
	}
	for i, want := range []bool{false, true, false} {
		if faults.StrikeRow("Account", "create", "a") != nil {
			t.Error("another record was struck")
		}
		if got := faults.StrikeRow("Account", "create", "b") != nil; got != want {
			t.Errorf("row %d: %v", i, got)
		}
	}
	for i, want := range []bool{true, false} { // the skip of a job counts its rows
		if got := faults.StrikeJob("account") != nil; got != want {
			t.Errorf("job %d: %v", i, got)
		}
	}
	if err := faults.Fail(faulttest.Fault{Kind: faulttest.Reset}); err != nil {
		t.Fatal(err)
	}
	if _, f := faults.Strike(faulttest.Request{Op: "token"}); f != nil {
		t.Error("a token was struck")
	}
	if _, f := faults.Strike(faulttest.Request{Op: "read"}); f == nil {
		t.Error("a read was not struck")
	}
}
