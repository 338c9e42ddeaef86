package exchange

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// CheckBase refuses a base URL that is none, that has more than a scheme, a
// host and a path, or that would send credentials in the clear over a network
// that is not the machine's own or a private one. example is what a right one
// looks like.
func CheckBase(base, example string) error {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("base_url is not a URL such as %s", example)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("base_url must have no user, query or fragment: %s://%s", u.Scheme, u.Host)
	}
	if u.Scheme == "http" && !private(u.Hostname()) {
		return fmt.Errorf("base_url must begin with https:// (http:// is for a stand-in on this machine or a private network)")
	}
	return nil
}

// private tells whether a host, as it is written, is this machine or in a
// private network.
func private(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback() || ip.IsPrivate()
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost")
}

// ownTransport is a client's own way to the network. Connections that idle are
// closed early, before the remote closes them: a request that meets a closing
// connection has an unknown outcome.
func ownTransport(c Config) *http.Transport {
	d := &dialer{allowPrivate: c.AllowPrivate, base: c.Base, resolver: c.resolver}
	return &http.Transport{
		Proxy:                  d.proxy,
		DialContext:            d.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConnsPerHost:    32,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

// dialer dials the hosts of a client's requests, with the guard where it
// belongs.
type dialer struct {
	allowPrivate bool
	base         string
	resolver     *net.Resolver
	proxies      sync.Map // hosts that the environment names as proxies
}

// proxy is the environment's, noted: what is dialled for it is the proxy.
func (d *dialer) proxy(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err == nil && u != nil {
		d.proxies.Store(u.Hostname(), true)
	}
	return u, err
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second, Resolver: d.resolver}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if g := d.guardOf(host); g != nil {
		n.Control = g.control
	}
	return n.DialContext(ctx, network, address)
}

// guard refuses to dial addresses that a remote's name must not lead to. It
// sees the address that is really dialled, after the name was looked up, so a
// name that is looked up twice with two answers does not get past it.
type guard struct{ allowPrivate bool }

// guardOf is the guard for a host, as the request names it; nil when the remote
// is configured to be private and this is a private host, or when it is a proxy,
// which the environment of this process names. A token endpoint or an upload
// elsewhere is guarded though the remote itself is a private one.
func (d *dialer) guardOf(host string) *guard {
	if _, is := d.proxies.Load(host); is {
		return nil
	}
	u, err := url.Parse(d.base)
	if private(host) && (err != nil || u.Host == "" || private(u.Hostname())) {
		return nil
	}
	return &guard{allowPrivate: d.allowPrivate}
}

func (g *guard) control(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return err
	}
	return g.check(ip.Unmap().WithZone(""))
}

// special are addresses that are global unicast by their form, and lead to no
// host of the Internet (RFC 6890): this network, that of carriers (where some
// clouds have their metadata), protocol assignments, benchmarks, reserved ones.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("fec0::/10"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
}

// Addresses that hold an IPv4 address, which is where they lead: NAT64
// (RFC 6052) in the last four bytes, 6to4 (RFC 3056) after the first two.
var (
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
	to4   = netip.MustParsePrefix("2002::/16")
)

func (g *guard) check(ip netip.Addr) error {
	b := ip.As16()
	switch {
	case nat64.Contains(ip):
		return g.check(netip.AddrFrom4([4]byte(b[12:])))
	case to4.Contains(ip):
		return g.check(netip.AddrFrom4([4]byte(b[2:6])))
	case ip.IsGlobalUnicast() && !ip.IsPrivate() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(ip) }):
		return nil
	case g.allowPrivate && ip.IsPrivate():
		return nil
	}
	return fmt.Errorf("the remote's name leads to %s, an address of this machine or a private network, which is not dialled", ip)
}
