package demo

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/upkeep-sync/upkeep/connector/httpapi/httpapitest"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
)

//go:embed remotes.yaml
var otherRemotes string

//go:embed syncs.yaml
var otherSyncs string

// others are the remotes besides NetSuite: a Salesforce org, a warehouse and
// the receiver of a webhook.
type others struct {
	org       *salesforcetest.Server
	hook      *httpapitest.Webhook
	warehouse *sql.DB
	url       struct{ org, hook, warehouse, schema string }
	ends      []func() error
}

// openOthers starts the stand-ins. The warehouse is a file of its own, or
// tables beside the shop's in PostgreSQL.
func openOthers(seed uint64, p *place, dir string) (*others, error) {
	o := &others{hook: httpapitest.NewWebhook(httpapitest.WebhookSecret, time.Now)}
	var err error
	if o.org, err = salesforcetest.New(salesforcetest.Config{Seed: seed}); err != nil {
		return nil, fmt.Errorf("make the Salesforce sandbox: %w", err)
	}
	o.ends = append(o.ends, func() error { o.org.Close(); return nil })
	if err := o.org.Fail(salesforcetest.Fault{Kind: salesforcetest.Latency, Latency: salesforcetest.Duration(20 * time.Millisecond), Stays: true}); err != nil {
		return nil, errors.Join(err, o.close())
	}
	if o.url.org, err = o.serve(o.org); err != nil {
		return nil, errors.Join(err, o.close())
	}
	if o.url.hook, err = o.serve(o.hook); err != nil {
		return nil, errors.Join(err, o.close())
	}
	o.url.warehouse, o.url.schema, o.warehouse = p.url, pgSchema, p.db
	if p.file {
		path := filepath.Join(dir, "warehouse.db")
		o.url.warehouse, o.url.schema = "sqlite:"+path, "main"
		if o.warehouse, err = sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(20000)"); err != nil {
			return nil, errors.Join(err, o.close())
		}
		o.ends = append(o.ends, o.warehouse.Close)
	}
	return o, nil
}

// serve lets a handler answer on a loopback address.
func (o *others) serve(h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("start a sandbox: %w", err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	o.ends = append(o.ends, func() error {
		err := s.Close()
		if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
			err = errors.Join(err, end)
		}
		return err
	})
	return "http://" + l.Addr().String(), nil
}

func (o *others) close() (err error) {
	for i := len(o.ends) - 1; i >= 0; i-- {
		err = errors.Join(err, o.ends[i]())
	}
	return err
}

// about is where the warehouse is, for people.
func (o *others) about() string {
	if o.url.schema == "main" {
		return o.url.warehouse
	}
	return "tables beside the shop's, in the schema " + o.url.schema
}

// calls is how many requests came over HTTP; the warehouse counts none.
func (o *others) calls() int {
	events, repeated := o.hook.Events()
	return o.org.Stats().Requests + len(events) + repeated
}

// placeholders are what remotes.yaml has for the things that are known only
// when the stand-ins are there.
func (o *others) placeholders() []string {
	quoted := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			panic(err) // a string always encodes
		}
		return string(b)
	}
	return []string{
		"@SALESFORCE@", o.url.org, "@CLIENT_ID@", salesforcetest.ClientID, "@CLIENT_SECRET@", salesforcetest.ClientSecret,
		"@WAREHOUSE@", quoted(o.url.warehouse), "@WAREHOUSE_SCHEMA@", o.url.schema,
		"@WEBHOOK@", o.url.hook, "@WEBHOOK_SECRET@", httpapitest.WebhookSecret,
	}
}

// expectedOthers is what must be at the other remotes, as plain SQL over the
// shop's tables says it.
func (s *shop) expectedOthers(ctx context.Context) (map[string]map[string]record, error) {
	out := map[string]map[string]record{}
	const total = `(SELECT CAST(coalesce(sum(l.qty * l.price), 0) AS text) FROM line_items l WHERE l.order_id = o.id)`
	for _, q := range []struct {
		what  string
		names []string
		sql   string
	}{
		{"Account", []string{"Name", "Email__c", "Site", "Score__c"}, `
			SELECT 'user-' || CAST(u.id AS text), u.name, u.email, c.segment, CAST((SELECT count(*) FROM orders o WHERE o.user_id = u.id AND o.state <> 'draft') AS text)
			FROM users u LEFT JOIN customers c ON c.id = u.customer_id`},
		{"Invoice__c", []string{"Name", "Account__r", "Issued__c", "Total__c"}, `
			SELECT 'order-' || CAST(o.id AS text), o.ref_no, 'user-' || CAST(o.user_id AS text), CAST(o.placed_on AS text), ` + total + `
			FROM orders o WHERE o.state <> 'draft'`},
		{"warehouse_users", []string{"name", "email", "segment"}, `
			SELECT CAST(u.id AS text), u.name, u.email, c.segment FROM users u LEFT JOIN customers c ON c.id = u.customer_id`},
		{"warehouse_orders", []string{"user_id", "ref_no", "state", "placed_on", "lines", "total"}, `
			SELECT CAST(o.id AS text), CAST(o.user_id AS text), o.ref_no, o.state, CAST(o.placed_on AS text),
				CAST((SELECT count(*) FROM line_items l WHERE l.order_id = o.id) AS text), ` + total + ` FROM orders o`},
		{"order event", []string{"ref", "state", "total"}, `
			SELECT 'order-' || CAST(o.id AS text), o.ref_no, o.state, ` + total + ` FROM orders o WHERE o.state <> 'draft'`},
	} {
		rows, err := readRecords(ctx, s.db, q.names, q.sql)
		if err != nil {
			return nil, err
		}
		out[q.what] = rows
	}
	return out, nil
}

// readRecords reads a key and the named fields.
func readRecords(ctx context.Context, db *sql.DB, names []string, query string) (map[string]record, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	out := map[string]record{}
	for rows.Next() {
		key, values := "", make([]sql.NullString, len(names))
		into := []any{&key}
		for i := range values {
			into = append(into, &values[i])
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		r := record{}
		for i, name := range names {
			r[name] = values[i].String
			if name == "total" || name == "Total__c" {
				r[name] = number(values[i].String)
			}
		}
		out[key] = r
	}
	return out, rows.Err()
}

// stored is what is at the other remotes, in the form of expectedOthers.
func (o *others) stored(ctx context.Context) (map[string]map[string]record, error) {
	out := map[string]map[string]record{"Account": {}, "Invoice__c": {}}
	accounts := map[string]string{}
	for _, t := range []string{"Account", "Invoice__c"} {
		for _, r := range o.org.Records(t) {
			key := text(r[salesforcetest.ExternalField])
			got := record{}
			for name, v := range r {
				got[name] = text(v)
			}
			accounts[text(r["Id"])] = key
			got["Score__c"], got["Total__c"] = number(got["Score__c"]), number(got["Total__c"])
			got["Account__r"] = accounts[got["Account__c"]]
			if got["Active__c"] == "false" {
				got["isInactive"] = "true"
			}
			out[t][key] = got
		}
	}
	var err error
	in := func(table string) string {
		if o.url.schema == "main" {
			return table
		}
		return o.url.schema + "." + table
	}
	if out["warehouse_users"], err = readRecords(ctx, o.warehouse, []string{"name", "email", "segment"},
		"SELECT external_id, name, email, segment FROM "+in("warehouse_users")); err != nil {
		return nil, err
	}
	lines := in("warehouse_orders_lines") + " l WHERE l.external_id = o.external_id"
	if out["warehouse_orders"], err = readRecords(ctx, o.warehouse, []string{"user_id", "ref_no", "state", "placed_on", "lines", "total"}, `
		SELECT o.external_id, CAST(o.user_id AS text), o.ref_no, o.state, CAST(o.placed_on AS text),
			CAST((SELECT count(*) FROM `+lines+`) AS text), CAST((SELECT coalesce(sum(l.qty * l.price), 0) FROM `+lines+`) AS text)
		FROM `+in("warehouse_orders")+" o"); err != nil {
		return nil, err
	}
	out["order event"], err = o.told()
	return out, err
}

// told is what the receiver of the webhook knows, who puts the events together.
func (o *others) told() (map[string]record, error) {
	out := map[string]record{}
	events, _ := o.hook.Events()
	for _, e := range events {
		var body struct {
			Type string `json:"type"`
			Data struct {
				ID     string                     `json:"id"`
				Fields map[string]json.RawMessage `json:"fields"`
			} `json:"data"`
		}
		if err := json.Unmarshal(e.Body, &body); err != nil {
			return nil, fmt.Errorf("event %s: %w", e.ID, err)
		}
		if body.Type == "order.deleted" {
			delete(out, body.Data.ID)
			continue
		}
		r := out[body.Data.ID]
		if r == nil {
			r = record{}
			out[body.Data.ID] = r
		}
		for name, raw := range body.Data.Fields {
			var s string
			if json.Unmarshal(raw, &s) != nil {
				s = number(string(raw))
			}
			r[name] = s
		}
	}
	return out, nil
}
