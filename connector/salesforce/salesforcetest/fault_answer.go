package salesforcetest

import (
	"context"
	"encoding/json"
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
		faulttest.Abort()
	}
	if f == nil {
		s.send(w, c, s.handle(c))
		return
	}
	switch {
	case f.Kind == Late:
		own := *c // the body has been read
		own.request = c.request.WithContext(context.Background())
		s.faults.Postpone(f, func() { s.handle(&own) })
	case f.Kind == Short:
		s.send(w, c, shorten(s.handle(c)))
		return
	case f.Applied:
		s.handle(c)
	}
	if f.Silent() {
		s.faults.Break(c.request.Context(), w, f)
		return
	}
	s.send(w, c, faultReply(f))
}

// shorten takes the last entry off a list.
func shorten(r *reply) *reply {
	var list []json.RawMessage
	if json.Unmarshal(r.body, &list) != nil || len(list) == 0 {
		return r
	}
	return jsonReply(r.status, list[:len(list)-1])
}

// own are the words for a code that a fault does not have words for.
var own = map[string]string{
	"REQUEST_LIMIT_EXCEEDED": "TotalRequests Limit exceeded.",
	"INVALID_SESSION_ID":     "Session expired or invalid",
	"SERVER_UNAVAILABLE":     "The server is temporarily unavailable",
	"UNKNOWN_EXCEPTION":      "An unexpected error occurred. Please include this ErrorId if you contact support: sandbox",
	"UNABLE_TO_LOCK_ROW":     "unable to obtain exclusive access to this record or 1 records",
}

// faultReply is the answer of a fault that answers.
func faultReply(f *Fault) *reply {
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
	f.SetRetryAfter(r.header)
	return r
}
