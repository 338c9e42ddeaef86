package netsuitetest

import (
	"net/http"

	"github.com/upkeep-sync/upkeep/connector/faulttest"
)

// answer performs a request under the faults in force.
func (s *Server) answer(w http.ResponseWriter, c *call) {
	wait, f := s.faults.Strike(c.met())
	if f != nil || wait > 0 {
		s.stats.faulted()
	}
	if wait > 0 && !s.faults.Pause(c.request.Context(), wait) {
		s.stats.end(c, nil)
		faulttest.Abort()
	}
	if f == nil {
		s.write(w, c, s.perform(c))
		return
	}
	if f.Kind == Late {
		own := later(c) // the body has been read
		s.faults.Postpone(f, func() { s.perform(own) })
	} else if f.Applied {
		s.perform(c)
	}
	if f.Silent() {
		s.stats.end(c, nil)
		s.faults.Break(c.request.Context(), w, f)
		return
	}
	s.write(w, c, faultReply(f))
}

// perform does what the request asks for and counts it.
func (s *Server) perform(c *call) *reply {
	r := s.handle(c)
	if c.applied {
		s.stats.wrote(c)
	}
	return r
}

// faultReply is the answer of a fault that answers.
func faultReply(f *Fault) *reply {
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
	f.SetRetryAfter(r.header)
	return r
}
