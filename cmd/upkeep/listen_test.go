package main

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// A door is shut for good: whoever served has returned, and the port is free.
func TestDoorShuts(t *testing.T) {
	t.Parallel()
	nothing := slog.New(slog.DiscardHandler)
	asked := make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done() // a look that never ends
	})
	d, err := listenOn(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := d.listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- d.serve(slow, nothing) }()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if answer, err := http.Get("http://" + address); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}
	}()
	for _, c := range []struct {
		what string
		done func() <-chan struct{}
	}{{"the question", func() <-chan struct{} { return asked }}, {"its end", func() <-chan struct{} { d.close(); return ended }}} {
		select {
		case <-c.done():
		case <-time.After(patience):
			t.Fatalf("%s did not come", c.what)
		}
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	_ = again.Close()

	// One that was never served, and one that nobody asked for.
	unserved, err := listenOn(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unserved.close()
	if again, err = net.Listen("tcp", unserved.listener.Addr().String()); err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	_ = again.Close()
	if err := unserved.serve(slow, nothing); err != nil {
		t.Errorf("serve after close: %v", err)
	}
	none, err := listenOn(t.Context(), "")
	if err != nil || none.serve(slow, nothing) != nil {
		t.Errorf("a run without --listen: %v", err)
	}
	none.close()
}
