package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/upkeep-sync/upkeep/connector/httpapi/httpapitest"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
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
	case "lossy":
		return lossy{httpapitest.NewPlain()}, true
	}
	return nil, false
}

// lossy breaks off when a record is made: after it made one that is called
// "Made", and before it made one that is called "Unmade".
type lossy struct{ standIn }

func (l lossy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	switch {
	case err != nil, r.Method == http.MethodPost && bytes.Contains(body, []byte(`"Unmade"`)):
		panic(http.ErrAbortHandler)
	case r.Method == http.MethodPost && bytes.Contains(body, []byte(`"Made"`)):
		l.standIn.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	l.standIn.ServeHTTP(w, r)
}

func startStandIn(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "standin hubspot|stripe|plain|lossy")
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

// startStandIns starts those that documents speak of.
func (d *desk) startStandIns() {
	d.env = append(d.env, "WEBHOOK_SECRET="+httpapitest.WebhookSecret, "HUBSPOT_TOKEN="+httpapitest.Token, "STRIPE_KEY="+httpapitest.Token)
	for _, name := range []string{"hubspot", "stripe"} {
		s, _ := newStandIn(name)
		server := httptest.NewServer(s)
		d.Cleanup(server.Close)
		d.env = append(d.env, strings.ToUpper(name)+"_URL="+server.URL)
	}
}

// startOrg starts the Salesforce sandbox.
func (d *desk) startOrg() {
	org, err := salesforcetest.New(salesforcetest.Config{})
	if err != nil {
		d.Fatal(err)
	}
	server := httptest.NewServer(org)
	d.Cleanup(func() {
		org.Close()
		server.CloseClientConnections()
		server.Close()
	})
	d.org = server.URL
	if err := os.WriteFile(filepath.Join(d.dir, "salesforce.pem"), []byte(salesforcetest.PrivateKey), 0o600); err != nil {
		d.Fatal(err)
	}
	d.env = append(d.env, "SF_CLIENT_ID="+salesforcetest.ClientID, "SF_CLIENT_SECRET="+salesforcetest.ClientSecret, "SF_USERNAME="+salesforcetest.Username)
}
