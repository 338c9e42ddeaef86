package connectortest

import (
	"fmt"
	"maps"
	"net/http"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
)

// batches tells whether a connection takes batches of the tests' type.
func batches(t Target) bool {
	b, ok := t.Connection.(connector.Batcher)
	return ok && b.Batch(t.Type).Most > 1
}

func (s *suite) apply(changes []connector.Change) []connector.Result {
	s.Helper()
	results, err := s.Connection.(connector.Batcher).Apply(s.ctx, s.Type, changes)
	s.look(err)
	if err != nil {
		s.Fatalf("apply %d changes: %v", len(changes), err)
	}
	if len(results) != len(changes) {
		s.Fatalf("%d results for %d changes", len(results), len(changes))
	}
	for _, r := range results {
		s.look(r.Err)
	}
	return results
}

// creates makes n changes that create.
func (s *suite) creates(n int) []connector.Change {
	changes := make([]connector.Change, n)
	for i := range changes {
		changes[i] = connector.Change{Action: connector.Create, Record: s.record(s.id(), connector.Fields{s.Text: quote(fmt.Sprint("text ", i))})}
		changes[i].Record.Version, changes[i].Record.Generation = s.version(), 1
	}
	return changes
}

// version is a higher one for each call, as the engine gives.
func (s *suite) version() int64 { return ids.Add(1) }

// applied creates, and checks that all went well.
func (s *suite) applied(changes []connector.Change) []connector.Result {
	s.Helper()
	results := s.apply(changes)
	for i, r := range results {
		if r.Err != nil || r.RemoteID == "" {
			s.Fatalf("create %q in a batch: %q, %v", changes[i].Record.ExternalID, r.RemoteID, r.Err)
		}
	}
	return results
}

// batch: results are in the order of the changes, whatever the remote's own.
func (s *suite) batch() {
	b := s.Connection.(connector.Batcher).Batch(s.Type)
	made := s.creates(min(b.Most, 12))
	results := s.applied(made)
	for i, c := range made {
		s.count(c.Record.ExternalID, 1)
		s.has(results[i].RemoteID, connector.Fields{s.Text: c.Record.Fields[s.Text]})
	}
	updates := make([]connector.Change, len(made))
	for i, c := range made {
		text := quote(fmt.Sprint("changed ", i))
		updates[i] = connector.Change{Action: connector.Update, RemoteID: results[i].RemoteID, Record: s.changes(c.Record.ExternalID, connector.Fields{s.Text: text})}
		updates[i].Record.Version, updates[i].Record.Generation = s.version(), 2
	}
	for i, r := range s.apply(updates) {
		if r.Err != nil {
			s.Errorf("update in a batch: %v", r.Err)
		}
		s.has(results[i].RemoteID, connector.Fields{s.Text: updates[i].Record.Fields[s.Text]})
	}
	deletes := make([]connector.Change, len(made))
	for i, c := range made {
		deletes[i] = connector.Change{Action: connector.Delete, RemoteID: results[i].RemoteID, Record: connector.Record{Type: s.Type, ExternalID: c.Record.ExternalID, Version: s.version(), Generation: 3}}
	}
	for range 2 { // the second time they are gone already
		for _, r := range s.apply(deletes) {
			if r.Err != nil && connector.KindOf(r.Err) != connector.NotFound {
				s.Errorf("delete in a batch: %v", r.Err)
			}
		}
	}
	for _, c := range made {
		s.count(c.Record.ExternalID, 0)
	}
	if b.Mixed {
		s.mixed()
	}
}

// mixed: a create, an update and a delete in one request.
func (s *suite) mixed() {
	made := s.creates(2)
	results := s.applied(made)
	changes := append(s.creates(1),
		connector.Change{Action: connector.Update, RemoteID: results[0].RemoteID, Record: s.changes(made[0].Record.ExternalID, connector.Fields{s.Text: quote("changed")})},
		connector.Change{Action: connector.Delete, RemoteID: results[1].RemoteID, Record: connector.Record{Type: s.Type, ExternalID: made[1].Record.ExternalID}})
	for i := range changes {
		changes[i].Record.Version, changes[i].Record.Generation = s.version(), 2
	}
	for i, r := range s.apply(changes) {
		if r.Err != nil {
			s.Errorf("%s in a mixed batch: %v", changes[i].Action, r.Err)
		}
	}
	s.count(changes[0].Record.ExternalID, 1)
	s.has(results[0].RemoteID, connector.Fields{s.Text: quote("changed")})
	s.count(made[1].Record.ExternalID, 0)
}

// batchPartly: a failure lands on exactly the records that failed.
func (s *suite) batchPartly() {
	made := s.creates(2)
	there := s.applied(made)
	gone := s.changes(s.id(), connector.Fields{s.Text: quote("x")})
	gone.Version, gone.Generation = s.version(), 1
	good := s.changes(made[0].Record.ExternalID, connector.Fields{s.Text: quote("good")})
	good.Version, good.Generation = s.version(), 2
	lost := s.create(s.record(gone.ExternalID, nil))
	if err := s.Connection.Delete(s.ctx, s.Type, lost); err != nil {
		s.Fatalf("delete: %v", err)
	}
	results := s.apply([]connector.Change{
		{Action: connector.Update, RemoteID: lost, Record: gone},
		{Action: connector.Update, RemoteID: there[0].RemoteID, Record: good},
	})
	s.fails(results[0].Err, "update of a record that is gone, in a batch", connector.NotFound)
	if results[1].Err != nil {
		s.Errorf("the other record of the batch failed too: %v", results[1].Err)
	}
	s.has(there[0].RemoteID, connector.Fields{s.Text: quote("good")})
	if s.Poison == nil {
		return
	}
	changes := s.creates(3)
	maps.Copy(changes[1].Record.Fields, s.Poison)
	results, err := s.Connection.(connector.Batcher).Apply(s.ctx, s.Type, changes)
	s.look(err)
	if err != nil { // refused as a whole: then nothing of it was applied
		s.fails(err, "a batch with a record to blame", connector.Rejected)
		for _, c := range changes {
			s.count(c.Record.ExternalID, 0)
		}
		return
	}
	s.fails(results[1].Err, "a record to blame", connector.Rejected)
	for i, want := range []int{1, 0, 1} {
		s.count(changes[i].Record.ExternalID, want)
		if (results[i].Err == nil) != (want == 1) {
			s.Errorf("change %d: %v", i, results[i].Err)
		}
	}
}

func (s *suite) batchFaults() {
	for _, d := range disturbances {
		if s.lacks(d.fault) {
			continue
		}
		d.fault.Message = words
		s.T.Run(d.fault.String(), func(t *testing.T) {
			s := s.part(t)
			s.Fail(d.fault)
			defer s.Heal()
			changes := s.creates(3)
			results, err := s.Connection.(connector.Batcher).Apply(s.ctx, s.Type, changes)
			if err == nil { // or each change for itself
				for i, r := range results {
					s.judge(fmt.Sprint("change ", i), r.Err, d.fault, d.kinds)
				}
				return
			}
			s.judge("apply", err, d.fault, d.kinds)
		})
	}
}

// batchLostReply: a batch that was applied although its sender does not know
// it can be sent again, by remotes that hold the external key unique.
func (s *suite) batchLostReply() {
	for _, f := range []Fault{{Kind: Reset, Applied: true}, {Kind: Answer, Status: http.StatusBadGateway, Applied: true}} {
		if s.lacks(f) {
			continue
		}
		f.Message = words
		s.T.Run(f.String(), func(t *testing.T) {
			s := s.part(t)
			changes := s.creates(3)
			s.Fail(f)
			results, err := s.Connection.(connector.Batcher).Apply(s.ctx, s.Type, changes)
			s.Heal()
			if err == nil {
				err = results[0].Err
			}
			s.fails(err, "a batch with a lost reply", connector.Unknown)
			for i := range changes {
				changes[i].Record.Version = s.version()
			}
			if s.Connection.Traits().Class != connector.Upsert {
				return
			}
			for i, r := range s.applied(changes) {
				s.count(changes[i].Record.ExternalID, 1)
				s.has(r.RemoteID, connector.Fields{s.Text: changes[i].Record.Fields[s.Text]})
			}
		})
	}
}
