package httpapitest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/connector/faulttest"
)

// WebhookSecret is what the tests sign with.
const WebhookSecret = "whsec_Y2FuYXJ5LXNlY3JldC1vZi13ZWJob29rcy0xMjM0"

// Webhook receives events by the Standard Webhooks specification: it verifies
// the signature over the bytes that came, refuses a time that is off by more
// than five minutes, and passes over an event whose id it has had.
type Webhook struct {
	secret string
	now    func() time.Time
	// Seen, if not nil, is told each event that is new, one at a time.
	Seen func(Event)
	// Refuses, if not nil, is told why a request was not taken.
	Refuses func(reason string)

	mu       sync.Mutex
	had      map[string]bool
	events   []Event
	repeated int
	refused  []string
	gone     bool
}

// Event is one that was received.
type Event struct {
	ID   string
	Body json.RawMessage
}

// NewWebhook makes a receiver; now is its clock (time.Now).
func NewWebhook(secret string, now func() time.Time) *Webhook {
	return &Webhook{secret: secret, now: now, had: map[string]bool{}}
}

// Events are those received so far, each once, and how many more came of them.
func (h *Webhook) Events() (events []Event, repeated int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Event(nil), h.events...), h.repeated
}

// Refused are the reasons of the requests that were not taken.
func (h *Webhook) Refused() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.refused...)
}

// Disable makes the receiver answer 410 from now on, or no longer.
func (h *Webhook) Disable(gone bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = gone
}

// ServeHTTP receives one event.
func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := faulttest.ReadBody(w, r, 1<<20)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		err = Verify(h.secret, r.Header, body, h.now())
	}
	switch {
	case h.gone:
		w.WriteHeader(http.StatusGone)
	case err != nil:
		h.refused = append(h.refused, err.Error())
		if h.Refuses != nil {
			h.Refuses(err.Error())
		}
		http.Error(w, err.Error(), http.StatusBadRequest)
	case h.had[r.Header.Get("webhook-id")]:
		h.repeated++
		w.WriteHeader(http.StatusNoContent)
	default:
		e := Event{r.Header.Get("webhook-id"), body}
		h.had[e.ID] = true
		h.events = append(h.events, e)
		if h.Seen != nil {
			h.Seen(e)
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// tolerance is how far an event's time may be off.
const tolerance = 5 * time.Minute

// Verify checks a request as the specification's libraries do.
func Verify(secret string, h http.Header, body []byte, now time.Time) error {
	id, at := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if id == "" || strings.Contains(id, ".") || err != nil {
		return errors.New("the webhook's headers are missing or wrong")
	}
	if off := now.Sub(time.Unix(seconds, 0)); off > tolerance || off < -tolerance {
		return errors.New("the webhook's time is too far off")
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return errors.New("the secret is not base64")
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "." + string(body)))
	want := mac.Sum(nil)
	for _, s := range strings.Fields(h.Get("webhook-signature")) {
		scheme, text, _ := strings.Cut(s, ",")
		got, err := base64.StdEncoding.DecodeString(text)
		if scheme == "v1" && err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return errors.New("no signature of the webhook is right")
}
