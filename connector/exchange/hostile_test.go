package exchange

import (
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// authority is a certificate authority of a test's own.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	c := a.issue("authority", time.Now().Add(time.Hour), true)
	a.key = c.PrivateKey.(*ecdsa.PrivateKey)
	var err error
	if a.cert, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue makes a certificate for a host; of its own if alone.
func (a *authority) issue(host string, until time.Time, alone bool) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
		IsCA: a.cert == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	if ip := net.ParseIP(host); ip != nil {
		c.IPAddresses = []net.IP{ip}
	} else {
		c.DNSNames = []string{host}
	}
	parent, signer := a.cert, a.key
	if alone {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Nothing is sent to a server that can't prove that it is the remote.
func TestTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	soon := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		cert tls.Certificate
		most uint16
		says string // empty: it is right
	}{
		"right":       {cert: a.issue("127.0.0.1", soon, false)},
		"expired":     {cert: a.issue("127.0.0.1", time.Now().Add(-time.Minute), false), says: "expired"},
		"wrong host":  {cert: a.issue("acme.example", soon, false), says: "127.0.0.1"},
		"self-signed": {cert: a.issue("127.0.0.1", soon, true), says: "unknown authority"},
		"TLS 1.1":     {cert: a.issue("127.0.0.1", soon, false), most: tls.VersionTLS11, says: "version"},
		"no TLS":      {says: "HTTP response to HTTPS client"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			if c.cert.Certificate == nil {
				s.Start()
			} else {
				s.TLS = &tls.Config{Certificates: []tls.Certificate{c.cert}, MinVersion: tls.VersionTLS10, MaxVersion: c.most}
				s.StartTLS()
			}
			t.Cleanup(s.Close)
			base := "https://" + s.Listener.Addr().String()
			client := Open(Config{Remote: "Acme", Base: base})
			t.Cleanup(client.Close)
			client.own.TLSClientConfig.RootCAs = pool
			_, err := client.Do(t.Context(), secretly(base, "canary"))
			if c.says == "" {
				if err != nil || requests.Load() != 1 {
					t.Fatalf("%v, %d requests", err, requests.Load())
				}
				return
			}
			if err == nil || err.Kind != connector.Unavailable || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v, want one that says %q", err, c.says)
			}
			if n := requests.Load(); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
}

// secretly is a request with a credential.
func secretly(address, credential string) func(context.Context) (*http.Request, error) {
	return func(ctx context.Context) (*http.Request, error) {
		r, err := get(address)(ctx)
		if err == nil {
			r.Header.Set("Authorization", "Bearer "+credential)
		}
		return r, err
	}
}

// No redirect is followed, wherever it leads.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for _, to := range []string{other.URL, "http://169.254.169.254/latest/meta-data/", "/same/host", "//127.0.0.2/", "file:///etc/passwd"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			var requests atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				w.Header().Set("Location", to)
				w.WriteHeader(status)
			}))
			c := Open(Config{Remote: "Acme", Base: s.URL})
			a, err := c.Do(t.Context(), secretly(s.URL, "canary"))
			if err != nil || a.Status != status || requests.Load() != 1 || elsewhere.Load() != 0 {
				t.Errorf("%d to %s: %+v, %v; %d requests here, %d there", status, to, a, err, requests.Load(), elsewhere.Load())
			}
			c.Close()
			s.Close()
		}
	}
}

// endless are answers without an end. Each writes what it is asked for until
// the client has gone, and says how much that was.
var endless = map[string]func(w http.ResponseWriter, r *http.Request, sent *atomic.Int64){
	"body": func(w http.ResponseWriter, _ *http.Request, sent *atomic.Int64) { pour(w, sent) },
	"gzip bomb": func(w http.ResponseWriter, _ *http.Request, sent *atomic.Int64) {
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(counted{w, sent}, gzip.BestSpeed)
		pour(z, new(atomic.Int64)) // a gigabyte is one megabyte on the wire, which may all be under way
	},
	"error": func(w http.ResponseWriter, _ *http.Request, sent *atomic.Int64) {
		w.WriteHeader(http.StatusInternalServerError)
		pour(w, sent)
	},
	"headers": func(w http.ResponseWriter, _ *http.Request, sent *atomic.Int64) {
		raw(w, "HTTP/1.1 200 OK\r\n", "X-More: "+strings.Repeat("x", 1000)+"\r\n", sent)
	},
	"one header": func(w http.ResponseWriter, _ *http.Request, sent *atomic.Int64) {
		raw(w, "HTTP/1.1 200 OK\r\nX-More: ", strings.Repeat("x", 1000), sent)
	},
	"early hints": func(w http.ResponseWriter, _ *http.Request, sent *atomic.Int64) {
		raw(w, "", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", sent)
	},
	"trailers": func(w http.ResponseWriter, _ *http.Request, sent *atomic.Int64) {
		raw(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-More\r\n\r\n0\r\n", "X-More: "+strings.Repeat("x", 1000)+"\r\n", sent)
	},
}

type counted struct {
	io.Writer
	n *atomic.Int64
}

func (c counted) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.n.Add(int64(n))
	return n, err
}

// gigabyte is where an endless answer ends after all, should nobody stop it.
const gigabyte = 1 << 30

func pour(w io.Writer, sent *atomic.Int64) {
	block := make([]byte, 64<<10)
	for sent.Load() < gigabyte {
		n, err := w.Write(block)
		sent.Add(int64(n))
		if err != nil {
			return
		}
	}
}

func raw(w http.ResponseWriter, first, again string, sent *atomic.Int64) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, err = io.WriteString(conn, first)
	for err == nil && sent.Load() < gigabyte {
		var n int
		n, err = io.WriteString(conn, again)
		sent.Add(int64(n))
	}
}

// Whatever a remote sends, only so much of it is taken. (Not parallel: it looks
// at what the process allocates.)
func TestEndlessAnswers(t *testing.T) {
	for name, answer := range endless {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			gone := make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(gone)
				answer(w, r, &sent)
			}))
			t.Cleanup(s.Close)
			c := Open(Config{Remote: "Acme", Base: s.URL})
			t.Cleanup(c.Close)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.Do(t.Context(), get(s.URL))
			<-gone
			runtime.ReadMemStats(&after)
			if err == nil || err.Kind != connector.Unknown {
				t.Errorf("%v", err)
			}
			const most = 128 << 20 // of all that was ever allocated, by the server too
			if n := after.TotalAlloc - before.TotalAlloc; n > most {
				t.Errorf("%d MB were allocated", n>>20)
			}
			if n := sent.Load(); n > 64<<20 {
				t.Errorf("%d MB were taken", n>>20)
			}
		})
	}
}

// A remote that sends a byte now and then is waited for as long as the call
// may take, and no longer.
func TestDrip(t *testing.T) {
	t.Parallel()
	for _, headers := range []bool{true, false} {
		dripped := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			if !headers {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
			}
			for i := 0; ; i++ {
				if _, err := io.WriteString(conn, "H"); err != nil {
					return
				}
				if i == 20 {
					close(dripped)
				}
				time.Sleep(time.Millisecond) // it is what the fault is
			}
		}))
		c := Open(Config{Remote: "Acme", Base: s.URL})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-dripped; cancel() }()
		if _, err := c.Do(ctx, get(s.URL)); err == nil || err.Kind != connector.Unknown {
			t.Errorf("%v", err)
		}
		c.Close()
		s.Close()
	}
}

// names is a name server that says the same of every name.
func names(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for buf := make([]byte, 1500); ; {
			n, from, err := l.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = l.WriteTo(nameAnswer(buf[:n], addresses), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", l.LocalAddr().String())
	}}
}

// nameAnswer answers a question of the DNS (RFC 1035, section 4).
func nameAnswer(q []byte, addresses []string) []byte {
	end := 12
	for q[end] != 0 {
		end += int(q[end]) + 1
	}
	end += 5
	kind := binary.BigEndian.Uint16(q[end-4:])
	var records []byte
	count := 0
	for _, a := range addresses {
		ip := netip.MustParseAddr(a)
		if want := map[bool]uint16{true: 1, false: 28}[ip.Is4()]; want != kind {
			continue
		}
		count++
		records = append(records, 0xc0, 12, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(ip.AsSlice())))
		records = append(records, ip.AsSlice()...)
	}
	out := append([]byte{}, q[:end]...)
	copy(out[2:], []byte{0x81, 0x80, 0, 1, 0, byte(count), 0, 0, 0, 0})
	return append(out, records...)
}

// What counts is the address that is dialled, whatever the name was when
// somebody looked before.
func TestRebinding(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		base, host string
		leads      []string
		reached    bool
	}{
		{"http://acme.example", "acme.example", []string{"127.0.0.1"}, false},
		{"http://acme.example", "acme.example", []string{"169.254.169.254", "127.0.0.1"}, false},
		{"http://acme.example", "acme.example", []string{"::1", "::ffff:127.0.0.1"}, false},
		{"http://acme.example", "acme.example", []string{"10.0.0.1"}, false},
		// A private remote's own name is as good as its address; another is not.
		{"http://acme.localhost", "acme.localhost", []string{"127.0.0.1"}, true},
		{"http://acme.localhost", "login.example", []string{"127.0.0.1"}, false},
	} {
		t.Run(fmt.Sprint(c.base, " ", c.host, " ", c.leads), func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
			t.Cleanup(s.Close)
			client := Open(Config{Remote: "Acme", Base: c.base, resolver: names(t, c.leads...)})
			t.Cleanup(client.Close)
			_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
			_, err := client.Do(t.Context(), get("http://"+c.host+":"+port))
			switch {
			case c.reached:
				if err != nil || requests.Load() != 1 {
					t.Errorf("%v, %d requests", err, requests.Load())
				}
			case err == nil || err.Kind != connector.Unavailable || !strings.Contains(err.Error(), "not dialled") || requests.Load() != 0:
				t.Errorf("%v, %d requests", err, requests.Load())
			}
		})
	}
}

// A remote that repeats what it was sent does not get the login into an answer,
// of which errors are made.
func TestEchoedCredential(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"headers":"`+r.Header.Get("Authorization")+`","title":"no"}`)
	}))
	t.Cleanup(s.Close)
	c := Open(Config{Remote: "Acme", Base: s.URL})
	t.Cleanup(c.Close)
	a, err := c.Do(t.Context(), secretly(s.URL, "canary-token"))
	if err != nil || string(a.Body) != `{"headers":"Bearer ***","title":"no"}` {
		t.Errorf("%s, %v", a.Body, err)
	}
}

// What is not HTTP is not quoted either.
func TestEchoInBrokenAnswers(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"%s\r\n\r\n", "HTTP/1.1 %s OK\r\n\r\n", "HTTP/1.1 200 OK\r\n%s\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n", "HTTP/1.1 200 OK\r\nX-%s \"x\": y\r\n\r\n", "HTTP/%s 200 OK\r\n\r\n"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = fmt.Fprintf(conn, answer, r.Header.Get("Authorization"))
		}))
		c := Open(Config{Remote: "Acme", Base: s.URL})
		_, err := c.Do(t.Context(), secretly(s.URL, "canary-token"))
		if err == nil || err.Kind != connector.Unknown || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", answer, err)
		}
		c.Close()
		s.Close()
	}
}
