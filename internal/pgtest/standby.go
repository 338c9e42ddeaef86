package pgtest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Follow makes a standby of s, which follows it asynchronously by way of an
// address that leads to s. It ends with t, or becomes s by [Server.TakeOver].
func (s *Server) Follow(t testing.TB, via string) *Server {
	t.Helper()
	standby, err := s.follow(via)
	if standby != nil {
		t.Cleanup(standby.Close)
	}
	if err != nil {
		t.Fatal(err)
	}
	return standby
}

func (s *Server) follow(via string) (*Server, error) {
	standby := &Server{bin: s.bin, cred: s.cred}
	var err error
	if standby.dir, err = os.MkdirTemp("", "upkeep-pg-"); err != nil {
		return nil, err
	}
	if s.cred != nil {
		if err := os.Chown(standby.dir, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			return standby, err
		}
	}
	if standby.port, err = FreePort(); err != nil {
		return standby, err
	}
	host, port, err := net.SplitHostPort(via)
	if err != nil {
		return standby, err
	}
	out, err := standby.command(filepath.Join(s.bin, "pg_basebackup"), "-h", "127.0.0.1", "-p", fmt.Sprint(s.port),
		"-U", "postgres", "-D", filepath.Join(standby.dir, "data"), "-c", "fast", "--no-sync", "--no-manifest").CombinedOutput()
	if err != nil {
		return standby, fmt.Errorf("pg_basebackup: %w\n%s", err, out)
	}
	err = standby.configure(fmt.Sprintf("port = %d\nunix_socket_directories = '%s'\nprimary_conninfo = 'host=%s port=%s user=postgres'\n",
		standby.port, standby.dir, host, port))
	if err != nil {
		return standby, err
	}
	if err := os.WriteFile(filepath.Join(standby.dir, "data", "standby.signal"), nil, 0o644); err != nil {
		return standby, err
	}
	return standby, standby.launch()
}

// configure adds lines to the server's settings; the last of a name counts.
func (s *Server) configure(lines string) error {
	f, err := os.OpenFile(filepath.Join(s.dir, "data", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(lines)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// TakeOver is a failover. s ends as in a crash, for good, and the standby is
// promoted and answers where s did: from then on it is s. What had not come to
// the standby is lost.
func (s *Server) TakeOver(t testing.TB, standby *Server) {
	t.Helper()
	s.Stop()
	for _, sql := range []string{"SELECT pg_promote(true, 60)", "CHECKPOINT"} {
		if err := standby.exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	standby.Stop()
	if err := standby.configure(fmt.Sprintf("port = %d\n", s.port)); err != nil {
		t.Fatal(err)
	}
	s.dir, standby.dir = standby.dir, s.dir // what is left of s goes with the standby's end
	s.Start(t)
}

// Dump returns a schema of one of the server's databases as SQL, as pg_dump
// writes it, to be run in one go.
func (s *Server) Dump(database, schema string) (string, error) {
	c := s.command(filepath.Join(s.bin, "pg_dump"), "-h", "127.0.0.1", "-p", fmt.Sprint(s.port), "-U", "postgres", "-d", database, "-n", schema, "--inserts")
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("pg_dump: %w", err)
	}
	// Commands of psql's own are of no use to anybody else.
	var sql strings.Builder
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, `\`) {
			sql.WriteString(line)
		}
	}
	return sql.String(), nil
}
