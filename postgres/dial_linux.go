package postgres

import (
	"strings"
	"syscall"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of Linux's <linux/tcp.h>: for how many
// milliseconds sent data may be unacknowledged.
const tcpUserTimeout = 18

// limitSilence is for net.Dialer.Control. What the kernel does not take is left as it
// is: it would notice too, after a quarter of an hour.
func limitSilence(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	return c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(silence.Milliseconds()))
	})
}
