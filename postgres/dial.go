package postgres

import (
	"net"
	"time"
)

// A server that goes away without a word (a machine that dies, a firewall that
// forgets the connection) answers no more and closes nothing. What waits for it is
// told after silence. For that the two machines' kernels have to be silent: a query
// that takes its time is not meant.
const (
	silence = 15 * time.Second
	asking  = 5 * time.Second // between two looks whether the other side is there
)

func dialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: asking, Interval: asking, Count: int(silence / asking)},
		Control:         limitSilence,
	}
}
