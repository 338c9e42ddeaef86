package main

import (
	"io"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
)

// A backfill is over when what it found is sent, however long the status takes
// to come: the ages in it are those of when it was asked for.
func TestBackfillWaitsForWhatItFound(t *testing.T) {
	status := func(running bool, dirty int64, age time.Duration) *upkeep.Status {
		c := upkeep.Counts{Sync: "customer", Groups: 2, Clean: 2 - dirty, Claimed: dirty, Oldest: age}
		c.Backfill.Running = running
		return &upkeep.Status{Syncs: []upkeep.Counts{c}}
	}
	f := &filling{syncs: []string{"customer"}, line: newProgress(io.Discard)}
	now := time.Now().Add(-time.Minute) // whoever asks the clock now is late
	if f.take(status(true, 1, time.Second), now) {
		t.Error("over while rows are passed over")
	}
	if f.take(status(false, 1, time.Second), now) {
		t.Error("over when all rows were just passed over")
	}
	f.passed = now
	if f.take(status(false, 1, 3*time.Second), now.Add(2*time.Second)) {
		t.Error("over with a group that was touched a second before the rows were passed over")
	}
	if !f.take(status(false, 1, time.Second), now.Add(2*time.Second)) {
		t.Error("not over, and only a group that was touched after it is left")
	}
	if !f.take(status(false, 0, 0), now.Add(2*time.Second)) {
		t.Error("not over, and nothing is left")
	}
}
