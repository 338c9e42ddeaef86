package postgres

import (
	"net"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// clearFindings warns when the connection may go over a network in clear: with
// sslmode disable and allow, and with prefer, which is what a URL without one
// means. A server's refusal is enough then, and whoever is in between can feign
// it.
func clearFindings(c *pgx.ConnConfig) []store.Finding {
	clear := c.TLSConfig == nil && overNetwork(c.Host)
	host := c.Host
	for _, f := range c.Fallbacks {
		if !clear && f.TLSConfig == nil && overNetwork(f.Host) {
			clear, host = true, f.Host
		}
	}
	if !clear {
		return nil
	}
	return []store.Finding{{Severity: store.Warning, Subject: host,
		Message: "the connection to the database may be unencrypted: sslmode is disable, allow or prefer (which is meant when it is not said)",
		Fix:     "write sslmode=verify-full into the URL, and sslrootcert=FILE if the server's certificate is of an authority of your own"}}
}

// overNetwork is false for a socket's folder and this machine.
func overNetwork(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}
