package sqlite_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/sqlite"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a b?#%ü.db")
	application(t, file).Exec(`CREATE TABLE there (id INTEGER PRIMARY KEY)`)
	for _, path := range []string{file, "sqlite:" + file, "file:" + (&url.URL{Path: file}).EscapedPath(), "file:" + (&url.URL{Path: file}).EscapedPath() + "?mode=rw"} {
		d, err := sqlite.Open(path, sqlite.Config{})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if _, err := d.Table(t.Context(), store.Table{Name: "there"}); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if err := d.Migrate(t.Context()); err != nil { // with the real clock
			t.Errorf("%s: %v", path, err)
		}
		if !strings.HasPrefix(d.Name(), "sqlite:") {
			t.Errorf("name %q", d.Name())
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.db")
	for _, path := range []string{missing, "sqlite:" + missing, text, "", "sqlite:", ":memory:", "file::memory:?cache=shared", "file:x?mode=memory"} {
		if d, err := sqlite.Open(path, sqlite.Config{}); err == nil {
			t.Errorf("%q was opened", path)
			d.Close()
		}
	}
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Error("a missing file was made")
	}
}

// The application may hold the write lock for longer than SQLite itself waits.
func TestBusy(t *testing.T) {
	t.Parallel()
	b := newBench(t, plainParent, plainChild)
	b.exec(`INSERT INTO parent VALUES (1, 'a', '')`)
	tx, err := b.app.Begin()
	b.ok(err)
	if _, err := tx.Exec(`INSERT INTO parent VALUES (2, 'b', '')`); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := b.d.Fold(t.Context(), []*store.Shape{b.s}, "plan", 100)
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("the fold did not wait for the writer: %v", err)
	case <-time.After(800 * time.Millisecond): // longer than one wait of SQLite's own
	}
	b.ok(tx.Commit())
	b.ok(<-done)
	b.want("1", "2")
}
