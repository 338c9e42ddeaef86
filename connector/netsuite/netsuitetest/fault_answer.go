package netsuitetest

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"time"
)

// answer performs a request under the faults in force.
func (s *Server) answer(w http.ResponseWriter, c *call) {
	wait, f := s.faults.strike(c)
	if f != nil || wait > 0 {
		s.stats.faulted()
	}
	if wait > 0 && !s.pause(c.request.Context(), wait) {
		s.stats.end(c, nil)
		abort()
	}
	if f == nil {
		s.write(w, c, s.perform(c))
		return
	}
	if f.Kind == Late {
		s.postpone(c, f)
	} else if f.Applied {
		s.perform(c)
	}
	switch {
	case f.Kind == Reset, f.Kind == Late && f.Drop:
		s.stats.end(c, nil)
		reset(w)
	case f.Kind == Hang, f.Kind == Late:
		s.stats.end(c, nil)
		select {
		case <-c.request.Context().Done():
		case <-s.closing.Done():
		}
		abort()
	default:
		s.write(w, c, f.reply())
	}
}

// perform does what the request asks for and counts it.
func (s *Server) perform(c *call) *reply {
	r := s.handle(c)
	if c.applied {
		s.stats.wrote(c)
	}
	return r
}

// postpone performs the request when its time has come. It holds no slot of the
// account's concurrency meanwhile.
func (s *Server) postpone(c *call, f *Fault) {
	own := later(c) // the body has been read
	if f.Delay > 0 {
		s.background(func() {
			if s.pause(context.Background(), time.Duration(f.Delay)) {
				s.perform(own)
			}
		})
		return
	}
	ch := make(chan struct{})
	s.faults.mu.Lock()
	s.faults.released = append(s.faults.released, ch)
	s.faults.mu.Unlock()
	s.background(func() {
		select {
		case <-ch:
			s.perform(own)
			ch <- struct{}{}
		case <-s.closing.Done():
		}
	})
}

// pause waits; false when the client or the server went away first.
func (s *Server) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-s.closing.Done():
	}
	return false
}

// reset breaks the connection so that the client sees a reset and no end of
// an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		abort()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// abort drops the connection without an answer.
func abort() { panic(http.ErrAbortHandler) }

// reply is the answer of a fault that answers.
func (f *Fault) reply() *reply {
	var r *reply
	switch {
	case f.Kind == HTML:
		r = newReply(http.StatusOK)
		r.header.Set("Content-Type", "text/html; charset=utf-8")
		r.body = []byte("<!DOCTYPE html><html><head><title>NetSuite</title></head><body>Your data is still safe. Please try again later.</body></html>")
	case f.Kind == Empty:
		r = newReply(http.StatusOK)
	case f.Status == http.StatusUnauthorized:
		r = errLogin().reply()
	case f.Status == http.StatusTooManyRequests:
		r = errConcurrency().reply()
	case f.Status == http.StatusInternalServerError:
		r = (&apiError{status: 500, code: "UNEXPECTED_ERROR", detail: "An unexpected error occurred. Error ID: sandbox"}).reply()
	case f.Status > 500:
		// 502, 503 and 504 come from the gateway, not from the service.
		r = newReply(f.Status)
		r.header.Set("Content-Type", "text/html; charset=utf-8")
		r.body = []byte("<html><body><h1>" + http.StatusText(f.Status) + "</h1></body></html>")
	default:
		r = newReply(f.Status)
	}
	if f.RetryAfter > 0 {
		seconds := (time.Duration(f.RetryAfter) + time.Second - 1) / time.Second
		r.header.Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	return r
}
