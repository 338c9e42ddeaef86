package metrics_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/metrics"
	"github.com/upkeep-sync/upkeep/postgres"
	"github.com/upkeep-sync/upkeep/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onEach runs a test on each database: exec is the application's connection.
func onEach(t *testing.T, test func(t *testing.T, db upkeep.Database, exec func(string))) {
	opened := func(t *testing.T, driver, dsn string) func(string) {
		app, err := sql.Open(driver, dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = app.Close() })
		return func(statements string) {
			t.Helper()
			if _, err := app.Exec(statements); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "shop.db")
		exec := opened(t, "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
		exec("CREATE TABLE users (id integer PRIMARY KEY, name text)")
		db, err := sqlite.Open(path, sqlite.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		test(t, db, exec)
	})
	t.Run("postgres", func(t *testing.T) {
		url := pgtest.New(t)
		exec := opened(t, "pgx", url)
		exec("CREATE TABLE users (id integer PRIMARY KEY, name text)")
		db, err := postgres.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		test(t, db, exec)
	})
}

// user is a sync of the users; one who is called parked is refused.
func user(to *upkeep.Remote) upkeep.AnySync {
	type user struct {
		ID   int64  `db:"id,key"`
		Name string `db:"name"`
	}
	return upkeep.Sync[user]{Name: "user", Table: "users", To: to, Record: "user",
		Translate: func(u user) (upkeep.Fields, error) {
			if u.Name == "parked" {
				return nil, errors.New("no such name")
			}
			return upkeep.Fields{"name": u.Name}, nil
		}}
}

func engine(t *testing.T, db upkeep.Database, remote *upkeep.Remote) *upkeep.Engine {
	t.Helper()
	e, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{user(remote)}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// running runs an engine to the test's end.
func running(t *testing.T, e *upkeep.Engine) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	done := false
	stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func quiet(t *testing.T, e *upkeep.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := e.Quiet(ctx, nil); err != nil {
		t.Fatal(err)
	}
}

// shows fails unless a collector shows these lines.
func shows(t *testing.T, e *upkeep.Engine, lines ...string) {
	t.Helper()
	_, text := get(t, metrics.Handler(e), "/metrics") // a new one, which looks anew
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("it does not show %q", line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func get(t *testing.T, h http.Handler, path string) (status int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(b)
}

func TestWhatIsShown(t *testing.T) {
	onEach(t, func(t *testing.T, db upkeep.Database, exec func(string)) {
		there := memory.New(memory.Config{})
		remote := &upkeep.Remote{Name: "crm", Connection: there.Connect(), Concurrency: 3}
		e := engine(t, db, remote)
		shows(t, e, "upkeep_up 0", "upkeep_ready 0") // nothing is installed yet
		stop := running(t, e)
		exec("INSERT INTO users VALUES (1, 'Ada'), (2, 'Bob'), (3, 'parked')")
		quiet(t, e)
		shows(t, e, "upkeep_up 1", "upkeep_ready 1", "upkeep_pending_touches 0", "upkeep_oldest_touch_seconds 0",
			`upkeep_failing_processes{stage="fold"} 0`, `upkeep_failing_processes{stage="work for crm"} 0`,
			`upkeep_groups{state="clean",sync="user"} 2`, `upkeep_groups{state="parked",sync="user"} 1`, `upkeep_groups{state="in_doubt",sync="user"} 0`,
			`upkeep_calls_total{sync="user"} 2`, `upkeep_lag_seconds{sync="user"} 0`, `upkeep_sync_paused{sync="user"} 0`, `upkeep_deletes_stopped{sync="user"} 0`,
			`upkeep_remote_slots{remote="crm"} 3`, `upkeep_remote_breaker_open{remote="crm"} 0`, `upkeep_remote_paused{remote="crm"} 0`, `upkeep_jobs{remote="crm",state="running"} 0`)

		if err := e.Pause(t.Context(), upkeep.Pause{Sync: "user", Reason: "month end"}); err != nil {
			t.Fatal(err)
		}
		exec("UPDATE users SET name = 'Eve' WHERE id = 1")
		until(t, "the change to be folded", func() bool {
			st, err := e.Status(t.Context())
			return err == nil && st.Syncs[0].Dirty == 1
		})
		shows(t, e, `upkeep_sync_paused{sync="user"} 1`, `upkeep_groups{state="dirty",sync="user"} 1`, `upkeep_remote_paused{remote="crm"} 0`)
		_, text := get(t, metrics.Handler(e), "/metrics")
		if strings.Contains(text, `upkeep_lag_seconds{sync="user"} 0`+"\n") {
			t.Error("there is no lag, and a change waits")
		}
		for _, secret := range []string{"Ada", "Eve", "month end", "no such name", "shop.db", "127.0.0.1", "postgres"} {
			if strings.Contains(text, secret) {
				t.Errorf("it shows %q", secret)
			}
		}

		// A remote that fails is shown, and makes nobody unready.
		there.Fail(memory.Fault{Times: -1, Err: memory.Err(connector.Unavailable)})
		if _, err := e.Resume(t.Context(), upkeep.Pause{Sync: "user"}); err != nil {
			t.Fatal(err)
		}
		until(t, "the breaker to open", func() bool {
			st, err := e.Status(t.Context())
			return err == nil && st.Remotes[0].Broken
		})
		shows(t, e, `upkeep_remote_breaker_open{remote="crm"} 1`, "upkeep_ready 1", "upkeep_up 1")
		h := metrics.Handler(e)
		if status, body := get(t, h, "/readyz"); status != http.StatusOK || body != "ok\n" {
			t.Errorf("readyz: %d %q", status, body)
		}
		stop()
		if status, body := get(t, h, "/readyz"); status != http.StatusServiceUnavailable || body != "Run is not at work in this process\n" {
			t.Errorf("readyz after the end: %d %q", status, body)
		}
		if status, body := get(t, h, "/livez"); status != http.StatusOK || body != "ok\n" {
			t.Errorf("livez: %d %q", status, body)
		}
		for _, other := range []string{"/", "/livez/more"} {
			if status, _ := get(t, h, other); status != http.StatusNotFound {
				t.Errorf("%s: %d", other, status)
			}
		}
	})
}

func TestScrapeOfADatabaseThatIsAway(t *testing.T) {
	onEach(t, func(t *testing.T, db upkeep.Database, _ func(string)) {
		e := engine(t, db, &upkeep.Remote{Name: "crm", Connection: memory.New(memory.Config{}).Connect()})
		if err := e.Install(t.Context()); err != nil {
			t.Fatal(err)
		}
		shows(t, e, "upkeep_up 1")
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		h := metrics.Handler(e)
		status, text := get(t, h, "/metrics")
		if status != http.StatusOK || !strings.Contains(text, "\nupkeep_up 0\n") || strings.Contains(text, "upkeep_groups") {
			t.Errorf("status %d\n%s", status, text)
		}
	})
}

func TestNamesFollowTheConventions(t *testing.T) {
	onEach(t, func(t *testing.T, db upkeep.Database, exec func(string)) {
		e := engine(t, db, &upkeep.Remote{Name: "crm", Connection: memory.New(memory.Config{}).Connect()})
		if err := e.Install(t.Context()); err != nil {
			t.Fatal(err)
		}
		problems, err := testutil.CollectAndLint(metrics.Collector(e))
		if err != nil || len(problems) > 0 {
			t.Errorf("%v, %v", problems, err)
		}
		want := "# HELP upkeep_up Whether the database told how things stand; 0: what is of it is left out.\n# TYPE upkeep_up gauge\nupkeep_up 1\n"
		if err := testutil.CollectAndCompare(metrics.Collector(e), bytes.NewBufferString(want), "upkeep_up"); err != nil {
			t.Error(err)
		}
	})
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
