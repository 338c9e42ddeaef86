package nemesis

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// front speaks TLS before the remote. The workers trust both certificates.
type front struct {
	*Proxy
	roots     string      // what the workers trust
	good, old certificate // what is shown while nothing is wrong, and one that was
	met       atomic.Int64
}

type certificate struct {
	tls.Certificate
	pem []byte
}

// selfSigned makes a certificate for this machine that is good until end.
func selfSigned(t *testing.T, end time.Time) certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(end.Unix()), NotBefore: end.Add(-1000 * time.Hour), NotAfter: end,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return certificate{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// secure puts TLS between the workers and the remote. Each request is a new
// connection.
func (w *world) secure(to string) string {
	p, err := OpenProxy(to)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(p.Close)
	w.front = &front{Proxy: p, good: selfSigned(w.t, time.Now().Add(100*time.Hour)), old: selfSigned(w.t, time.Now().Add(-time.Hour))}
	p.Wrap(w.front.show(w.front.good))
	w.place.Remote.OneCallEach()
	return p.Addr()
}

// show shakes hands with a certificate.
func (f *front) show(c certificate) func(net.Conn) (net.Conn, error) {
	return func(conn net.Conn) (net.Conn, error) {
		s := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{c.Certificate}})
		err := s.Handshake()
		if err != nil {
			f.met.Add(1)
		}
		return s, err
	}
}

// insecure is a fault of TLS. No request can go out, so at no remote anything
// may be in doubt for it.
func insecure(name string, wrong func(*world) func(net.Conn) (net.Conn, error)) fault {
	return fault{name: "TLS: " + name, class: blind, times: 1, secure: true, certain: true, inject: func(w *world) {
		was := w.front.met.Load()
		w.front.Wrap(wrong(w))
		w.until("handshakes to fail", func() bool { return w.front.met.Load() >= was+3 })
		w.front.Wrap(w.front.show(w.front.good))
		w.progress(10)
	}}
}

func untrusted(w *world) func(net.Conn) (net.Conn, error) {
	return w.front.show(selfSigned(w.t, time.Now().Add(50*time.Hour)))
}

func expired(w *world) func(net.Conn) (net.Conn, error) { return w.front.show(w.front.old) }

var errBroken = errors.New("broken on purpose")

// brokenOff reads what the client begins with, and hangs up in the middle of
// the answer.
func brokenOff(w *world) func(net.Conn) (net.Conn, error) {
	return func(conn net.Conn) (net.Conn, error) {
		_, _ = conn.Read(make([]byte, 16))
		_, _ = conn.Write([]byte{0x16, 0x03, 0x03, 0x00, 0x7a, 0x02}) // the first bytes of a ServerHello
		w.front.met.Add(1)
		return nil, errBroken
	}
}

// plain is a server that speaks HTTP without TLS, and says so.
func plain(w *world) func(net.Conn) (net.Conn, error) {
	return func(conn net.Conn) (net.Conn, error) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.Copy(conn, bytes.NewBufferString("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
		w.front.met.Add(1)
		return nil, errBroken
	}
}
