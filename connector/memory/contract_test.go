package memory_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/connectortest"
)

// abilities are those of a connection to a remote in memory.
type abilities interface {
	connector.Connection
	connector.Reader
	connector.Referencer
	connector.Initializer
	connector.Batcher
	connector.Bulker
	connector.Checker
}

// keyed is a connection that holds the suite to the contract: a write of a record
// carries the external id that it was made with.
type keyed struct {
	abilities
	t *testing.T

	mu   sync.Mutex
	made map[string]string // external id by remote id
}

func (k *keyed) makes(remoteID, externalID string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if remoteID != "" {
		k.made[remoteID] = externalID
	}
}

func (k *keyed) writes(verb, remoteID, externalID string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if was, known := k.made[remoteID]; known && was != externalID {
		k.t.Errorf("%s of %s, which was made as %q, with the external id %q", verb, remoteID, was, externalID)
	}
}

func (k *keyed) Create(ctx context.Context, r connector.Record) (string, error) {
	id, err := k.abilities.Create(ctx, r)
	k.makes(id, r.ExternalID)
	return id, err
}

func (k *keyed) Initialize(ctx context.Context, o connector.Origin, r connector.Record) (string, error) {
	id, err := k.abilities.Initialize(ctx, o, r)
	k.makes(id, r.ExternalID)
	return id, err
}

func (k *keyed) Update(ctx context.Context, remoteID string, r connector.Record) error {
	k.writes("update", remoteID, r.ExternalID)
	return k.abilities.Update(ctx, remoteID, r)
}

func (k *keyed) Apply(ctx context.Context, recordType string, changes []connector.Change) ([]connector.Result, error) {
	k.several("a batch", changes)
	results, err := k.abilities.Apply(ctx, recordType, changes)
	for i, r := range results {
		if changes[i].Action == connector.Create {
			k.makes(r.RemoteID, changes[i].Record.ExternalID)
		}
	}
	return results, err
}

func (k *keyed) RunJob(ctx context.Context, job, recordType string, action connector.Action, changes []connector.Change) error {
	k.several("a job", changes)
	return k.abilities.RunJob(ctx, job, recordType, action, changes)
}

func (k *keyed) JobResults(ctx context.Context, job, recordType string, each func(connector.JobResult) error) error {
	return k.abilities.JobResults(ctx, job, recordType, func(r connector.JobResult) error {
		if r.ExternalID != "" {
			k.makes(r.RemoteID, r.ExternalID)
		}
		return each(r)
	})
}

func (k *keyed) several(where string, changes []connector.Change) {
	for _, c := range changes {
		if c.Action != connector.Create {
			k.writes(c.Action.String()+" in "+where, c.RemoteID, c.Record.ExternalID)
		}
	}
}

func TestTheSuiteWritesARecordUnderOneExternalID(t *testing.T) {
	connectortest.Run(t, func(t *testing.T) connectortest.Target {
		target := target(t, connector.Upsert)
		target.Connection = &keyed{abilities: target.Connection.(abilities), t: t, made: map[string]string{}}
		return target
	})
}

// TestEachCaseOfTheSuiteRunsAlone: what decides which cases apply must not be left
// out together with the cases that -run leaves out.
func TestEachCaseOfTheSuiteRunsAlone(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"create_twice", "read_follows_want", "initialize", "batch", "a_batch_with_records_to_blame", "a_job", "check"} {
		out, err := exec.CommandContext(t.Context(), own, "-test.v", "-test.run=^TestConformance$/^upsert$/^"+name+"$").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestConformance/upsert/"+name+" ") {
			t.Errorf("%s alone: %v\n%s", name, err, out)
		}
	}
}
