package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a throw-away PostgreSQL server.
type Server struct {
	bin  string // directory of the server's programs
	dir  string // data, socket and log
	port int
	cred *syscall.Credential // nil: as this process

	admin struct { // for exec
		sync.Mutex
		conn *pgx.Conn
	}

	cmd  *exec.Cmd // the guard; nil while stopped
	line io.WriteCloser
}

// guard runs the server and outlives neither it nor the test process: when its
// standard input ends, which happens however the test process ends, it stops
// the server at once and removes the directory, unless told to keep it.
const guard = `trap "" INT TERM HUP
"$1/postgres" -D "$2/data" >>"$2/log" 2>&1 </dev/null &
read word
kill -QUIT $! 2>/dev/null
wait $!
[ "$word" = keep ] || rm -rf "$2"`

// open makes a server and starts it, again with another port if somebody was
// faster.
func open(settings ...string) (*Server, error) {
	for tries := 1; ; tries++ {
		s, err := openOnce(settings)
		if err == nil || s == nil || tries == 5 || !strings.Contains(err.Error(), "Address already in use") {
			return s, err
		}
		s.Close()
	}
}

func openOnce(settings []string) (*Server, error) {
	bin, err := findBin()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin}
	if s.dir, err = os.MkdirTemp("", "upkeep-pg-"); err != nil {
		return nil, err
	}
	if err := s.initialize(settings); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, s.launch()
}

// FreePort finds a port of this machine below those that the system gives to connections that
// go out: one of these could be taken before the server has started.
func FreePort() (int, error) {
	for range 100 {
		port := 15_000 + rand.IntN(17_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port between 15000 and 32000")
}

// initialize makes the data directory. PostgreSQL refuses to run as root, so
// then it runs as "postgres", or "nobody" where there is no such user.
func (s *Server) initialize(settings []string) error {
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			if u, err = user.Lookup("nobody"); err != nil {
				return fmt.Errorf("find a user to run PostgreSQL as: %w", err)
			}
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(s.dir, int(uid), int(gid)); err != nil {
			return err
		}
	}
	var err error
	if s.port, err = FreePort(); err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	out, err := s.command(filepath.Join(s.bin, "initdb"), "-D", data, "-U", "postgres",
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	conf, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(conf, `
port = %d
listen_addresses = '127.0.0.1'
unix_socket_directories = '%s'
fsync = off
full_page_writes = off
wal_level = logical
max_connections = 200
max_prepared_transactions = 20
shared_buffers = 64MB
timezone = 'UTC'
%s
`, s.port, s.dir, strings.Join(settings, "\n"))
	return errors.Join(err, conf.Close())
}

// command runs as the server's user, in a session of its own so that a
// terminal's interrupt does not reach it.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: s.cred}
	return c
}

func (s *Server) launch() error {
	c := s.command("/bin/sh", "-c", guard, "guard", s.bin, s.dir)
	in, err := c.StdinPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	s.cmd, s.line = c, in
	return s.await()
}

func (s *Server) await() error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		c, err := pgx.Connect(ctx, s.URL())
		if err == nil {
			err = c.Close(ctx)
		}
		cancel()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.halt("")
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Start starts the server again after Stop, with the data that it had.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if s.cmd != nil {
		return
	}
	if err := s.launch(); err != nil {
		t.Fatal(err)
	}
}

// Stop ends the server at once, as a crash would: all connections break, and
// the next Start recovers from the log.
func (s *Server) Stop() { s.halt("keep\n") }

// Close ends the server and removes its data.
func (s *Server) Close() {
	s.halt("")
	_ = os.RemoveAll(s.dir)
}

func (s *Server) halt(word string) {
	if s.cmd == nil {
		return
	}
	s.admin.Lock()
	if s.admin.conn != nil {
		_ = s.admin.conn.Close(context.Background())
		s.admin.conn = nil
	}
	s.admin.Unlock()
	_, _ = io.WriteString(s.line, word)
	_ = s.line.Close()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// findBin returns the directory of initdb and postgres.
func findBin() (string, error) {
	if dir := os.Getenv("UPKEEP_TEST_POSTGRES_BIN"); dir != "" {
		return dir, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	sort.Slice(found, func(i, j int) bool { return version(found[i]) > version(found[j]) })
	if len(found) > 0 {
		return filepath.Dir(found[0]), nil
	}
	if path, err := exec.LookPath("pg_ctl"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		return filepath.Dir(path), nil
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		return string(bytes.TrimSpace(out)), nil
	}
	return "", errors.New("PostgreSQL is not installed: run the tests with scripts/test, " +
		"or set UPKEEP_TEST_POSTGRES_BIN to the directory of initdb and postgres")
}
