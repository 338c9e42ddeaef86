package warehouse

import (
	"bufio"
	"bytes"
	wire "encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/upkeep-sync/upkeep/connector/connectortest"
)

// proxy stands between a connector and PostgreSQL and disturbs requests. It
// reads the messages of the protocol (version 3): a transaction is a request,
// and so is a statement outside of one.
type proxy struct {
	server string // address

	mu     sync.Mutex
	fault  *connectortest.Fault
	healed chan struct{}
}

// newProxy returns the proxy and the database's URL through it.
func newProxy(t *testing.T, database string) (*proxy, string) {
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: u.Host, healed: make(chan struct{})}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the listener was closed
			}
			conns.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		p.Heal()
		_ = l.Close()
		conns.Wait()
	})
	u.Host = l.Addr().String()
	u.User = url.UserPassword("postgres", password)
	return p, u.String()
}

const password = "correct horse battery staple"

func (p *proxy) Fail(f connectortest.Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = &f
}

func (p *proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = nil
	close(p.healed)
	p.healed = make(chan struct{})
}

func (p *proxy) now() (*connectortest.Fault, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.healed
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn

	mu      sync.Mutex
	swallow bool
	ready   chan struct{} // told when the server is ready for the next query
	inTx    bool
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	l := &link{client: client, server: server, ready: make(chan struct{}, 1)}
	in := bufio.NewReader(client)
	startup, err := body(in, nil)
	if err != nil {
		return
	}
	if _, err := server.Write(startup); err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(l.answers)
	defer back.Wait()
	defer server.Close()
	for {
		m, err := message(in)
		if err != nil {
			return
		}
		f, healed := p.now()
		begins := m[0] == 'Q' || m[0] == 'P'
		text := strings.ToUpper(string(m[5:]))
		commit := m[0] == 'Q' && strings.HasPrefix(text, "COMMIT")
		ping := strings.HasPrefix(text, "-- PING") // of the pool's, before a request
		met := f != nil && begins && !ping && (!f.Applied || commit || !l.inTx && !strings.HasPrefix(text, "BEGIN"))
		if m[0] == 'Q' && strings.HasPrefix(text, "BEGIN") {
			l.inTx = true
		}
		if commit || m[0] == 'Q' && strings.HasPrefix(text, "ROLLBACK") {
			l.inTx = false
		}
		if !met {
			if _, err := server.Write(m); err != nil {
				return
			}
			continue
		}
		if commit { // it is applied, and the answer is kept
			l.keep(true)
			if _, err := server.Write(m); err != nil {
				return
			}
			<-l.ready
			l.keep(false)
		}
		for m[0] == 'P' || m[0] == 'B' || m[0] == 'D' || m[0] == 'E' { // to the end of the request
			if m, err = message(in); err != nil {
				return
			}
		}
		if f.Met != nil {
			f.Met()
		}
		if !l.disturb(f, in, healed) {
			return
		}
	}
}

// disturb meets a request with a fault; false ends the connection.
func (l *link) disturb(f *connectortest.Fault, in io.Reader, healed chan struct{}) bool {
	switch f.Kind {
	case connectortest.Answer:
		code := map[int]string{401: "42501", 429: "53200", 400: "23514", 500: "XX000"}[f.Status]
		if f.Applied {
			code = "57P01" // terminating connection due to administrator command
		}
		e := "SERROR\x00VERROR\x00C" + code + "\x00M" + f.Message + "\x00\x00"
		if f.Applied {
			e = strings.ReplaceAll(e, "ERROR", "FATAL")
		}
		status := "I"
		if l.inTx {
			status = "E"
		}
		l.inTx = false
		_, err := l.client.Write(append(pack('E', e), pack('Z', status)...))
		return err == nil && !f.Applied
	case connectortest.Reset:
		_ = l.client.(*net.TCPConn).SetLinger(0) // makes Close send RST
	case connectortest.HTML:
		_, _ = io.WriteString(l.client, "<!DOCTYPE html>\n<html><body>Maintenance</body></html>\n")
	case connectortest.Garbage:
		_, _ = l.client.Write(pack('C', "COMMIT\x00")[:7])
	case connectortest.Hang:
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(io.Discard, in)
		}()
		select {
		case <-healed:
		case <-done:
		}
		_ = l.client.Close()
		<-done
	}
	return false
}

func (l *link) keep(yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.swallow = yes
}

// answers passes on what the server says.
func (l *link) answers() {
	defer l.client.Close()
	defer func() {
		select {
		case l.ready <- struct{}{}:
		default:
		}
	}()
	out := bufio.NewReader(l.server)
	for {
		m, err := message(out)
		if err != nil {
			return
		}
		l.mu.Lock()
		swallow := l.swallow
		l.mu.Unlock()
		if swallow {
			if m[0] == 'Z' {
				l.ready <- struct{}{}
			}
			continue
		}
		if _, err := l.client.Write(m); err != nil {
			return
		}
	}
}

func message(r *bufio.Reader) ([]byte, error) {
	kind, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	return body(r, []byte{kind})
}

// body reads a length and what follows.
func body(r *bufio.Reader, head []byte) ([]byte, error) {
	var n [4]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Write(head)
	b.Write(n[:])
	_, err := io.CopyN(&b, r, int64(wire.BigEndian.Uint32(n[:]))-4)
	return b.Bytes(), err
}

func pack(kind byte, text string) []byte {
	return append(wire.BigEndian.AppendUint32([]byte{kind}, uint32(len(text)+4)), text...)
}
