package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/upkeep-sync/upkeep/connector/httpapi/httpapitest"
)

// standIn is what stand-ins for the HTTP connector have in common.
type standIn interface {
	http.Handler
	Records(recordType string) []httpapitest.Record
	Calls() map[string]int
}

func newStandIn(name string) (standIn, bool) {
	switch name {
	case "hubspot":
		return httpapitest.NewHubSpot("email"), true
	case "stripe":
		return httpapitest.NewStripe(), true
	case "plain":
		return httpapitest.NewPlain(), true
	}
	return nil, false
}

func startStandIn(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "standin hubspot|stripe|plain")
	s, ok := newStandIn(args[0])
	if !ok {
		ts.Fatalf("there is no stand-in of %s", args[0])
	}
	*ts.Value("standin").(*standIn) = s
	server := httptest.NewServer(s)
	ts.Defer(func() {
		server.CloseClientConnections()
		server.Close()
	})
	ts.Setenv("STANDIN_URL", server.URL)
	ts.Setenv("STANDIN_TOKEN", httpapitest.Token)
}

func printSeen(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "seen TYPE")
	s := *ts.Value("standin").(*standIn)
	records := s.Records(args[0])
	for _, r := range records[:min(len(records), 20)] {
		b, err := json.Marshal(r.Fields)
		ts.Check(err)
		fmt.Fprintf(ts.Stdout(), "%s %s %s\n", r.ID, r.Key, b)
	}
	fmt.Fprintf(ts.Stdout(), "count: %d\n", len(records))
	calls := s.Calls()
	for _, pattern := range slices.Sorted(maps.Keys(calls)) {
		fmt.Fprintf(ts.Stdout(), "%d %s\n", calls[pattern], pattern)
	}
}
