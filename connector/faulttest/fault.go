// Package faulttest is how the sandboxes of connectors go wrong: rules that
// strike requests by what they are, with dice and counts, latencies, requests
// that are performed after their client gave up, and connections that break.
// A sandbox keeps to itself what it answers and what it counts.
package faulttest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// The kinds of fault. Each sandbox says which of them it has.
const (
	// Latency waits Latency (up to LatencyMax) and goes on as usual.
	Latency = "latency"
	// Status answers with Fault.Status.
	Status = "status"
	// Reset breaks the connection (TCP RST).
	Reset = "reset"
	// Hang never answers; the client has to give up.
	Hang = "hang"
	// Late takes the request, never answers, and performs it Delay later,
	// or when [Faults.Release] is called if Delay is zero.
	Late = "late"
	// HTML answers 200 with a page, as gateways do.
	HTML = "html"
	// Empty answers 200 without a body.
	Empty = "empty"
	// Short answers 200 with a list that lacks its last entry.
	Short = "short"
	// Row refuses single records with Fault.Code, whatever brought them.
	Row = "row"
	// FailJob ends a bulk job as failed once Fault.Skip rows are done.
	FailJob = "fail_job"
	// Overload refuses all records of a request that writes more than
	// Fault.Skip of them: what is done together goes over a limit together.
	Overload = "overload"
)

// Fault is a rule: the requests that match it go wrong. All conditions that
// are set must hold.
type Fault struct {
	Kind string `json:"kind"`

	Method string `json:"method,omitempty"` // "POST"
	Path   string `json:"path,omitempty"`   // path.Match pattern over the whole path, or a prefix that ends in "/"
	// Op is what is done, in the words of the sandbox: create, read, update,
	// query, token. Requests for a token are only struck by a rule that names
	// this operation or a path. Of a Row fault it is what is done to the record.
	Op   string `json:"op,omitempty"`
	Type string `json:"type,omitempty"` // record type or object
	// ExternalID, of a Row fault, is the record's.
	ExternalID string `json:"external_id,omitempty"`

	Probability float64 `json:"probability,omitempty"` // of each match; zero means always
	Skip        int     `json:"skip,omitempty"`        // this many matches first go well
	Count       int     `json:"count,omitempty"`       // then this many go wrong; zero means all

	// Applied makes the fault strike after the request was performed:
	// the client learns nothing of it. Else nothing is performed.
	Applied    bool     `json:"applied,omitempty"`
	Status     int      `json:"status,omitempty"`
	Code       string   `json:"code,omitempty"`        // the remote's own code of the error; empty: the usual one of Status
	Message    string   `json:"message,omitempty"`     // the words beside Code; empty: the usual ones
	RetryAfter Duration `json:"retry_after,omitempty"` // header on the answer; zero leaves it out
	Latency    Duration `json:"latency,omitempty"`
	LatencyMax Duration `json:"latency_max,omitempty"`
	Delay      Duration `json:"delay,omitempty"` // of Late
	// Drop makes Late break the connection at once, instead of waiting for
	// the client to give up.
	Drop bool `json:"drop,omitempty"`
	// Stays makes the fault outlive [Faults.Heal], as long as the sandbox lives: it
	// is what the remote is like.
	Stays bool `json:"stays,omitempty"`
}

// Duration is a time.Duration that is written "250ms" in JSON.
type Duration time.Duration

// MarshalText writes the duration as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Decode reads a fault from JSON; a field that a fault does not have is an
// error.
func Decode(body []byte) (f Fault, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err = d.Decode(&f)
	return f, err
}

// Request is what rules look at.
type Request struct {
	Method, Path string // the path as sent, without the query
	Op, Type     string // see [Fault]
}

// matches: a rule about records or jobs strikes no request as such.
func (f *Fault) matches(r Request) bool {
	if f.Kind == Row || f.Kind == FailJob || f.Kind == Overload || r.Op == "token" && f.Op == "" && f.Path == "" {
		return false
	}
	if f.Path != "" {
		ok, _ := path.Match(f.Path, r.Path)
		if !ok && !(strings.HasSuffix(f.Path, "/") && strings.HasPrefix(r.Path, f.Path)) {
			return false
		}
	}
	return (f.Method == "" || strings.EqualFold(f.Method, r.Method)) && (f.Op == "" || f.Op == r.Op) &&
		(f.Type == "" || strings.EqualFold(f.Type, r.Type))
}

// Silent reports whether the client gets no answer: see [Faults.Break].
func (f *Fault) Silent() bool { return f.Kind == Reset || f.Kind == Hang || f.Kind == Late }

// SetRetryAfter sets the header in whole seconds, rounded up, if the fault has
// one.
func (f *Fault) SetRetryAfter(h http.Header) {
	if f.RetryAfter > 0 {
		seconds := (time.Duration(f.RetryAfter) + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.Itoa(int(seconds)))
	}
}
