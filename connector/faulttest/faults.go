package faulttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Faults are the rules in force at a sandbox, and what runs there when its
// request is gone. Make it with [New]; it is safe for concurrent use.
type Faults struct {
	kinds, ops []string

	mu       sync.Mutex
	rules    []*rule
	dice     *rand.Rand
	released []chan struct{} // one for each late request that waits to be told

	closing context.Context
	close   context.CancelFunc
	lateMu  sync.Mutex // orders Close and Background
	late    sync.WaitGroup
}

type rule struct {
	Fault
	seen, struck int
}

// New makes an empty list for a sandbox that has the given kinds of fault. The
// seed makes the dice repeatable; zero takes a random one.
func New(seed uint64, kinds ...string) *Faults {
	if seed == 0 {
		seed = rand.Uint64()
	}
	fs := &Faults{kinds: kinds, dice: rand.New(rand.NewPCG(seed, seed))}
	fs.closing, fs.close = context.WithCancel(context.Background())
	return fs
}

// Ops says what a request can be about, for [Fault].Op: a rule for something else is
// refused from then on, as it would never strike.
func (fs *Faults) Ops(ops ...string) *Faults {
	fs.ops = ops
	return fs
}

// Fail adds a fault. Rules are tried in the order they were added and the
// first that strikes is taken; a latency besides that one adds up.
func (fs *Faults) Fail(f Fault) error {
	switch {
	case !slices.Contains(fs.kinds, f.Kind):
		return fmt.Errorf("unknown kind of fault %q: use one of %s", f.Kind, strings.Join(fs.kinds, ", "))
	case f.Op != "" && len(fs.ops) > 0 && !slices.Contains(fs.ops, f.Op):
		return fmt.Errorf("unknown op %q: use one of %s", f.Op, strings.Join(fs.ops, ", "))
	case f.Kind == Status && (f.Status < 200 || f.Status > 599):
		return errors.New("a status fault needs a status from 200 to 599")
	case f.Kind == Row && f.Code == "":
		return errors.New("a row fault needs a code, such as UNABLE_TO_LOCK_ROW")
	case f.Probability < 0 || f.Probability > 1:
		return errors.New("probability must be from 0 to 1")
	}
	if _, err := path.Match(f.Path, ""); err != nil {
		return fmt.Errorf("path pattern %q: %w", f.Path, err)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.rules = append(fs.rules, &rule{Fault: f})
	return nil
}

// Heal removes all faults but those that stay. Late requests that wait to be told
// still do.
func (fs *Faults) Heal() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.rules = slices.DeleteFunc(fs.rules, func(r *rule) bool { return !r.Stays })
}

// List returns the rules in force; it is never nil.
func (fs *Faults) List() []Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	out := []Fault{}
	for _, r := range fs.rules {
		out = append(out, r.Fault)
	}
	return out
}

// Strike chooses what goes wrong with a request: how long it waits first, and
// the fault that it meets then; nil for none.
func (fs *Faults) Strike(request Request) (wait time.Duration, hit *Fault) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, r := range fs.rules {
		if hit != nil && r.Kind != Latency || !r.matches(request) || !r.due(fs.dice, r.Skip) {
			continue
		}
		if r.Kind == Latency {
			wait += time.Duration(r.Latency)
			if spread := int64(r.LatencyMax - r.Latency); spread > 0 {
				wait += time.Duration(fs.dice.Int64N(spread + 1))
			}
			continue
		}
		f := r.Fault
		hit = &f
	}
	return wait, hit
}

// StrikeRow chooses the Row fault that one record meets; nil for none.
func (fs *Faults) StrikeRow(recordType, op, externalID string) *Fault {
	return fs.first(Row, func(r *rule) bool {
		return (r.Type == "" || strings.EqualFold(r.Type, recordType)) && (r.Op == "" || r.Op == op) &&
			(r.ExternalID == "" || r.ExternalID == externalID) && r.due(fs.dice, r.Skip)
	})
}

// StrikeJob chooses the FailJob fault that a bulk job meets; nil for none.
func (fs *Faults) StrikeJob(recordType string) *Fault {
	return fs.first(FailJob, func(r *rule) bool {
		return (r.Type == "" || strings.EqualFold(r.Type, recordType)) && r.due(fs.dice, 0) // its Skip counts rows
	})
}

// StrikeOverload chooses the Overload fault that a request meets which does op to
// so many records; nil for none.
func (fs *Faults) StrikeOverload(recordType, op string, records int) *Fault {
	return fs.first(Overload, func(r *rule) bool {
		return (r.Type == "" || strings.EqualFold(r.Type, recordType)) && (r.Op == "" || r.Op == op) &&
			records > r.Skip && r.due(fs.dice, 0) // its Skip counts records
	})
}

// first is the first fault of a kind that strikes.
func (fs *Faults) first(kind string, strikes func(*rule) bool) *Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, r := range fs.rules {
		if r.Kind == kind && strikes(r) {
			f := r.Fault
			return &f
		}
	}
	return nil
}

// due counts a match and tells whether the rule strikes it.
func (r *rule) due(dice *rand.Rand, skip int) bool {
	r.seen++
	if r.seen <= skip || r.Count > 0 && r.struck >= r.Count || r.Probability > 0 && dice.Float64() >= r.Probability {
		return false
	}
	r.struck++
	return true
}
