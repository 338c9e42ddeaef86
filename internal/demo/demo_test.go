package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/httpapi"
	"github.com/upkeep-sync/upkeep/connector/netsuite"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
	"github.com/upkeep-sync/upkeep/connector/salesforce"
	"github.com/upkeep-sync/upkeep/connector/warehouse"
	"github.com/upkeep-sync/upkeep/internal/config"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connectors() config.Connectors {
	return config.Connectors{
		"netsuite":   config.Opens(netsuite.Open),
		"salesforce": config.Opens(salesforce.Open),
		"warehouse":  config.Opens(warehouse.Open),
		"http":       config.Opens(httpapi.Open),
	}
}

// scale is that of the tests: 30 users, 75 orders.
const scale = 0.05

// run makes a fixed run and returns its last line, the lines before it, and
// the verdict.
func run(t *testing.T, c Config) (last string, before []string, inSync bool) {
	t.Helper()
	var out bytes.Buffer
	c.Once, c.Scale, c.Connectors, c.Out, c.under = true, scale, connectors(), &out, t.TempDir()
	inSync, err := Run(t.Context(), c)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	t.Log(out.String())
	return lines[len(lines)-1], lines[:len(lines)-1], inSync
}

var fine = regexp.MustCompile(`^in sync: (\d+) groups, (\d+) records, 0 differences, 0 duplicates, (\d+) calls for (\d+) touches$`)

func checkFine(t *testing.T, last string, inSync bool) {
	t.Helper()
	m := fine.FindStringSubmatch(last)
	if m == nil || !inSync {
		t.Fatalf("last line %q, in sync %v", last, inSync)
	}
	var groups, records, calls, touches int
	for i, n := range []*int{&groups, &records, &calls, &touches} {
		if _, err := fmt.Sscan(m[i+1], n); err != nil {
			t.Fatal(err)
		}
	}
	if groups < 150 || records < 80 || touches < 100 || calls < 50 || calls >= touches {
		t.Errorf("these numbers can't be right: %s", last)
	}
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	last, _, inSync := run(t, Config{})
	checkFine(t, last, inSync)
}

func TestAllRemotes(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{"sqlite": "", "postgres": pgtest.New(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			last, before, inSync := run(t, Config{Source: source, All: true, Seed: 4})
			if !inSync || !strings.HasPrefix(last, "in sync: ") || !strings.Contains(last, " 0 differences, 0 duplicates, ") {
				t.Errorf("last line %q, in sync %v", last, inSync)
			}
			for _, remote := range []string{"netsuite:  ", "salesforce:", "warehouse: ", "webhook:   "} {
				if !strings.Contains(strings.Join(before, "\n"), remote+" in sync: ") {
					t.Errorf("no line for %s", remote)
				}
			}
		})
	}
}

// What somebody does to one remote is told of that one.
func TestDifferencesOfOtherRemotes(t *testing.T) {
	t.Parallel()
	var others *others
	last, before, inSync := run(t, Config{All: true, Seed: 5, started: func(d *demo) { others = d.others }, meddle: func(*account) {
		for _, r := range others.org.Records("Account")[:1] {
			if err := others.org.Edit(text(r["Id"]), []byte(`{"Site":"elsewhere"}`)); err != nil {
				t.Error(err)
			}
		}
		if _, err := others.warehouse.ExecContext(t.Context(), "UPDATE warehouse_orders SET ref_no = 'other' WHERE external_id = '3'"); err != nil {
			t.Error(err)
		}
	}})
	text := strings.Join(before, "\n")
	if inSync || !strings.HasPrefix(last, "NOT in sync: ") || !strings.Contains(text, "salesforce: NOT in sync: ") ||
		!strings.Contains(text, "warehouse:  NOT in sync: ") || !strings.Contains(text, "webhook:    in sync: ") ||
		!strings.Contains(text, `warehouse_orders 3: ref_no is "other"`) {
		t.Errorf("last line %q", last)
	}
}

func TestSQLiteFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "my shop?.db")
	last, _, inSync := run(t, Config{Source: "sqlite:" + path, Seed: 2, Keep: true})
	checkFine(t, last, inSync)
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file is gone in spite of Keep: %v", err)
	}
	if _, err := Run(t.Context(), Config{Source: "sqlite:" + path, Out: &bytes.Buffer{}, under: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a file that exists was taken: %v", err)
	}
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	source := pgtest.New(t)
	db, err := pgx.Connect(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	// The user's own table of the same name is not to be touched.
	if _, err := db.Exec(t.Context(), "CREATE TABLE public.users (mine int); INSERT INTO public.users VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	left := func() string {
		var out string
		if err := db.QueryRow(t.Context(), `SELECT concat_ws(' ', (SELECT string_agg(nspname, ',') FROM pg_namespace WHERE nspname LIKE 'upkeep%'),
			(SELECT count(*) FROM pg_trigger), (SELECT sum(mine) FROM public.users))`).Scan(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	before := left()
	last, _, inSync := run(t, Config{Source: source, Keep: true})
	checkFine(t, last, inSync)
	if kept := left(); !strings.Contains(kept, "upkeep_demo") {
		t.Errorf("nothing was left in spite of Keep: %s", kept)
	}
	// A later demo clears up what an earlier one left.
	last, _, inSync = run(t, Config{Source: source, Seed: 3})
	checkFine(t, last, inSync)
	if after := left(); after != before {
		t.Errorf("before %q, after %q", before, after)
	}
}

func TestPostgresOfOthers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sql, want string }{
		"schema":   {"CREATE SCHEMA upkeep_demo", "did not make"},
		"registry": {"CREATE SCHEMA upkeep", "Upkeep is at work there"},
	} {
		t.Run(name, func(t *testing.T) {
			source := pgtest.New(t)
			db, err := pgx.Connect(t.Context(), source)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close(context.Background()) }()
			if _, err := db.Exec(t.Context(), c.sql); err != nil {
				t.Fatal(err)
			}
			_, err = Run(t.Context(), Config{Source: source, Out: &bytes.Buffer{}, Connectors: connectors()})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestDifferencesAreFound changes the sandbox behind Upkeep's back.
func TestDifferencesAreFound(t *testing.T) {
	t.Parallel()
	var fulfillment, order record
	last, before, inSync := run(t, Config{meddle: func(a *account) {
		for _, r := range a.stored()["itemFulfillment"] {
			fulfillment = r
		}
		for _, r := range a.stored()["salesOrder"] {
			order = r
		}
		if err := asOther(t.Context(), a, func(ctx context.Context, c *netsuite.Connection) error {
			id, err := c.Find(ctx, "customer", "user-7")
			if err != nil {
				return err
			}
			return errors.Join(
				c.Update(ctx, id, connector.Record{Type: "customer", ExternalID: "user-7", Fields: connector.Fields{"email": []byte(`"other@example.com"`)}}),
				c.Delete(ctx, "itemFulfillment", fulfillment["id"]))
		}); err != nil {
			t.Error(err)
		}
		for recordType, body := range map[string]string{
			"customer":   `{"externalId":"user-100000","entityId":"U100000","companyName":"Somebody"}`,
			"salesOrder": fmt.Sprintf(`{"otherRefNum":%q,"entity":{"id":"1001"},"item":{"items":[{"item":{"id":"201"}}]}}`, order["otherRefNum"]),
		} {
			if _, err := a.Add(recordType, []byte(body)); err != nil {
				t.Error(err)
			}
		}
	}})
	if inSync || !strings.HasPrefix(last, "NOT in sync: ") || !strings.Contains(last, " records, 6 differences, 1 duplicates, ") {
		t.Errorf("last line %q, in sync %v", last, inSync)
	}
	for _, want := range []string{
		`customer 7: email is "other@example.com", should be "`,
		`customer user-7: email is "other@example.com", the database says "`,
		"fulfillment " + strings.TrimPrefix(fulfillment["externalId"], "fulfillment-") + ": should be a record, is nothing",
		"itemFulfillment " + fulfillment["externalId"] + " is missing",
		"customer user-100000 should not be there",
		"without an external id) should not be there",
		"have the same otherRefNum=" + order["otherRefNum"],
	} {
		if !strings.Contains(strings.Join(before, "\n"), want) {
			t.Errorf("no line has %q", want)
		}
	}
}

// asOther calls f with another user's connection to the sandbox.
func asOther(ctx context.Context, a *account, f func(context.Context, *netsuite.Connection) error) error {
	c, err := netsuite.Open(netsuite.Config{Account: netsuitetest.Account, BaseURL: a.url, Auth: netsuite.Auth{OAuth1: &netsuite.OAuth1{
		ConsumerKey: netsuitetest.ConsumerKey, ConsumerSecret: netsuitetest.ConsumerSecret,
		TokenID: netsuitetest.TokenID, TokenSecret: netsuitetest.TokenSecret,
	}}})
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, c), c.Close())
}
