package salesforcetest

import (
	"context"
	"encoding/json"
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
		abort()
	}
	if f == nil {
		s.send(w, c, s.handle(c))
		return
	}
	switch {
	case f.Kind == Late:
		s.postpone(c, f)
	case f.Kind == Short:
		s.send(w, c, shorten(s.handle(c)))
		return
	case f.Applied:
		s.handle(c)
	}
	switch {
	case f.Kind == Reset, f.Kind == Late && f.Drop:
		reset(w)
	case f.Kind == Hang, f.Kind == Late:
		select {
		case <-c.request.Context().Done():
		case <-s.closing.Done():
		}
		abort()
	default:
		s.send(w, c, f.reply())
	}
}

// shorten takes the last entry off a list.
func shorten(r *reply) *reply {
	var list []json.RawMessage
	if json.Unmarshal(r.body, &list) != nil || len(list) == 0 {
		return r
	}
	return jsonReply(r.status, list[:len(list)-1])
}

// postpone performs the request when its time has come.
func (s *Server) postpone(c *call, f *Fault) {
	own := *c // the body has been read
	own.request = c.request.WithContext(context.Background())
	if f.Delay > 0 {
		s.background(func() {
			if s.pause(context.Background(), time.Duration(f.Delay)) {
				s.handle(&own)
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
			s.handle(&own)
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

// own are the words for a code that a fault does not have words for.
var own = map[string]string{
	"REQUEST_LIMIT_EXCEEDED": "TotalRequests Limit exceeded.",
	"INVALID_SESSION_ID":     "Session expired or invalid",
	"SERVER_UNAVAILABLE":     "The server is temporarily unavailable",
	"UNKNOWN_EXCEPTION":      "An unexpected error occurred. Please include this ErrorId if you contact support: sandbox",
	"UNABLE_TO_LOCK_ROW":     "unable to obtain exclusive access to this record or 1 records",
}

// reply is the answer of a fault that answers.
func (f *Fault) reply() *reply {
	code := f.Code
	if code == "" {
		code = map[int]string{401: "INVALID_SESSION_ID", 403: "REQUEST_LIMIT_EXCEEDED", 500: "UNKNOWN_EXCEPTION", 503: "SERVER_UNAVAILABLE"}[f.Status]
	}
	var r *reply
	switch {
	case f.Kind == HTML:
		r = newReply(http.StatusOK)
		r.header.Set("Content-Type", "text/html; charset=utf-8")
		r.body = []byte("<!DOCTYPE html><html><head><title>Maintenance</title></head><body>We are down for maintenance.</body></html>")
	case f.Kind == Empty:
		r = newReply(http.StatusOK)
	case code != "":
		message := f.Message
		if message == "" {
			message = own[code]
		}
		r = (&apiError{status: f.Status, code: code, message: message}).reply()
	case f.Status >= 500:
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
