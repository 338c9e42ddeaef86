package connectortest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/goleak"

	"github.com/upkeep-sync/upkeep/connector"
)

// verbs are all calls of a connection that go to the remote, with their name. id
// was made as ext; fresh is made, and looked for.
func (s *suite) verbs(id, ext, fresh string) map[string]func(context.Context) error {
	v := map[string]func(context.Context) error{
		"create": func(ctx context.Context) error { _, err := s.Connection.Create(ctx, s.record(fresh, nil)); return err },
		"update": func(ctx context.Context) error {
			return s.Connection.Update(ctx, id, s.changes(ext, connector.Fields{s.Text: quote("x")}))
		},
		"delete": func(ctx context.Context) error { return s.Connection.Delete(ctx, s.Type, id) },
		"find":   func(ctx context.Context) error { _, err := s.Connection.Find(ctx, s.Type, fresh); return err },
	}
	if r, ok := s.Connection.(connector.Reader); ok {
		v["read"] = func(ctx context.Context) error {
			_, err := r.Read(ctx, s.Type, id, connector.Fields{s.Text: quote("x")})
			return err
		}
	}
	return v
}

// cancelled: a context that has ended already. The remote hears nothing.
func (s *suite) cancelled() {
	ext, fresh := s.id(), s.id()
	id := s.create(s.record(ext, connector.Fields{s.Text: quote("kept")}))
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	for name, call := range s.verbs(id, ext, fresh) {
		if name == "find" && s.Connection.Traits().Class == connector.Blind {
			continue
		}
		s.fails(call(ctx), name, connector.Unknown, connector.Unavailable)
	}
	s.count(fresh, 0)
	s.count(ext, 1)
	s.has(id, connector.Fields{s.Text: quote("kept")})
}

// cancelledDuring: the remote got the request and does not answer.
func (s *suite) cancelledDuring() {
	for _, applied := range []bool{false, true} {
		ext := s.id()
		id := s.create(s.record(ext, nil))
		for name, call := range s.verbs(id, ext, s.id()) {
			if name == "find" && s.Connection.Traits().Class == connector.Blind {
				continue
			}
			ctx, cancel := context.WithCancel(s.ctx)
			s.Fail(Fault{Kind: Hang, Applied: applied, Met: cancel})
			s.fails(s.ends(name, func() error { return call(ctx) }), name, s.cutOff(name, applied))
			cancel()
			s.Heal()
		}
	}
}

// ends runs a call and fails the test when it does not return.
func (s *suite) ends(name string, call func() error) error {
	s.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		s.Fatalf("%s does not return when it should", name)
		return nil
	}
}

func (s *suite) closeEndsCalls() {
	met := make(chan struct{}, 1)
	s.Fail(Fault{Kind: Hang, Met: func() { met <- struct{}{} }})
	done := make(chan error, 1)
	go func() { _, err := s.Connection.Create(s.ctx, s.record(s.id(), nil)); done <- err }()
	select {
	case <-met:
	case <-s.ctx.Done():
		s.Fatal("the create did not reach the remote")
	}
	if err := s.Connection.Close(); err != nil {
		s.Errorf("close: %v", err)
	}
	select {
	case err := <-done:
		s.fails(err, "create during close", s.cutOff("create", false))
	case <-time.After(patience):
		s.Fatal("close left a call under way")
	}
	s.Heal()
	ext := s.id()
	_, err := s.Connection.Create(s.ctx, s.record(ext, nil))
	s.fails(err, "create after close", connector.Unavailable)
	s.count(ext, 0)
}

// closeLeavesNothing must run alone: it looks at all goroutines.
func (s *suite) closeLeavesNothing() {
	before := goleak.IgnoreCurrent()
	ext := s.id()
	id := s.create(s.record(ext, nil))
	s.find(ext, id)
	s.Fail(Fault{Kind: Answer, Status: 500, Message: words})
	_, err := s.Connection.Create(s.ctx, s.record(s.id(), nil))
	s.Heal()
	s.look(err)
	for range 2 { // closing twice is harmless
		if err := s.Connection.Close(); err != nil {
			s.Errorf("close: %v", err)
		}
	}
	// The remote's side of the connections may take a moment.
	err = goleak.Find(before)
	for err != nil && s.ctx.Err() == nil {
		err = goleak.Find(before)
	}
	if err != nil {
		s.Errorf("Close leaves goroutines behind (idle network connections have some): %v", err)
	}
}

// manyAtOnce keeps to the concurrency that the traits name.
func (s *suite) manyAtOnce() {
	var group sync.WaitGroup
	slots := make(chan struct{}, s.concurrency())
	var mu sync.Mutex
	seen := map[string]string{}
	for i := range 50 {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ext, text := s.id(), quote(fmt.Sprint("text ", i))
			id, err := s.Connection.Create(s.ctx, s.record(ext, connector.Fields{s.Text: quote("new")}))
			if err == nil {
				err = s.Connection.Update(s.ctx, id, s.changes(ext, connector.Fields{s.Text: text}))
			}
			s.look(err)
			if err != nil {
				s.Errorf("record %q: %v", ext, err)
				return
			}
			if r, ok := s.Connection.(connector.Reader); ok {
				got, err := r.Read(s.ctx, s.Type, id, connector.Fields{s.Text: text})
				if err != nil || !sameJSON(text, got[s.Text]) {
					s.Errorf("record %q: read %s, %v; want %s", ext, got[s.Text], err, text)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if other, ok := seen[id]; ok {
				s.Errorf("%q and %q have one id %q", ext, other, id)
			}
			seen[id] = ext
		})
	}
	group.Wait()
}

// oneFromMany: workers that don't know of each other create one record.
func (s *suite) oneFromMany() {
	if s.Connection.Traits().Class != connector.Upsert {
		return // such a remote makes duplicates, and the engine knows
	}
	ext := s.id()
	var group sync.WaitGroup
	for range s.concurrency() {
		group.Go(func() {
			_, err := s.Connection.Create(s.ctx, s.record(ext, nil))
			if err != nil {
				s.fails(err, "create", connector.Exists, connector.Busy, connector.Unknown)
			}
		})
	}
	group.Wait()
	s.count(ext, 1)
}

func (s *suite) concurrency() int {
	if n := s.Connection.Traits().Concurrency; n > 0 {
		return min(n, 50)
	}
	return 10
}

// noSecret checks an error that need not be a *connector.Error.
func (s *suite) noSecret(err error) {
	s.Helper()
	for _, secret := range s.Secrets {
		if secret != "" && strings.Contains(err.Error(), secret) {
			s.Errorf("the error holds a secret: %s", strings.ReplaceAll(err.Error(), secret, "[secret]"))
		}
	}
}
