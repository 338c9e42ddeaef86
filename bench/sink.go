package main

import (
	"bytes"
	"context"
	"encoding/json"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// sink is a remote that takes everything: it answers after a latency and keeps
// no more than it is asked to, so that what a follower needs of memory is
// Upkeep's own.
type sink struct {
	latency     time.Duration
	concurrency int
	remember    bool // field hashes of each record, to count repeats
	log         bool // when each change arrived

	seed     maphash.Seed
	mu       sync.Mutex
	calls    int
	repeats  int // updates whose fields all are as the remote had them
	known    map[string]map[string]uint64
	arrivals []arrival
}

// arrival is a change that came in.
type arrival struct {
	Change int64 // the number that the application wrote
	At     int64 // nanoseconds since 1970
}

func newSink(latency time.Duration, concurrency int, remember, log bool) *sink {
	return &sink{latency: latency, concurrency: concurrency, remember: remember, log: log,
		seed: maphash.MakeSeed(), known: map[string]map[string]uint64{}}
}

func (s *sink) Traits() connector.Traits {
	return connector.Traits{Concurrency: s.concurrency, Timeout: 10 * time.Second, Quiet: time.Second}
}

func (s *sink) Create(ctx context.Context, r connector.Record) (string, error) {
	return "id-" + r.ExternalID, s.take(ctx, r.ExternalID, r.Fields)
}

func (s *sink) Update(ctx context.Context, remoteID string, r connector.Record) error {
	return s.take(ctx, strings.TrimPrefix(remoteID, "id-"), r.Fields)
}

func (s *sink) Delete(ctx context.Context, _, _ string) error { return s.take(ctx, "", nil) }

func (s *sink) Find(context.Context, string, string) (string, error) {
	return "", &connector.Error{Kind: connector.NotFound}
}

func (s *sink) Close() error { return nil }

func (s *sink) take(ctx context.Context, id string, f connector.Fields) error {
	at := time.Now().UnixNano()
	s.mu.Lock()
	s.calls++
	if s.remember {
		s.compare(id, f)
	}
	if s.log {
		s.arrivals = append(s.arrivals, arrival{changeOf(f["item"]), at})
	}
	s.mu.Unlock()
	if s.latency == 0 {
		return nil
	}
	t := time.NewTimer(s.latency)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return &connector.Error{Kind: connector.Unknown, Err: context.Cause(ctx)}
	}
}

func (s *sink) compare(id string, f connector.Fields) {
	had := s.known[id]
	if had == nil {
		had = map[string]uint64{}
		s.known[id] = had
	}
	repeat := true
	for name, value := range f {
		h := maphash.Bytes(s.seed, value)
		if old, there := had[name]; !there || old != h {
			repeat = false
		}
		had[name] = h
	}
	if repeat {
		s.repeats++
	}
}

// changeOf is the highest change number among the lines of an order.
func changeOf(item json.RawMessage) int64 {
	var lines []struct{ Change int64 }
	if len(bytes.TrimSpace(item)) == 0 || json.Unmarshal(item, &lines) != nil {
		return 0
	}
	var most int64
	for _, l := range lines {
		most = max(most, l.Change)
	}
	return most
}
