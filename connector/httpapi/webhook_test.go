package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/httpapi"
	"github.com/upkeep-sync/upkeep/connector/httpapi/httpapitest"
)

func webhook(t *testing.T, h http.Handler, change func(*httpapi.Config)) connector.Connection {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c := example(t, "webhook", server.URL)
	c.Sign.StandardWebhooks.Secret = httpapitest.WebhookSecret
	if change != nil {
		change(&c)
	}
	return open(t, c)
}

func order(generation int64) connector.Record {
	return connector.Record{Type: "order", ExternalID: "order-42", Generation: generation, Version: 100 + generation,
		Fields: connector.Fields{"ref": json.RawMessage(`"R.42"`)}}
}

func TestWebhookEvents(t *testing.T) {
	t.Parallel()
	receiver := httpapitest.NewWebhook(httpapitest.WebhookSecret, time.Now)
	now := time.Now()
	conn := webhook(t, receiver, func(c *httpapi.Config) { c.Clock = func() time.Time { now = now.Add(time.Second); return now } })
	if conn.Traits().Class != connector.Upsert {
		t.Errorf("class %v", conn.Traits().Class)
	}
	remover := conn.(connector.Remover)
	gone := order(3)
	gone.Fields = nil
	again := order(1)
	again.Version = 7777
	for _, step := range []struct {
		name string
		call func() error
	}{
		{"create", func() error { _, err := conn.Create(t.Context(), order(1)); return err }},
		{"the same create, of another claim and at another time", func() error { _, err := conn.Create(t.Context(), again); return err }},
		{"update", func() error { return conn.Update(t.Context(), "order-42", order(2)) }},
		{"delete", func() error { return remover.Remove(t.Context(), "order-42", gone) }},
		{"the same delete", func() error { return remover.Remove(t.Context(), "order-42", gone) }},
		{"a later delete", func() error {
			later := gone
			later.Generation = 5
			return remover.Remove(t.Context(), "order-42", later)
		}},
	} {
		if err := step.call(); err != nil {
			t.Fatalf("%s: %v (%v)", step.name, err, receiver.Refused())
		}
	}
	events, repeated := receiver.Events()
	var got []string
	for _, e := range events {
		var b struct {
			Type, Timestamp string
			Data            struct {
				ID      string
				Version int64
				Fields  map[string]any
			}
		}
		if err := json.Unmarshal(e.Body, &b); err != nil || b.Data.ID != "order-42" || b.Timestamp == "" || strings.Contains(e.ID, ".") {
			t.Errorf("event %s %s: %v", e.ID, e.Body, err)
		}
		got = append(got, b.Type)
	}
	if want := "order.created order.updated order.deleted order.deleted"; strings.Join(got, " ") != want || repeated != 2 {
		t.Errorf("events %v and %d repeated, want %s and 2", got, repeated, want)
	}
	if id, err := conn.Find(t.Context(), "order", "order-1"); err != nil || id != "order-1" {
		t.Errorf("find: %q, %v", id, err) // it is known by our key, there or not
	}
}

// While a secret is replaced, receivers with the old one and with the new one
// take the same request.
func TestWebhookRotation(t *testing.T) {
	t.Parallel()
	const fresh = "whsec_bmV3LWNhbmFyeS1zZWNyZXQtb2Ytd2ViaG9va3M="
	for _, secret := range []string{fresh, httpapitest.WebhookSecret} {
		receiver := httpapitest.NewWebhook(secret, time.Now)
		conn := webhook(t, receiver, func(c *httpapi.Config) {
			c.Sign.StandardWebhooks = &httpapi.StandardWebhooks{Secret: fresh, Previous: httpapitest.WebhookSecret}
		})
		if _, err := conn.Create(t.Context(), order(1)); err != nil {
			t.Errorf("%v %v", err, receiver.Refused())
		}
	}
	other := httpapitest.NewWebhook("whsec_b3RoZXItY2FuYXJ5LXNlY3JldC1vZi13ZWJob29r", time.Now)
	_, err := webhook(t, other, nil).Create(t.Context(), order(1))
	kindOf(t, err, connector.Rejected)
	late := httpapitest.NewWebhook(httpapitest.WebhookSecret, func() time.Time { return time.Now().Add(time.Hour) })
	_, err = webhook(t, late, nil).Create(t.Context(), order(1))
	kindOf(t, err, connector.Rejected)
}

func TestWebhookAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		media  string
		body   string
		kind   connector.Kind
		wait   time.Duration
	}{
		{200, "text/html", "<p>ok</p>", -1, 0}, // many frameworks' default
		{204, "", "", -1, 0},
		{302, "", "", connector.Unavailable, 0},
		{404, "application/json", `{"message":"no"}`, connector.Unavailable, 0},
		{410, "", "", connector.Unauthorized, 0},
		{401, "", "", connector.Unauthorized, 0},
		{409, "application/json", `{"message":"no"}`, connector.Busy, 0},
		{400, "application/json", `{"message":"no"}`, connector.Rejected, 0},
		{429, "", "", connector.RateLimited, 9 * time.Second},
		{502, "", "", connector.Unknown, 9 * time.Second},
		{504, "", "", connector.Unknown, 9 * time.Second},
	} {
		conn := webhook(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if tt.wait > 0 {
				w.Header().Set("Retry-After", "9")
			}
			if tt.status == http.StatusFound {
				w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
			}
			w.Header().Set("Content-Type", tt.media)
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		}), nil)
		_, err := conn.Create(t.Context(), order(1))
		if tt.kind < 0 {
			if err != nil {
				t.Errorf("%d: %v", tt.status, err)
			}
			continue
		}
		kindOf(t, err, tt.kind)
		if e := connector.AsError(err); e.RetryAfter != tt.wait || e.Status != tt.status {
			t.Errorf("%d: %+v", tt.status, e)
		}
	}
}

func TestWebhookGone(t *testing.T) {
	t.Parallel()
	receiver := httpapitest.NewWebhook(httpapitest.WebhookSecret, time.Now)
	conn := webhook(t, receiver, nil)
	receiver.Disable(true)
	_, err := conn.Create(t.Context(), order(1))
	kindOf(t, err, connector.Unauthorized)
	if !strings.Contains(err.Error(), "no longer wants these events") {
		t.Error(err)
	}
}

// An event may tell which version it is of, for receivers that keep versions.
func TestEventsOfVersions(t *testing.T) {
	t.Parallel()
	receiver := httpapitest.NewWebhook(httpapitest.WebhookSecret, time.Now)
	conn := webhook(t, receiver, func(c *httpapi.Config) {
		c.Records["*"].Event.Body = map[string]any{"event": "$event", "command": "$command", "of": "$registry", "version": "$version"}
	})
	first, second, state := order(1), order(1), order(1)
	first.Command, second.Command = 7, 8
	for i, r := range []*connector.Record{&first, &second, &state} {
		r.Registry, r.Version = "r1", int64(100+i)
	}
	if _, err := conn.Create(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := conn.Update(t.Context(), "order-42", state); err != nil {
		t.Fatal(err)
	}
	if err := conn.(connector.Remover).Remove(t.Context(), "order-42", second); err != nil {
		t.Fatal(err)
	}
	var got []string
	events, _ := receiver.Events()
	for _, e := range events {
		got = append(got, string(e.Body))
	}
	want := `{"command":7,"event":"created","of":"r1","version":100} {"command":0,"event":"updated","of":"r1","version":102} {"command":8,"event":"deleted","of":"r1","version":101}`
	if strings.Join(got, " ") != want {
		t.Errorf("events\n%s, want\n%s", strings.Join(got, " "), want)
	}
}
