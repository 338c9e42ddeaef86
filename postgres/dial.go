package postgres

import (
	"fmt"
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

// reachable is the same from the server's side: a session ends whose process is gone
// without a word, or reads no more of an answer that is under way ([standstill] ends
// a transaction that waits for the next statement). It is of no effect where the
// server's kernel, or a socket that is a file, has no such thing.
var reachable = fmt.Sprintf("SET tcp_keepalives_idle = %d; SET tcp_keepalives_interval = %[1]d; SET tcp_keepalives_count = %[2]d; SET tcp_user_timeout = %[3]d",
	int(asking.Seconds()), int(silence/asking), 2*silence.Milliseconds())

func dialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: asking, Interval: asking, Count: int(silence / asking)},
		Control:         limitSilence,
	}
}
