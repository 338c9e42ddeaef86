package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
)

type sandboxCmd struct {
	Netsuite   sandboxNetsuiteCmd   `cmd:"" help:"A NetSuite account in memory, with faults on command."`
	Salesforce sandboxSalesforceCmd `cmd:"" help:"A Salesforce org in memory, with faults on command."`
	Webhook    sandboxWebhookCmd    `cmd:"" help:"A receiver of signed webhooks, which prints what it gets."`
}

type sandboxNetsuiteCmd struct {
	Listen      string        `default:"127.0.0.1:7780" help:"Address to listen on."`
	Latency     time.Duration `help:"How long each answer takes, such as 50ms."`
	Concurrency int           `default:"5" help:"How many requests the account takes at once."`
	Field       []string      `placeholder:"NAME:KIND" help:"A custom field of the account, such as custentity_born:date. KIND is text, integer, decimal, checkbox or date; text, if it is left out. May be given again."`
	Seed        uint64        `placeholder:"N" help:"Makes the dice of faults with a probability repeatable."`
}

// Run serves the account until the context ends.
func (c *sandboxNetsuiteCmd) Run(p *program) error {
	if c.Concurrency < 1 {
		return usageError("--concurrency must be 1 or more")
	}
	fields, err := customFields(c.Field)
	if err != nil {
		return err
	}
	account, err := netsuitetest.New(netsuitetest.Config{Concurrency: c.Concurrency, CustomFields: fields, Seed: c.Seed})
	if err != nil {
		return fmt.Errorf("make the sandbox account: %w", err)
	}
	defer account.Close()
	if c.Latency > 0 {
		if err := account.Fail(netsuitetest.Fault{Kind: netsuitetest.Latency, Latency: netsuitetest.Duration(c.Latency)}); err != nil {
			return err
		}
	}
	return serveSandbox(p, c.Listen, account, func(url string) string {
		return fmt.Sprintf(sandboxText, url, netsuitetest.Account, netsuitetest.ConsumerKey, netsuitetest.ConsumerSecret,
			netsuitetest.TokenID, netsuitetest.TokenSecret, c.Concurrency, customFieldNames(fields))
	})
}

// customFields reads NAME:KIND.
func customFields(given []string) (fields []netsuitetest.CustomField, err error) {
	for _, g := range given {
		name, kind, _ := strings.Cut(g, ":")
		known := func(words string, w string) bool { return slices.Contains(strings.Fields(words), w) }
		if !known("text integer decimal checkbox date", cmp.Or(kind, "text")) {
			return nil, usageError("--field " + g + ": the kind is one of text, integer, decimal, checkbox and date, as in custentity_born:date")
		}
		if where, rest, _ := strings.Cut(name, "_"); !known("custentity custbody custcol custitem", where) || rest == "" {
			return nil, usageError("--field " + g + ": a custom field's name begins with custentity_ (customers), custbody_ (orders), custcol_ (their lines) or custitem_ (items)")
		}
		fields = append(fields, netsuitetest.CustomField{Name: name, Kind: kind})
	}
	return fields, nil
}

func customFieldNames(more []netsuitetest.CustomField) string {
	var names []string
	for _, f := range slices.Concat(netsuitetest.DefaultCustomFields(), more) {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

// serveSandbox listens, says so, and serves until the context ends.
func serveSandbox(p *program, listen string, handler http.Handler, text func(url string) string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --listen", err)
	}
	fmt.Fprint(p.out, text("http://"+l.Addr().String()))
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	stopped := context.AfterFunc(p.ctx, func() { _ = server.Close() })
	defer stopped()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

const sandboxText = `A NetSuite sandbox account answers at %[1]s until interrupted. All it holds is in memory.

For upkeep.yaml (these credentials open nothing but the sandbox):

remotes:
  netsuite:
    connector: netsuite
    account: %[2]s
    base_url: %[1]s
    concurrency: %[7]d
    auth:
      oauth1:
        consumer_key: %[3]s
        consumer_secret: %[4]s
        token_id: %[5]s
        token_secret: %[6]s

Its record types, with the commonest of their fields: customer, contact, employee, partner, vendor; salesOrder, itemFulfillment,
invoice, cashSale, returnAuthorization, fulfillmentRequest, vendorBill; inventoryItem, nonInventorySaleItem, serviceSaleItem;
and lists such as subsidiary and currency. Its custom fields, to which --field custentity_born:date adds one:
%[8]s.

What it holds, what it saw, and what somebody else might change there:

  curl %[1]s/sandbox/records/salesOrder
  curl -X PATCH %[1]s/sandbox/records/customer/eid:customer-7 -d '{"email":"by@hand.example"}'
  curl -X DELETE %[1]s/sandbox/records/customer/eid:customer-7
  curl %[1]s/sandbox/stats
  curl %[1]s/sandbox/audit                   refused logins, with the reason
  curl '%[1]s/sandbox/duplicates?field=otherRefNum'

Make it fail (kinds: latency, status, reset, hang, late, html, empty; type: a record type; op: create, read, update, upsert,
delete, list, transform, query, job, metadata, token), and heal it:

  curl %[1]s/sandbox/faults -d '{"kind":"status","status":429,"retry_after":"2s","probability":0.3}'
  curl %[1]s/sandbox/faults -d '{"kind":"reset","op":"upsert","applied":true,"count":3}'
  curl %[1]s/sandbox/faults -d '{"kind":"late","type":"salesOrder","delay":"20s","count":1}'
  curl -X DELETE %[1]s/sandbox/faults

`
