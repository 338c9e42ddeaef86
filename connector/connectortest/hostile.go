package connectortest

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// Hostile shows a connector that speaks HTTP servers that mean harm: ones that
// send it elsewhere, can't prove who they are, never stop talking, or repeat
// what they were sent. open opens a connection to a base URL with the
// connector's own transport, record is one that can be created, and id looks
// like a remote id. secrets are the texts that no error may hold, besides the
// access token that the server gives.
//
// Each server is met twice: at the login, and by a request that is logged in.
// A login is a form with a grant_type (OAuth 2.0).
func Hostile(t *testing.T, open func(t testing.TB, baseURL string) connector.Connection, id string, record connector.Record, secrets ...string) {
	t.Helper()
	h := &hostile{T: t, open: open, id: id, record: record, secrets: append(secrets, hostileToken)}
	for _, login := range []bool{false, true} {
		for _, harm := range harms {
			name := harm.name
			if login {
				name += ", logged in"
			}
			t.Run(name, func(t *testing.T) { h.meet(t, harm, login) })
		}
	}
	t.Run("certificate of its own", h.selfSigned)
	t.Run("address of metadata", h.metadata)
}

type hostile struct {
	*testing.T
	open    func(t testing.TB, baseURL string) connector.Connection
	id      string
	record  connector.Record
	secrets []string
}

const (
	hostileToken = "hostile-access-token"
	hostileLimit = 64 << 20 // bytes of an answer that are taken at most, with room for buffers
	hostileEnd   = 1 << 30  // bytes after which a server ends, should nobody stop it
)

// harm is one way of a server to do harm. elsewhere is where it may send
// requests to, and sent counts what it sends.
type harm struct {
	name   string
	answer func(w http.ResponseWriter, r *http.Request, elsewhere string, sent *atomic.Int64)
}

var harms = []harm{
	{"redirect 307", redirect(http.StatusTemporaryRedirect)},
	{"redirect 302", redirect(http.StatusFound)},
	{"redirect 308 to metadata", func(w http.ResponseWriter, _ *http.Request, _ string, _ *atomic.Int64) {
		w.Header().Set("Location", "http://169.254.169.254/latest/meta-data/")
		w.WriteHeader(http.StatusPermanentRedirect)
	}},
	{"endless body", func(w http.ResponseWriter, _ *http.Request, _ string, sent *atomic.Int64) {
		w.Header().Set("Content-Type", "application/json")
		pour(w, `{"id":"1","x":"`, sent)
	}},
	{"endless header", func(w http.ResponseWriter, _ *http.Request, _ string, sent *atomic.Int64) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		pour(conn, "HTTP/1.1 200 OK\r\nX-More: ", sent)
	}},
	{"deep JSON", func(w http.ResponseWriter, _ *http.Request, _ string, _ *atomic.Int64) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, strings.Repeat(`{"id":[`, 20_000))
	}},
	{"echo", func(w http.ResponseWriter, r *http.Request, _ string, _ *atomic.Int64) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		text := strings.ReplaceAll(r.Header.Get("Authorization"), `"`, `\"`)
		_, _ = io.WriteString(w, `{"title":"`+text+`","message":"`+text+`","error":{"message":"`+text+`"}}`)
	}},
}

func redirect(status int) func(http.ResponseWriter, *http.Request, string, *atomic.Int64) {
	return func(w http.ResponseWriter, _ *http.Request, elsewhere string, _ *atomic.Int64) {
		w.Header().Set("Location", elsewhere)
		w.WriteHeader(status)
	}
}

// pour writes until the other end has gone.
func pour(w io.Writer, first string, sent *atomic.Int64) {
	_, err := io.WriteString(w, first)
	block := []byte(strings.Repeat("x", 64<<10))
	for err == nil && sent.Load() < hostileEnd {
		var n int
		n, err = w.Write(block)
		sent.Add(int64(n))
	}
}

// calls are what is tried on a connection; each has to fail. One is enough
// where it is long.
func (h *hostile) calls(ctx context.Context, c connector.Connection, long bool) map[string]error {
	got := map[string]error{}
	if _, got["create"] = c.Create(ctx, h.record); long {
		return got
	}
	got["update"] = c.Update(ctx, h.id, h.record)
	got["delete"] = c.Delete(ctx, h.record.Type, h.id)
	if c.Traits().Class != connector.Blind {
		_, got["find"] = c.Find(ctx, h.record.Type, h.record.ExternalID)
	}
	return got
}

func (h *hostile) meet(t *testing.T, harm harm, login bool) {
	t.Parallel()
	var met, elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	sent := &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if login && r.Method == http.MethodPost && r.FormValue("grant_type") != "" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"`+hostileToken+`","token_type":"Bearer","expires_in":3600}`)
			return
		}
		met.Add(1)
		harm.answer(w, r, other.URL, sent)
	}))
	t.Cleanup(s.Close)
	c := h.open(t, s.URL)
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for verb, err := range h.calls(ctx, c, harm.name == "endless body") {
		h.judge(t, verb, err)
		if err != nil && harm.name != "echo" && connector.KindOf(err) == connector.Rejected {
			t.Errorf("%s: the record is blamed: %v", verb, err)
		}
	}
	if ctx.Err() != nil {
		t.Error("it did not end by itself")
	}
	if met.Load() == 0 {
		t.Error("the server was not asked")
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
	if n := sent.Load() / int64(max(met.Load(), 1)); n > hostileLimit {
		t.Errorf("%d MB of an answer were taken", n>>20)
	}
}

// judge looks at the failure that a call has to be.
func (h *hostile) judge(t *testing.T, verb string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", verb)
		return
	}
	for _, s := range h.secrets {
		if strings.Contains(err.Error(), s) {
			t.Errorf("%s: the error holds the secret %s: %v", verb, s, err)
		}
	}
}

func (h *hostile) selfSigned(t *testing.T) {
	t.Parallel()
	var met atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { met.Add(1) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	h.unreached(t, s.URL, "certificate")
	if n := met.Load(); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func (h *hostile) metadata(t *testing.T) {
	t.Parallel()
	h.unreached(t, "https://169.254.169.254", "not dialled")
}

// unreached: nothing is sent, and the error says why.
func (h *hostile) unreached(t *testing.T, base, says string) {
	t.Helper()
	c := h.open(t, base)
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for verb, err := range h.calls(ctx, c, false) {
		h.judge(t, verb, err)
		if err != nil && (connector.KindOf(err) != connector.Unavailable || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v, want unavailable that says %q", verb, err, says)
		}
	}
}
