// Package nemesis lets several worker processes run against one PostgreSQL and
// one remote, does to them what happens to machines and networks, and asks the
// oracle after each kind of fault.
package nemesis

import (
	"bytes"
	"net"
	"sync"
)

// Proxy is a TCP connection's way that can be cut. It is between the workers
// and the database, or between the workers and the remote.
type Proxy struct {
	to string
	l  net.Listener

	mu     sync.Mutex
	wrap   func(net.Conn) (net.Conn, error)
	cut    bool
	frozen chan struct{} // closed: bytes flow
	conns  map[net.Conn]bool
	// breakAt is what a connection breaks at, upwards; empty: none does.
	breakAt string
	arrives bool // first
	broke   int
	all     sync.WaitGroup
}

// OpenProxy listens on a port of its own and forwards to an address.
func OpenProxy(to string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{to: to, l: l, conns: map[net.Conn]bool{}, frozen: make(chan struct{})}
	close(p.frozen)
	p.all.Go(p.accept)
	return p, nil
}

// Addr is where to connect.
func (p *Proxy) Addr() string { return p.l.Addr().String() }

// Wrap lets each new connection go through f first; nil: none. What f fails
// for ends there.
func (p *Proxy) Wrap(f func(net.Conn) (net.Conn, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrap = f
}

// Close cuts everything and ends the proxy.
func (p *Proxy) Close() {
	_ = p.l.Close()
	p.Mend()
	p.Cut()
	p.all.Wait()
}

// Cut breaks all connections, and every new one.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for c := range p.conns {
		_ = c.Close()
	}
}

// Freeze lets no byte through, and breaks nothing: who waits, waits.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = make(chan struct{})
}

// Mend ends a cut, a freeze, or what BreakAt began. What was frozen arrives.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.breakAt = false, ""
	select {
	case <-p.frozen:
	default:
		close(p.frozen)
	}
}

// BreakAt breaks each connection that carries a text to the other side, until Mend:
// before it arrives, or once it has, and then nothing of what is answered comes back.
func (p *Proxy) BreakAt(text string, arrives bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breakAt, p.arrives = text, arrives
}

// Broke is how many connections BreakAt has broken.
func (p *Proxy) Broke() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broke
}

// breaks says whether a connection breaks at what it carries now.
func (p *Proxy) breaks(b []byte) (yes, arrives bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.breakAt == "" || !bytes.Contains(b, []byte(p.breakAt)) {
		return false, false
	}
	p.broke++
	return true, p.arrives
}

func (p *Proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		if !p.keep(c) {
			continue
		}
		p.all.Go(func() { p.serve(c) })
	}
}

// keep remembers a connection, or closes it while the way is cut.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close()
}

func (p *Proxy) serve(c net.Conn) {
	defer p.forget(c)
	p.mu.Lock()
	wrap := p.wrap
	p.mu.Unlock()
	down := c
	if wrap != nil {
		var err error
		if down, err = wrap(c); err != nil {
			return
		}
	}
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	if !p.keep(up) {
		return
	}
	defer p.forget(up)
	var both sync.WaitGroup
	both.Go(func() { p.pump(up, down, p.breaks) })
	both.Go(func() { p.pump(down, up, func([]byte) (yes, arrives bool) { return false, false }) })
	both.Wait()
}

// pump copies one direction until either side ends, or it breaks.
func (p *Proxy) pump(to, from net.Conn, breaks func([]byte) (yes, arrives bool)) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		frozen := p.frozen
		p.mu.Unlock()
		<-frozen
		broken, arrives := breaks(b[:n])
		if broken {
			_ = from.Close() // nobody is told of an answer
		}
		if n > 0 && (!broken || arrives) {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil || broken {
			return
		}
	}
}
