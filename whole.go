package upkeep

import (
	"bytes"
	"context"

	"github.com/upkeep-sync/upkeep/connector"
)

// write updates a record. What goes out while a doubt or a force has it go whole
// may be refused for a part that the remote holds already and lets nobody write
// any more: the lines of an order that was fulfilled. Then only the rest is sent.
func (c *caller) write(id string, fields connector.Fields) error {
	err := c.update(id, fields)
	if isKind(err, connector.Rejected) {
		return c.writeRest(id, fields, err)
	}
	return err
}

// writeRest reads a record back whose update with more than what is known to
// differ was refused, and sends those of its fields that do differ, if there are
// fewer. What it reads ends no doubt: an older request may land after it.
func (c *caller) writeRest(id string, fields connector.Fields, refused error) error {
	reader, ok := c.remote.Connection.(connector.Reader)
	if !ok || !c.job.sendsMore(fields) {
		return refused
	}
	var there connector.Fields
	err := c.call("read", nil, func(ctx context.Context) (err error) {
		there, err = reader.Read(ctx, c.job.record.Type, id, fields)
		return err
	})
	if err != nil {
		return err
	}
	rest := connector.Fields{}
	for name, want := range fields {
		if !bytes.Equal(want, there[name]) {
			rest[name] = want
		}
	}
	switch len(rest) {
	case 0:
		return nil
	case len(fields):
		return refused
	}
	return c.update(id, rest)
}

// sendsMore: of these fields some are not known to differ from what the remote has.
func (j *job) sendsMore(fields connector.Fields) bool {
	known, any := parseDigests(j.claim.Digests)
	return !any || j.claim.RemoteID == "" || len(fields) > len(j.digests.changed(known))
}
