package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/httpapi"
	"github.com/upkeep-sync/upkeep/connector/httpapi/httpapitest"
	"github.com/upkeep-sync/upkeep/connector/netsuite"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
	"github.com/upkeep-sync/upkeep/connector/salesforce"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
	"github.com/upkeep-sync/upkeep/connector/warehouse"
	"github.com/upkeep-sync/upkeep/internal/config"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

// changed is how many records change in the rows of the connectors.
const changed = 1000

// target is a connector with its sandbox.
type target struct {
	name   string
	least  int // calls that the remote's largest batches make possible
	remote string
	record string // and external_id, fields: of the sync
}

// connectors counts the calls that changed records take, over HTTP or SQL,
// from a table of users in SQLite.
func (p *place) connectors() ([]result, error) {
	account, err := netsuitetest.New(netsuitetest.Config{})
	if err != nil {
		return nil, err
	}
	defer account.Close()
	org, err := salesforcetest.New(salesforcetest.Config{})
	if err != nil {
		return nil, err
	}
	defer org.Close()
	hubspot := httpapitest.NewHubSpot("email")
	servers := map[string]*httptest.Server{"netsuite": httptest.NewServer(account), "salesforce": httptest.NewServer(org), "hubspot": httptest.NewServer(hubspot)}
	for _, s := range servers {
		defer s.Close()
	}
	dir, err := os.MkdirTemp("", "upkeep-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	hubspotRemote, err := hubspotRemote(servers["hubspot"].URL)
	if err != nil {
		return nil, err
	}
	var out []result
	for _, t := range []target{
		{"netsuite", changed, fmt.Sprintf(`{connector: netsuite, account: %s, base_url: %q, auth: {oauth1: {consumer_key: %s, consumer_secret: %s, token_id: %s, token_secret: %s}}}`,
			netsuitetest.Account, servers["netsuite"].URL, netsuitetest.ConsumerKey, netsuitetest.ConsumerSecret, netsuitetest.TokenID, netsuitetest.TokenSecret),
			`{record: customer, fields: {entityId: '"U" + string(id)', companyName: name}, `},
		{"salesforce", changed / 200, fmt.Sprintf(`{connector: salesforce, base_url: %q, auth: {client_credentials: {client_id: %s, client_secret: %s}}}`,
			servers["salesforce"].URL, salesforcetest.ClientID, salesforcetest.ClientSecret),
			`{record: Account, fields: {Name: name}, `},
		{"warehouse", 1, fmt.Sprintf(`{connector: warehouse, url: %q}`, "sqlite:"+filepath.Join(dir, "warehouse.db")),
			`{record: users, fields: {name: name}, `},
		{"http (HubSpot)", changed / 100, hubspotRemote, `{record: contacts, external_id: email, fields: {firstname: name}, `},
	} {
		p.say("calls of %s", t.name)
		calls, err := p.callsOf(t, dir)
		if err != nil {
			return out, fmt.Errorf("%s: %w", t.name, err)
		}
		out = append(out, result{fmt.Sprintf("calls for %d records that changed at once: %s", changed, t.name), fmt.Sprint(t.least), fmt.Sprint(calls),
			"the aim is the least that its batches make possible"})
	}
	return out, nil
}

// hubspotRemote is the remote of the example that is shipped.
func hubspotRemote(url string) (string, error) {
	b, err := os.ReadFile(filepath.Join("examples", "http", "hubspot.yaml"))
	if err != nil {
		return "", fmt.Errorf("run it in the repository's folder: %w", err)
	}
	_, after, ok := strings.Cut(string(b), "  hubspot:\n")
	before, _, ok2 := strings.Cut(after, "\nsyncs:")
	if !ok || !ok2 {
		return "", fmt.Errorf("examples/http/hubspot.yaml has no remote hubspot")
	}
	return "\n" + strings.NewReplacer("${HUBSPOT_URL:-https://api.hubapi.com}", url, "${HUBSPOT_TOKEN}", httpapitest.Token).Replace(before), nil
}

// callsOf is how many calls it takes when every record changes in one
// statement, once all are there.
func (p *place) callsOf(t target, dir string) (int64, error) {
	name := strings.Fields(t.name)[0]
	path := filepath.Join(dir, name+"-source.db")
	app, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(20000)&_pragma=journal_mode(wal)")
	if err != nil {
		return 0, err
	}
	defer app.Close()
	if _, err := app.ExecContext(p.ctx, fmt.Sprintf(`CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL, email text NOT NULL);
		INSERT INTO users WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i, 'user ' || i, i || '@example.com' FROM n`, changed)); err != nil {
		return 0, err
	}
	file := filepath.Join(dir, name+".yaml")
	text := fmt.Sprintf("source: %q\nremotes:\n  there: %s\nsyncs:\n  user: %s from: users, to: there}\n", "sqlite:"+path, t.remote, t.record)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return 0, err
	}
	s, err := setup.Open(p.ctx, setup.Options{Path: file, Env: os.LookupEnv, Connectors: config.Connectors{
		"netsuite":   config.Opens(netsuite.Open),
		"salesforce": config.Opens(salesforce.Open),
		"warehouse":  config.Opens(warehouse.Open),
		"http":       config.Opens(httpapi.Open),
	}})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	ctx, stop := context.WithCancel(p.ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Engine.Run(ctx) }()
	before, err := settled(ctx, s.Engine)
	if err == nil {
		_, err = app.ExecContext(ctx, "UPDATE users SET name = name || '!'")
	}
	var after int64
	if err == nil {
		after, err = settled(ctx, s.Engine)
	}
	stop()
	if failed := <-ended; err == nil {
		err = failed
	}
	return after - before, err
}

// settled waits until nothing is left to do, and returns the calls so far.
func settled(ctx context.Context, e *upkeep.Engine) (int64, error) {
	if err := e.Quiet(ctx, nil); err != nil {
		return 0, err
	}
	s, err := e.Status(ctx)
	if err != nil {
		return 0, err
	}
	if c := s.Syncs[0]; c.Clean != changed {
		return 0, fmt.Errorf("%d of %d records are up to date", c.Clean, changed)
	}
	return s.Syncs[0].Calls, nil
}
