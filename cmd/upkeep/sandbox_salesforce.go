package main

import (
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
)

type sandboxSalesforceCmd struct {
	Listen  string        `default:"127.0.0.1:7781" help:"Address to listen on."`
	Latency time.Duration `help:"How long each answer takes, such as 50ms."`
	Daily   int           `default:"15000" help:"How many requests the org takes in 24 hours."`
	Seed    uint64        `placeholder:"N" help:"Makes the dice of faults with a probability repeatable."`
}

// Run serves the org until the context ends.
func (c *sandboxSalesforceCmd) Run(p *program) error {
	if c.Daily < 1 {
		return usageError("--daily must be 1 or more")
	}
	org, err := salesforcetest.New(salesforcetest.Config{DailyRequests: c.Daily, Seed: c.Seed})
	if err != nil {
		return fmt.Errorf("make the sandbox org: %w", err)
	}
	defer org.Close()
	if c.Latency > 0 {
		if err := org.Fail(salesforcetest.Fault{Kind: salesforcetest.Latency, Latency: salesforcetest.Duration(c.Latency)}); err != nil {
			return err
		}
	}
	return serveSandbox(p, c.Listen, org, func(url string) string {
		return fmt.Sprintf(salesforceText, url, salesforcetest.ClientID, salesforcetest.ClientSecret, salesforcetest.ExternalField)
	})
}

const salesforceText = `A Salesforce sandbox org answers at %[1]s until interrupted. All it holds is in memory.

For upkeep.yaml (these credentials open nothing but the sandbox):

remotes:
  salesforce:
    connector: salesforce
    base_url: %[1]s
    auth:
      client_credentials:
        client_id: %[2]s
        client_secret: %[3]s

It has Account, Contact, Product2, Order, Invoice__c, Invoice_Line__c and Task, each with the external id field %[4]s.

What it holds, what it saw, and what somebody else might change there:

  curl %[1]s/sandbox/records/Account
  curl -X PATCH %[1]s/sandbox/records/Account/customer-7 -d '{"Name":"By hand"}'
  curl -X DELETE %[1]s/sandbox/records/Account/customer-7
  curl %[1]s/sandbox/stats
  curl %[1]s/sandbox/logins                  refused logins, with the reason
  curl %[1]s/sandbox/jobs
  curl %[1]s/sandbox/usage -d '{"used":13000,"limit":15000}'
  curl -X DELETE %[1]s/sandbox/sessions      every token ends

Make it fail (kinds: latency, status, row, reset, hang, late, html, empty, short, fail_job, overload; type: an object; op: create,
read, update, upsert, delete, collection, query, describe, limits, job, token), and heal it:

  curl %[1]s/sandbox/faults -d '{"kind":"status","status":503,"probability":0.3}'
  curl %[1]s/sandbox/faults -d '{"kind":"row","code":"UNABLE_TO_LOCK_ROW","probability":0.1}'
  curl %[1]s/sandbox/faults -d '{"kind":"reset","op":"collection","applied":true,"count":3}'
  curl %[1]s/sandbox/faults -d '{"kind":"status","status":403,"code":"REQUEST_LIMIT_EXCEEDED","count":1}'
  curl -X DELETE %[1]s/sandbox/faults

`
