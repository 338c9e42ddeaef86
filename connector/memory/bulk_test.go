package memory_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// A job as an engine goes through it: changes that fail, a result that is
// missing, and what an ended job did not come to.
func TestJob(t *testing.T) {
	ctx := context.Background()
	r := memory.New(memory.Config{Bulk: connector.Bulk{From: 2, Most: 100}})
	c := r.Connect().(connector.Bulker)
	r.Fail(memory.Fault{On: memory.Create, ExternalID: "b", Err: memory.Err(connector.Rejected)})
	r.Fail(memory.Fault{On: memory.Create, ExternalID: "c", Late: true})

	job, err := c.StartJob(ctx, "order", connector.Create)
	if err != nil {
		t.Fatal(err)
	}
	if j, err := c.PollJob(ctx, job); err != nil || j.State != connector.JobOpen {
		t.Errorf("a new job is %s, %v", j.State, err)
	}
	var changes []connector.Change
	for _, name := range []string{"a", "b", "c", "d"} {
		changes = append(changes, connector.Change{Record: connector.Record{Type: "order", ExternalID: name}})
	}
	if err := c.RunJob(ctx, job, "order", connector.Create, changes); err != nil {
		t.Fatal(err)
	}
	if err := c.JobResults(ctx, job, "order", nil); err == nil || connector.KindOf(err) != connector.Rejected {
		t.Errorf("results of a running job: %v", err)
	}
	if n := r.Advance(job, 3); n != 3 {
		t.Errorf("%d changes went", n)
	}
	if j, err := c.PollJob(ctx, job); err != nil || j.State != connector.JobRunning || j.Processed != 3 || j.Failed != 2 {
		t.Errorf("half-way: %+v, %v", j, err)
	}
	r.EndJob(job, "an administrator's will")
	var told []string
	err = c.JobResults(ctx, job, "order", func(res connector.JobResult) error {
		kind := "ok"
		if res.Err != nil {
			kind = connector.KindOf(res.Err).String()
		}
		told = append(told, fmt.Sprintf("%s %s", res.ExternalID, kind))
		return nil
	})
	slices.Sort(told)
	if want := []string{"a ok", "b rejected", "d busy"}; err != nil || !slices.Equal(told, want) {
		t.Errorf("results are %q, %v; want %q", told, err, want)
	}
	if err := c.AbortJob(ctx, job); err != nil {
		t.Errorf("abort of a job that is over: %v", err)
	}
	r.ForgetJob(job)
	if _, err := c.PollJob(ctx, job); connector.KindOf(err) != connector.NotFound {
		t.Errorf("a forgotten job: %v", err)
	}
}
