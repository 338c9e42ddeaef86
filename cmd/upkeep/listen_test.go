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

// A client that sends a byte now and then, or reads none, is hung up on: it holds
// no connection, and no look at the database, for longer than the door says.
func TestDoorHangsUpOnSlowClients(t *testing.T) {
	t.Parallel()
	d, err := listenOn(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []*time.Duration{&d.server.ReadHeaderTimeout, &d.server.ReadTimeout, &d.server.WriteTimeout, &d.server.IdleTimeout} {
		*limit /= 20 // none is for ever, which stays so
	}
	gaveUp := make(chan error, 1)
	endless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch page := make([]byte, 1<<20); r.URL.Path {
		case "/endless":
			for {
				if _, err := w.Write(page); err != nil {
					gaveUp <- err
					return
				}
			}
		case "/body":
			_, _ = io.Copy(io.Discard, r.Body)
		}
	})
	served := make(chan error, 1)
	go func() { served <- d.serve(endless, slog.New(slog.DiscardHandler)) }()
	dial := func(t *testing.T, first string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", d.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, first); err != nil {
			t.Fatal(err)
		}
		return c
	}
	// These are hung up on: to read on comes to an end.
	for name, c := range map[string]struct {
		first, then string
	}{
		"nothing":           {"", ""},
		"headers by bytes":  {"GET / HTTP/1.1\r\nHost: x\r\nX-A: ", "a"},
		"a body by bytes":   {"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", "a"},
		"endless headers":   {"GET / HTTP/1.1\r\nHost: x\r\n", "X-A: a\r\n"},
		"nothing any more":  {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", ""},
		"a line by bytes":   {"G", "E"},
		"a body in a chunk": {"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, c.first)
			hungUp := make(chan error, 1)
			go func() { _, err := io.Copy(io.Discard, conn); hungUp <- err }()
			drip := time.NewTicker(20 * time.Millisecond)
			defer drip.Stop()
			for {
				select {
				case err := <-hungUp:
					if e, is := err.(net.Error); is && e.Timeout() {
						t.Error("the connection is still there")
					}
					return
				case <-drip.C:
					_, _ = io.WriteString(conn, c.then) // fails once it is gone
				}
			}
		})
	}
	dial(t, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case <-gaveUp:
	case <-time.After(patience):
		t.Error("a client that reads nothing is written to for ever")
	}
	t.Cleanup(func() {
		d.close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}
