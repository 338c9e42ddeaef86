package salesforce

import (
	"context"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
)

// confirm says what an update or a delete comes to of records of which Salesforce
// said that they are not there. The same is said when the user may not see the
// object, and of a record that a field refers to: so these are looked for. One
// that a query shows, or of an object that no query may name, was not written.
// One that is gone is what a delete wants. said are errors of kind NotFound.
func (c *Connection) confirm(ctx context.Context, v verb, recordType string, ids []string, said []error) []error {
	there, missing := c.there(ctx, recordType, ids)
	out := make([]error, len(ids))
	for i, id := range ids {
		switch {
		case missing != nil:
			out[i] = missing
		case there[id[:15]]:
			out[i] = shown(v, said[i])
		case v != remove:
			out[i] = said[i]
		}
	}
	return out
}

// shown is the error about a record that is there after all, in Salesforce's words.
func shown(v verb, said error) error {
	e := *connector.AsError(said)
	e.Kind = connector.Rejected
	if v == remove {
		e.Message += " (but Salesforce shows the record: may the integration's user delete it?)"
	} else {
		e.Message += " (but Salesforce shows the record itself: is what its fields refer to there, and may the integration's user edit it?)"
	}
	return &e
}

// there tells which of the records a query shows, by the first 15 characters of
// their ids.
func (c *Connection) there(ctx context.Context, recordType string, ids []string) (map[string]bool, *connector.Error) {
	quoted := make([]string, len(ids))
	for i, id := range ids {
		quoted[i] = literal(id)
	}
	where := "= " + quoted[0]
	if len(ids) > 1 {
		where = "IN (" + strings.Join(quoted, ", ") + ")"
	}
	rows, err := c.query(ctx, find, "SELECT Id FROM "+recordType+" WHERE Id "+where)
	if err != nil {
		if err.Kind == connector.Unknown {
			err.Kind = connector.Unavailable // it is a question: what was sent before was not applied
		}
		return nil, err
	}
	there := map[string]bool{}
	for _, r := range rows {
		if id := text(member(r, "Id")); recordID.MatchString(id) {
			there[id[:15]] = true
		}
	}
	return there, nil
}

// confirm looks for the records of a collection that were not found.
func (b *batch) confirm(ctx context.Context, c *Connection, v verb, recordType string) {
	var at []int
	var ids []string
	var said []error
	for n, i := range b.at {
		if err := b.results[i].Err; err != nil && connector.KindOf(err) == connector.NotFound {
			at, ids, said = append(at, i), append(ids, b.ids[n]), append(said, err)
		}
	}
	if len(ids) == 0 {
		return
	}
	for n, err := range c.confirm(ctx, v, recordType, ids, said) {
		b.results[at[n]].Err = err
	}
}

// confirmRows looks for the records of a job that were not found, and tells of
// them then. Of those whose look-up failed nothing is told.
func (c *Connection) confirmRows(ctx context.Context, v verb, recordType string, rows []connector.JobResult, each func(connector.JobResult) error) error {
	for part := range slices.Chunk(rows, mostRows) {
		ids, said := make([]string, len(part)), make([]error, len(part))
		for i, r := range part {
			ids[i], said[i] = r.RemoteID, r.Err
		}
		for i, err := range c.confirm(ctx, v, recordType, ids, said) {
			if err != nil && connector.KindOf(err) != connector.Rejected && connector.KindOf(err) != connector.NotFound {
				return err // of the look-up: the job is asked again
			}
			part[i].Err = err
			if err := each(part[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
