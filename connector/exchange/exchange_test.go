package exchange

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "soon": 0, "99999999999": longestRetryAfter, "90000": 25 * time.Hour, "1.5": 0,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second, "Fri, 02 Jan 2026 03:04:00 GMT": 0, "Fri, 02 Jan 2099 03:04:00 GMT": longestRetryAfter,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {v}}, now); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	for address, want := range map[string][2]bool{ // without and with AllowPrivate
		"93.184.216.34": {true, true}, "2606:2800:220:1::1": {true, true},
		"10.1.2.3": {false, true}, "192.168.1.1": {false, true}, "fd00::1": {false, true},
		"127.0.0.1": {false, false}, "::1": {false, false}, "169.254.169.254": {false, false}, "fe80::1": {false, false},
		"0.0.0.0": {false, false}, "0.1.2.3": {false, false}, "192.0.0.192": {false, false}, "198.18.0.1": {false, false}, "255.255.255.255": {false, false},
		"64:ff9b::a9fe:a9fe": {false, false}, "64:ff9b::5db8:d822": {true, true}, "2002:7f00:1::": {false, false}, "2002:a00:1::1": {false, true},
		"fec0::1": {false, false}, "fe80::1%eth0": {false, false}, "ff02::1": {false, false}, "224.0.0.1": {false, false}, "100.100.100.200": {false, false}, "::ffff:127.0.0.1": {false, false},
	} {
		for i, allow := range []bool{false, true} {
			err := (&guard{allowPrivate: allow}).check(netip.MustParseAddr(address).Unmap())
			if (err == nil) != want[i] {
				t.Errorf("%s, private allowed %v: %v", address, allow, err)
			}
		}
	}
}

func TestGuardStandsWhereTheNameIsPublic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		base, host string
		guarded    bool
	}{
		{"https://example.com", "example.com", true},
		{"https://8.8.8.8", "8.8.8.8", true},
		{"http://127.0.0.1:7780", "127.0.0.1", false},
		{"http://localhost:1", "127.0.0.1", false},
		{"https://10.0.0.1", "10.0.0.1", false},
		{"http://sandbox", "sandbox", false},
		// Not all that a private remote's client dials is private.
		{"http://sandbox", "login.example.com", true},
		{"http://127.0.0.1:7780", "169.254.169.254", true},
		{"https://example.com", "sandbox", true},
		{"https://example.com", "proxy.example", false},
	} {
		d := &dialer{base: c.base}
		d.proxies.Store("proxy.example", true)
		if g := d.guardOf(c.host); (g != nil) != c.guarded {
			t.Errorf("%s of %s: guarded %v", c.host, c.base, g != nil)
		}
	}
}

// A name that is public and leads to this machine is not dialled.
func TestGuardedDial(t *testing.T) {
	t.Parallel()
	met := false
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { met = true }))
	t.Cleanup(s.Close)
	c := Open(Config{Remote: "Acme", Base: "https://acme.example"})
	t.Cleanup(c.Close)
	_, err := c.Do(t.Context(), get(s.URL))
	if err == nil || err.Kind != connector.Unavailable || !strings.Contains(err.Error(), "not dialled") || met {
		t.Errorf("%v, met %v", err, met)
	}
}

func TestDo(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/long":
			_, _ = io.WriteString(w, strings.Repeat("x", 101))
		case "/away":
			http.Redirect(w, r, "/ok", http.StatusTemporaryRedirect)
		case "/broken":
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "x")
		default:
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	t.Cleanup(s.Close)
	c := Open(Config{Remote: "Acme", Base: s.URL, MaxBody: 100})
	t.Cleanup(c.Close)
	if a, err := c.Do(t.Context(), get(s.URL+"/ok")); err != nil || a.Status != http.StatusTeapot || a.RetryAfter != 3*time.Second || a.OK() {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := c.Do(t.Context(), get(s.URL+"/away")); err != nil || a.Status != http.StatusTemporaryRedirect {
		t.Errorf("a redirect was followed: %+v, %v", a, err)
	}
	for _, path := range []string{"/long", "/broken"} {
		if _, err := c.Do(t.Context(), get(s.URL+path+"?key=canary")); err == nil || err.Kind != connector.Unknown || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", path, err)
		}
	}
	c.Close()
	if _, err := c.Do(t.Context(), get(s.URL)); err == nil || err.Kind != connector.Unavailable {
		t.Errorf("after Close: %v", err)
	}
}

// The body of a success is handed on as it comes, of any length; a refusal is
// read as ever.
func TestStream(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/refused":
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, "why")
		case "/broken":
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "x")
		default:
			_, _ = io.WriteString(w, strings.Repeat("x", 1000))
		}
	}))
	t.Cleanup(s.Close)
	c := Open(Config{Remote: "Acme", Base: s.URL, MaxBody: 100})
	t.Cleanup(c.Close)
	n := int64(0)
	take := func(r io.Reader) (err error) { n, err = io.Copy(io.Discard, r); return err }
	if a, err := c.Stream(t.Context(), get(s.URL+"/long"), take); err != nil || n != 1000 || len(a.Body) != 0 || !a.OK() {
		t.Errorf("%+v, %v, %d bytes", a, err, n)
	}
	if a, err := c.Stream(t.Context(), get(s.URL+"/refused"), take); err != nil || string(a.Body) != "why" {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := c.Stream(t.Context(), get(s.URL+"/broken"), take); err == nil || err.Kind != connector.Unknown || err.Status != http.StatusOK {
		t.Errorf("%v", err)
	}
}

func get(address string) func(context.Context) (*http.Request, error) {
	return func(ctx context.Context) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	}
}
