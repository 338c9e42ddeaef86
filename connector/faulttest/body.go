package faulttest

import (
	"io"
	"net/http"
	"time"
)

// bodyTime is how long a client may take to send a body.
const bodyTime = 30 * time.Second

// ReadBody reads the body of a request, of at most so many bytes, in half a
// minute: a client that sends a head and stalls must not hang whoever uses a
// sandbox.
func ReadBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	return readBody(w, r, most, bodyTime)
}

func readBody(w http.ResponseWriter, r *http.Request, most int64, within time.Duration) ([]byte, error) {
	c := http.NewResponseController(w)
	if c.SetReadDeadline(time.Now().Add(within)) == nil { // a recorder of a test has none
		defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, most))
}
