package connectortest

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// jobs tells whether a connection has jobs for the tests' type.
func jobs(t Target) bool {
	b, ok := t.Connection.(connector.Bulker)
	return ok && b.Bulk(t.Type).Most > 0
}

func (s *suite) bulker() connector.Bulker { return s.Connection.(connector.Bulker) }

func (s *suite) startJob(action connector.Action) string {
	s.Helper()
	job, err := s.bulker().StartJob(s.ctx, s.Type, action)
	s.look(err)
	if err != nil || job == "" {
		s.Fatalf("start a job: %q, %v", job, err)
	}
	return job
}

func (s *suite) jobState(job string) connector.Job {
	s.Helper()
	j, err := s.bulker().PollJob(s.ctx, job)
	s.look(err)
	if err != nil {
		s.Fatalf("poll job %s: %v", job, err)
	}
	return j
}

// jobResults waits until a job is over and returns what became of its changes,
// in their order. A change that the job says nothing of has no result.
func (s *suite) jobResults(job string, changes []connector.Change) []connector.JobResult {
	s.Helper()
	for !s.jobState(job).State.Over() {
		select {
		case <-s.ctx.Done():
			s.Fatalf("job %s does not end: %+v", job, s.jobState(job))
		case <-time.After(5 * time.Millisecond):
		}
	}
	at := map[string]int{}
	for i, c := range changes {
		at["external "+c.Record.ExternalID] = i
		if c.RemoteID != "" {
			at["remote "+c.RemoteID] = i
		}
	}
	results := make([]connector.JobResult, len(changes))
	err := s.bulker().JobResults(s.ctx, job, s.Type, func(r connector.JobResult) error {
		i, known := at["external "+r.ExternalID]
		if r.ExternalID == "" {
			i, known = at["remote "+r.RemoteID]
		}
		if !known {
			s.Errorf("a result of no change: %+v", r)
			return nil
		}
		s.look(r.Err)
		results[i] = r
		return nil
	})
	s.look(err)
	if err != nil {
		s.Fatalf("results of job %s: %v", job, err)
	}
	return results
}

func (s *suite) runJob(action connector.Action, changes []connector.Change) []connector.JobResult {
	s.Helper()
	for _, c := range changes {
		if !s.bulker().Carries(s.Type, c) {
			s.Fatalf("a job can't carry %+v", c)
		}
	}
	job := s.startJob(action)
	if j := s.jobState(job); j.State != connector.JobOpen {
		s.Errorf("a new job is %s", j.State)
	}
	err := s.bulker().RunJob(s.ctx, job, s.Type, action, changes)
	s.look(err)
	if err != nil {
		s.Fatalf("run a job: %v", err)
	}
	return s.jobResults(job, changes)
}

// bulk: creates, updates and deletes by jobs; a failure lands on its record.
func (s *suite) bulk() {
	changes := s.creates(30)
	if s.Poison != nil {
		maps.Copy(changes[7].Record.Fields, s.Poison)
	}
	results := s.runJob(connector.Create, changes)
	var updates, deletes []connector.Change
	for i, r := range results {
		ext := changes[i].Record.ExternalID
		if i == 7 && s.Poison != nil {
			s.fails(r.Err, "a record to blame", connector.Rejected)
			s.count(ext, 0)
			continue
		}
		if r.Err != nil || r.RemoteID == "" {
			s.Fatalf("create %q in a job: %+v", ext, r)
		}
		s.count(ext, 1)
		s.find(ext, r.RemoteID)
		c := connector.Change{Action: connector.Update, RemoteID: r.RemoteID, Record: s.changes(ext, connector.Fields{s.Text: quote(fmt.Sprint("changed ", i))})}
		updates = append(updates, c)
		c.Action, c.Record.Fields = connector.Delete, nil
		deletes = append(deletes, c)
	}
	for i, r := range s.runJob(connector.Update, updates) {
		if r.Err != nil {
			s.Errorf("update in a job: %v", r.Err)
		}
		s.has(updates[i].RemoteID, updates[i].Record.Fields)
	}
	for range 2 { // the second time they are gone already
		for i, r := range s.runJob(connector.Delete, deletes) {
			if r.Err != nil && connector.KindOf(r.Err) != connector.NotFound {
				s.Errorf("delete in a job: %v", r.Err)
			}
			s.count(deletes[i].Record.ExternalID, 0)
		}
	}
}

// bulkAborted: of a job that never ran nothing is applied, whoever ends it.
func (s *suite) bulkAborted() {
	job := s.startJob(connector.Create)
	for range 2 {
		err := s.bulker().AbortJob(s.ctx, job)
		s.look(err)
		if err != nil {
			s.Fatalf("abort: %v", err)
		}
	}
	if j := s.jobState(job); !j.State.Over() {
		s.Errorf("an aborted job is %s", j.State)
	}
	changes := s.creates(2)
	if err := s.bulker().RunJob(s.ctx, job, s.Type, connector.Create, changes); err == nil {
		s.Error("an aborted job ran")
	}
	for _, c := range changes {
		s.count(c.Record.ExternalID, 0)
	}
}

// bulkFaults: what RunJob says of a request that failed is so: a job that is
// not Unknown does not run, and one that may run tells itself.
func (s *suite) bulkFaults() {
	for _, d := range disturbances {
		d.fault.Message = words
		s.T.Run(d.fault.String(), func(t *testing.T) {
			s := s.part(t)
			changes := s.creates(3)
			job := s.startJob(connector.Create)
			s.Fail(d.fault)
			err := s.bulker().RunJob(s.ctx, job, s.Type, connector.Create, changes)
			s.Heal()
			s.look(err)
			if err == nil {
				s.Fatal("run: no error")
			}
			state := s.jobState(job).State
			if state == connector.JobOpen {
				if err := s.bulker().AbortJob(s.ctx, job); err != nil {
					s.Fatalf("abort: %v", err)
				}
				for _, c := range changes {
					s.count(c.Record.ExternalID, 0)
				}
				return
			}
			if connector.KindOf(err) != connector.Unknown {
				s.Errorf("the job is %s after %v", state, err)
			}
			for i, r := range s.jobResults(job, changes) {
				if r.Err == nil {
					s.count(changes[i].Record.ExternalID, 1)
				}
			}
		})
	}
}
