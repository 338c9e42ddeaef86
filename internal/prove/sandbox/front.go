package sandbox

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector/faulttest"
)

// front meets requests with faults on their way to the sandbox, those for tokens
// excepted.
type front struct {
	server *Server
	next   http.Handler
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := faulttest.ReadBody(w, r, 8<<20)
	if err != nil {
		faulttest.Abort()
	}
	perform := func(ctx context.Context, w http.ResponseWriter) {
		own := r.Clone(ctx)
		own.Body = io.NopCloser(bytes.NewReader(body))
		f.next.ServeHTTP(w, own)
	}
	op := ""
	if strings.Contains(r.URL.Path, "/oauth2/") {
		op = "token"
	}
	faults := f.server.faults
	wait, hit := faults.Strike(faulttest.Request{Method: r.Method, Path: r.URL.Path, Op: op})
	if wait > 0 && !faults.Pause(r.Context(), wait) {
		faulttest.Abort()
	}
	if hit == nil {
		perform(r.Context(), w)
		if r.Method != http.MethodGet && op == "" {
			f.server.changes.Add(1)
		}
		return
	}
	// Who has gone meanwhile is no reason not to apply it.
	apart := context.WithoutCancel(r.Context())
	if hit.Kind == faulttest.Late {
		faults.Postpone(hit, func() { perform(apart, httptest.NewRecorder()) })
	} else if hit.Applied {
		perform(apart, httptest.NewRecorder())
	}
	f.server.struck.Add(1)
	if hit.Silent() {
		faults.Break(r.Context(), w, hit)
		return
	}
	hit.SetRetryAfter(w.Header())
	w.Header().Set("Content-Type", "text/html")
	if hit.Kind == faulttest.Status {
		w.WriteHeader(hit.Status)
	}
	_, _ = io.WriteString(w, "<html><body>"+time.Now().Format(time.RFC1123)+": the gateway was told to fail</body></html>")
}
