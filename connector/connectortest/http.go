package connectortest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"

	"github.com/upkeep-sync/upkeep/connector/faulttest"
)

// Disturbed is an http.Handler in front of another one, which meets requests
// with a [Fault] when told so: Target.Fail and Target.Heal for stand-ins that
// speak HTTP.
type Disturbed struct {
	handler http.Handler
	answer  func(w http.ResponseWriter, f Fault)
	spare   func(r *http.Request) bool

	mu     sync.Mutex
	fault  *Fault
	healed chan struct{} // closed by Heal
}

// maxBody is the most that Disturbed reads of a request that it does not
// apply.
const maxBody = 8 << 20

// Disturb puts a Disturbed in front of handler. answer writes status and body
// of an error in the remote's own form; Retry-After is already set. Requests
// that spare tells (such as those for access tokens; nil: none) go through.
func Disturb(handler http.Handler, answer func(w http.ResponseWriter, f Fault), spare func(r *http.Request) bool) *Disturbed {
	return &Disturbed{handler: handler, answer: answer, spare: spare, healed: make(chan struct{})}
}

// Fail disturbs every request from now on.
func (d *Disturbed) Fail(f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = &f
}

// Heal ends the disturbance and lets go of hanging requests.
func (d *Disturbed) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = nil
	close(d.healed)
	d.healed = make(chan struct{})
}

// ServeHTTP passes a request on or meets it with the fault.
func (d *Disturbed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	f, healed := d.fault, d.healed
	d.mu.Unlock()
	if f == nil || d.spare != nil && d.spare(r) {
		d.handler.ServeHTTP(w, r)
		return
	}
	own := httptest.NewRecorder()
	if f.Applied {
		d.handler.ServeHTTP(own, r)
	}
	// Only when the body is read does the server notice that a client left.
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxBody))
	if f.Met != nil {
		f.Met()
	}
	switch f.Kind {
	case Answer:
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds())))
		}
		d.answer(w, *f)
	case Reset:
		faulttest.ResetConnection(w)
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		if f.Status != 0 {
			w.WriteHeader(f.Status)
		}
		_, _ = io.WriteString(w, "<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body><h1>We'll be back soon</h1></body></html>\n")
	case Garbage:
		garbage(w, own)
	case Hang:
		select {
		case <-r.Context().Done():
		case <-healed:
		}
	case Empty:
		w.WriteHeader(http.StatusOK)
	}
}

// garbage is the first half of the remote's own answer, if that is a text of
// which a half shows: JSON or XML. Otherwise it is half a JSON object.
func garbage(w http.ResponseWriter, own *httptest.ResponseRecorder) {
	body := bytes.TrimSpace(own.Body.Bytes())
	if own.Code/100 != 2 || len(body) < 2 || !bytes.ContainsRune([]byte("{[<"), rune(body[0])) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id": "12`)
		return
	}
	w.Header().Set("Content-Type", own.Header().Get("Content-Type"))
	w.WriteHeader(own.Code)
	_, _ = w.Write(body[:len(body)/2])
}
