package main

import (
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/connector/httpapi/httpapitest"
)

type sandboxWebhookCmd struct {
	Listen string `default:"127.0.0.1:7790" help:"Address to listen on."`
	Secret string `default:"whsec_Y2FuYXJ5LXNlY3JldC1vZi13ZWJob29rcy0xMjM0" help:"The secret that events are signed with."`
}

// Run prints the events that come, each once, until the context ends.
func (c *sandboxWebhookCmd) Run(p *program) error {
	receiver := httpapitest.NewWebhook(c.Secret, time.Now)
	receiver.Seen = func(e httpapitest.Event) { fmt.Fprintf(p.out, "%s %s\n", e.ID, e.Body) }
	receiver.Refuses = func(reason string) { fmt.Fprintf(p.out, "refused: %s\n", reason) }
	return serveSandbox(p, c.Listen, receiver, func(url string) string { return fmt.Sprintf(webhookText, url, c.Secret) })
}

const webhookText = `A receiver of signed webhooks answers at %[1]s until interrupted, and prints each event once.

For upkeep.yaml (this secret opens nothing but the sandbox):

remotes:
  hook:
    connector: http
    base_url: %[1]s
    sign: {standard_webhooks: {secret: %[2]s}}
    records:
      "*":
        event: {path: /, body: {type: $type.$event, timestamp: $timestamp, data: {id: $external_id, fields: $fields}}}

`
