package postgres_test

import (
	"net"
	"syscall"
	"testing"

	"github.com/upkeep-sync/upkeep/postgres"
)

// A server that goes away without a word is noticed within seconds: the kernel is
// told so for each connection to it.
func TestSilenceIsLimited(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	conn, err := postgres.Dial(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const userTimeout = 18 // TCP_USER_TIMEOUT
	for _, want := range []struct{ level, option, value int }{
		{syscall.IPPROTO_TCP, userTimeout, 15_000}, {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 5}, {syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 5}, {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 3},
	} {
		var got int
		var failed error
		if err := raw.Control(func(fd uintptr) { got, failed = syscall.GetsockoptInt(int(fd), want.level, want.option) }); err != nil || failed != nil || got != want.value {
			t.Errorf("option %d: %d, want %d; %v, %v", want.option, got, want.value, err, failed)
		}
	}
}

// The server notices it, too: what a session of a process holds on to that is gone
// comes free.
func TestServerLimitsSilence(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for setting, want := range map[string]string{"tcp_user_timeout": "30000", "tcp_keepalives_idle": "5", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"} {
		var got string
		b.ok(postgres.Pool(b.db).QueryRow(b.ctx, "SELECT current_setting($1)", setting).Scan(&got))
		if got != want {
			t.Errorf("%s is %s, want %s", setting, got, want)
		}
	}
}
