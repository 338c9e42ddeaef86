package httpapitest

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/upkeep-sync/upkeep/connector/faulttest"
)

// Stripe stands in for Stripe's customers, API v1, with its idempotency layer:
// the first answer to a key is kept, also a 500, and given again; the same key
// with other parameters is an error; a key that is at work is a 409. Of
// parameters it knows no types: what is not nested is a text.
type Stripe struct {
	*store
	mux *http.ServeMux

	layer  sync.Mutex
	kept   map[string]*keptAnswer
	failed int // creates that are to fail with a 500
	after  bool
	gate   chan struct{} // not nil: creates wait for it
}

type keptAnswer struct {
	parameters [32]byte
	status     int // zero: at work
	body       []byte
}

// NewStripe makes an empty account.
func NewStripe() *Stripe {
	s := &Stripe{store: newStore(), mux: http.NewServeMux(), kept: map[string]*keptAnswer{}}
	s.counted(s.mux, "POST /v1/customers", s.create)
	s.counted(s.mux, "GET /v1/customers", s.list)
	s.counted(s.mux, "GET /v1/customers/search", s.search)
	s.counted(s.mux, "GET /v1/customers/{id}", s.one)
	s.counted(s.mux, "POST /v1/customers/{id}", s.one)
	s.counted(s.mux, "DELETE /v1/customers/{id}", s.one)
	return s
}

// FailCreates makes the next n creates answer with a 500, after they were
// applied or instead of it. The answers are kept for their keys.
func (s *Stripe) FailCreates(n int, applied bool) {
	s.layer.Lock()
	defer s.layer.Unlock()
	s.failed, s.after = n, applied
}

// Hold makes creates wait, with their keys at work, until release is called.
func (s *Stripe) Hold() (release func()) {
	s.layer.Lock()
	defer s.layer.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	return func() {
		s.layer.Lock()
		s.gate = nil
		s.layer.Unlock()
		close(gate)
	}
}

// AtWork is how many keys are at work.
func (s *Stripe) AtWork() (n int) {
	s.layer.Lock()
	defer s.layer.Unlock()
	for _, k := range s.kept {
		if k.status == 0 {
			n++
		}
	}
	return n
}

// StripeError writes an error in Stripe's form.
func StripeError(w http.ResponseWriter, status int, kind, code, message string) {
	e := object{"type": kind, "message": message}
	if code != "" {
		e["code"] = code
	}
	answer(w, status, object{"error": e})
}

// ServeHTTP is the idempotency layer.
func (s *Stripe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+Token {
		StripeError(w, http.StatusUnauthorized, "invalid_request_error", "", "Invalid API Key provided: "+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		return
	}
	body, err := faulttest.ReadBody(w, r, 1<<20)
	if err != nil {
		StripeError(w, http.StatusBadRequest, "invalid_request_error", "", "The body is too long.")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	key := r.Header.Get("Idempotency-Key")
	if key == "" || r.Method != http.MethodPost {
		s.mux.ServeHTTP(w, r)
		return
	}
	parameters := sha256.Sum256([]byte(r.URL.Path + "\n" + string(body)))
	s.layer.Lock()
	k, gate := s.kept[key], s.gate
	switch {
	case len(key) > 255:
		s.layer.Unlock()
		StripeError(w, http.StatusBadRequest, "invalid_request_error", "", "Idempotency keys are at most 255 characters long.")
		return
	case k == nil:
		k = &keptAnswer{parameters: parameters}
		s.kept[key] = k
		s.layer.Unlock()
	case k.parameters != parameters:
		s.layer.Unlock()
		StripeError(w, http.StatusBadRequest, "idempotency_error", "", "Keys for idempotent requests can only be used with the same parameters they were first used with.")
		return
	case k.status == 0:
		s.layer.Unlock()
		StripeError(w, http.StatusConflict, "idempotency_error", "idempotency_key_in_use", "There is currently another in-progress request using this Idempotent Key.")
		return
	default:
		defer s.layer.Unlock()
		w.Header().Set("Idempotent-Replayed", "true")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(k.status)
		_, _ = w.Write(k.body)
		return
	}
	if gate != nil {
		<-gate
	}
	s.keep(w, r, key, k)
}

// keep serves the first request of a key.
func (s *Stripe) keep(w http.ResponseWriter, r *http.Request, key string, k *keptAnswer) {
	s.layer.Lock()
	fail, after := s.failed > 0, s.after
	if fail {
		s.failed--
	}
	s.layer.Unlock()
	out := httptest.NewRecorder()
	if !fail || after {
		s.mux.ServeHTTP(out, r)
	}
	if fail {
		out = httptest.NewRecorder()
		StripeError(out, http.StatusInternalServerError, "api_error", "", "Something went wrong on Stripe's end.")
	}
	s.layer.Lock()
	defer s.layer.Unlock()
	k.status, k.body = out.Code, out.Body.Bytes()
	if out.Code == http.StatusBadRequest { // nothing is kept of what was not begun
		delete(s.kept, key)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(out.Code)
	_, _ = w.Write(k.body)
}

func (s *Stripe) shown(r *Record) object {
	out := object{"id": r.ID, "object": "customer"}
	for k, v := range r.Fields {
		out[k] = v
	}
	return out
}

func (s *Stripe) create(w http.ResponseWriter, r *http.Request) {
	in, ok := form(w, r)
	if !ok {
		return
	}
	rec := s.insert("customer", "", "cus_")
	rec.lay(in)
	answer(w, http.StatusOK, s.shown(rec))
}

var stripeQuery = regexp.MustCompile(`^metadata\['upkeep_id'\]:'([^'\\]*)'$`)

func (s *Stripe) search(w http.ResponseWriter, r *http.Request) {
	m := stripeQuery.FindStringSubmatch(r.URL.Query().Get("query"))
	if m == nil {
		StripeError(w, http.StatusBadRequest, "invalid_request_error", "", "We were unable to parse your search query.")
		return
	}
	found := []object{}
	for _, rec := range s.sorted() {
		if rec.Key == m[1] {
			found = append(found, s.shown(rec))
		}
	}
	answer(w, http.StatusOK, object{"object": "search_result", "data": found, "has_more": false})
}

func (s *Stripe) list(w http.ResponseWriter, _ *http.Request) {
	found := []object{}
	for _, rec := range s.sorted() {
		found = append(found, s.shown(rec))
	}
	answer(w, http.StatusOK, object{"object": "list", "data": found[:min(len(found), 1)], "has_more": len(found) > 1})
}

func (s *Stripe) one(w http.ResponseWriter, r *http.Request) {
	rec := s.records[r.PathValue("id")]
	if rec == nil {
		StripeError(w, http.StatusNotFound, "invalid_request_error", "resource_missing", "No such customer: '"+r.PathValue("id")+"'")
		return
	}
	switch r.Method {
	case http.MethodPost:
		in, ok := form(w, r)
		if !ok {
			return
		}
		rec.lay(in)
	case http.MethodDelete:
		delete(s.records, rec.ID)
		answer(w, http.StatusOK, object{"id": rec.ID, "object": "customer", "deleted": true})
		return
	}
	answer(w, http.StatusOK, s.shown(rec))
}

// lay sets parameters: an empty text clears, metadata are merged.
func (r *Record) lay(in map[string]any) {
	for k, v := range in {
		if m, ok := v.(map[string]any); ok && k == "metadata" {
			have, _ := r.Fields[k].(map[string]any)
			all := map[string]any{}
			for n, x := range have {
				all[n] = x
			}
			for n, x := range m {
				if all[n] = x; x == "" {
					delete(all, n)
				}
			}
			v = all
			if id, ok := all["upkeep_id"].(string); ok {
				r.Key = id
			}
		}
		if r.Fields[k] = v; v == "" {
			r.Fields[k] = nil
		}
	}
}

// form reads nested parameters: a[b][0]=c.
func form(w http.ResponseWriter, r *http.Request) (map[string]any, bool) {
	body, err := io.ReadAll(r.Body)
	values, err2 := url.ParseQuery(string(body))
	if err != nil || err2 != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		StripeError(w, http.StatusBadRequest, "invalid_request_error", "", "Invalid request body.")
		return nil, false
	}
	if values.Has("no_such_parameter") {
		StripeError(w, http.StatusBadRequest, "invalid_request_error", "parameter_unknown", "Received unknown parameter: no_such_parameter")
		return nil, false
	}
	tree := map[string]any{}
	for name, v := range values {
		path := strings.FieldsFunc(name, func(r rune) bool { return r == '[' || r == ']' })
		at := tree
		for _, step := range path[:len(path)-1] {
			next, ok := at[step].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[step] = next
			}
			at = next
		}
		at[path[len(path)-1]] = v[0]
	}
	return lists(tree).(map[string]any), true
}

// lists makes lists of maps whose names are positions.
func lists(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	for k, x := range m {
		m[k] = lists(x)
	}
	l := make([]any, len(m))
	for k, x := range m {
		i, err := strconv.Atoi(k)
		if err != nil || i < 0 || i >= len(l) {
			return m
		}
		l[i] = x
	}
	if len(l) == 0 {
		return m
	}
	return l
}
