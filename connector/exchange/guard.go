package exchange

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
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
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	if g := guardOf(c); g != nil {
		dialer.Control = g.control
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConnsPerHost:    32,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

// guard refuses to dial addresses that a remote's name must not lead to. It
// sees the address that is really dialled, after the name was looked up, so a
// name that is looked up twice with two answers does not get past it.
type guard struct{ allowPrivate bool }

// guardOf is the guard for a configuration; nil when the configured host is
// itself private, or when a proxy is between: then it is the proxy that is
// dialled, which the environment of this process names.
func guardOf(c Config) *guard {
	u, err := url.Parse(c.Base)
	if err != nil || u.Host == "" || private(u.Hostname()) {
		return nil
	}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && proxy != nil {
		return nil
	}
	return &guard{allowPrivate: c.AllowPrivate}
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

// shared is the address space of carriers (RFC 6598), where some clouds have
// their metadata.
var shared = netip.MustParsePrefix("100.64.0.0/10")

func (g *guard) check(ip netip.Addr) error {
	switch {
	case ip.IsGlobalUnicast() && !ip.IsPrivate() && !shared.Contains(ip):
		return nil
	case g.allowPrivate && ip.IsPrivate():
		return nil
	}
	return fmt.Errorf("the remote's name leads to %s, an address of this machine or a private network, which is not dialled", ip)
}
