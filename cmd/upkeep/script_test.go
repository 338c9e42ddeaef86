package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite"

	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

// TestScript runs testdata/script. Besides the commands of testscript there are:
//
//	sandbox                 start a NetSuite account, a fresh one each time; sets SANDBOX_URL
//	fault '{"kind": ...}'   make it fail; "fault none" heals it
//	await faulted N         wait until so many requests met a fault since the last one was added
//	records TYPE            print the account's records of a type as JSON
//	postgres                make a PostgreSQL database; sets POSTGRES_URL
//	calls                   print how many customers were updated
//	standin NAME            start a stand-in of hubspot, stripe or plain; sets STANDIN_URL and STANDIN_TOKEN
//	seen TYPE               print its records of a type, and how many requests came of each kind
//	freeport                set PORT to a port that nobody listens on
//	exits N CMD ...         run a command that must exit with this status
//	sql DB 'statements'     run SQL; rows are printed, columns joined by |
//	schema DB FILE          write all that the database's catalogue has to FILE
//	sigterm                 send SIGTERM to all background commands
//	insist                  send SIGTERM again and again until they have ended
//	until PATTERN CMD ...   run a command until its output matches
//	get STATUS URL          ask until the answer has this status, and print it
//	patch STATUS URL BODY   send it; the answer must have this status, and is printed
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Values["t"] = e.T().(testing.TB)
			e.Values["sandbox"] = new(*netsuitetest.Server)
			e.Values["standin"] = new(standIn)
			if err := os.CopyFS(filepath.Join(e.WorkDir, "http"), os.DirFS("../../examples/http")); err != nil {
				return err
			}
			return os.CopyFS(e.WorkDir, os.DirFS("testdata/shop"))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sandbox": startSandbox, "fault": addFault, "await": await, "records": printRecords, "postgres": newPostgres,
			"sql": runSQL, "schema": writeSchema, "sigterm": sigterm, "insist": insist, "until": until,
			"exits": exits, "freeport": freePort, "standin": startStandIn, "seen": printSeen, "calls": printCalls,
			"get": get, "patch": patch,
		},
	})
}

// want ends the script unless the number of arguments is right.
func want(ts *testscript.TestScript, neg bool, args []string, n int, usage string) {
	if neg || len(args) != n {
		ts.Fatalf("usage: %s", usage)
	}
}

// account is the script's own NetSuite account.
func account(ts *testscript.TestScript) *netsuitetest.Server {
	s := *ts.Value("sandbox").(**netsuitetest.Server)
	if s == nil {
		ts.Fatalf("there is no account: say sandbox first")
	}
	return s
}

func startSandbox(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 0, "sandbox")
	s, err := netsuitetest.New(netsuitetest.Config{})
	ts.Check(err)
	*ts.Value("sandbox").(**netsuitetest.Server) = s
	server := httptest.NewServer(s)
	ts.Defer(func() {
		s.Close()
		server.CloseClientConnections()
		server.Close()
	})
	ts.Setenv("SANDBOX_URL", server.URL)
}

func addFault(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "fault JSON|none")
	if args[0] == "none" {
		account(ts).Heal()
		return
	}
	var f netsuitetest.Fault
	ts.Check(json.Unmarshal([]byte(args[0]), &f))
	ts.Check(account(ts).Fail(f))
	account(ts).ResetStats()
}

const patience = 2 * time.Minute

func waitFor(ts *testscript.TestScript, what string, done func() bool) {
	for end := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("%s did not come within %s", what, patience)
		}
	}
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "await faulted N")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	waitFor(ts, "the fault", func() bool { return account(ts).Stats().Faulted >= n })
}

func printRecords(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "records TYPE")
	for _, r := range account(ts).Records(args[0]) {
		b, err := json.Marshal(r)
		ts.Check(err)
		fmt.Fprintf(ts.Stdout(), "%s\n", b)
	}
	fmt.Fprintf(ts.Stdout(), "count: %d\n", len(account(ts).Records(args[0])))
}

func newPostgres(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 0, "postgres")
	ts.Setenv("POSTGRES_URL", pgtest.New(ts.Value("t").(testing.TB)))
}

func openDB(ts *testscript.TestScript, name string) *sql.DB {
	driver, dsn := "pgx", name
	if !strings.HasPrefix(name, "postgres:") {
		driver, dsn = "sqlite", "file:"+ts.MkAbs(name)+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)"
	}
	db, err := sql.Open(driver, dsn)
	ts.Check(err)
	return db
}

func runSQL(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "sql DB STATEMENTS")
	db := openDB(ts, args[0])
	defer db.Close()
	statements := args[1]
	if path, ok := strings.CutPrefix(statements, "@"); ok {
		statements = ts.ReadFile(path)
	}
	if !regexp.MustCompile(`(?i)^\s*(select|pragma)\b`).MatchString(statements) {
		_, err := db.Exec(statements)
		ts.Check(err)
		return
	}
	ts.Check(printRows(ts, db, statements))
}

func printRows(ts *testscript.TestScript, db *sql.DB, query string) error {
	rows, err := db.Query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		cells := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		texts := make([]string, len(cells))
		for i, c := range cells {
			texts[i] = c.String
		}
		fmt.Fprintln(ts.Stdout(), strings.Join(texts, "|"))
	}
	return rows.Err()
}

const (
	sqliteSchema   = `SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY 1, 2`
	postgresSchema = `SELECT 'schema', nspname, '' FROM pg_namespace WHERE nspname !~ '^pg_'
UNION ALL SELECT 'relation', relnamespace::regnamespace || '.' || relname, relkind::text FROM pg_class
	WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'pg_toast'::regnamespace)
UNION ALL SELECT 'column', attrelid::regclass || '.' || attname, format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class ON oid = attrelid
	WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function', pronamespace::regnamespace || '.' || proname, '' FROM pg_proc
	WHERE pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
UNION ALL SELECT 'event trigger', evtname, '' FROM pg_event_trigger
UNION ALL SELECT 'role', rolname, '' FROM pg_roles WHERE rolname !~ '^pg_'
ORDER BY 1, 2`
)

func writeSchema(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "schema DB FILE")
	db := openDB(ts, args[0])
	defer db.Close()
	query := sqliteSchema
	if strings.HasPrefix(args[0], "postgres:") {
		query = postgresSchema
	}
	rows, err := db.Query(query)
	ts.Check(err)
	defer rows.Close()
	var b strings.Builder
	columns, err := rows.Columns()
	ts.Check(err)
	for rows.Next() {
		cells := make([]string, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		ts.Check(rows.Scan(into...))
		b.WriteString(strings.Join(cells, " ") + "\n")
	}
	ts.Check(rows.Err())
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}

func sigterm(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 0, "sigterm")
	for _, c := range ts.BackgroundCmds() {
		if err := c.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			ts.Fatalf("signal: %v", err)
		}
	}
}

func insist(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 0, "insist")
	waitFor(ts, "the end of background commands", func() bool {
		ended := true
		for _, c := range ts.BackgroundCmds() {
			ended = errors.Is(c.Process.Signal(syscall.SIGTERM), os.ErrProcessDone) && ended
		}
		return ended
	})
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN CMD ARGS...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	waitFor(ts, "output like "+args[0], func() bool {
		// Exec prints what it ran; a failure is no match, and comes again.
		_ = ts.Exec(args[1], args[2:]...)
		return pattern.MatchString(ts.ReadFile("stdout"))
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N CMD ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got, err = exit.ExitCode(), nil
	}
	ts.Check(err)
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

func freePort(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 0, "freeport")
	port, err := pgtest.FreePort()
	ts.Check(err)
	ts.Setenv("PORT", strconv.Itoa(port))
}

func printCalls(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 0, "calls")
	fmt.Fprintf(ts.Stdout(), "update customer: %d\n", account(ts).Stats().Calls["update customer"])
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "get STATUS URL")
	var body []byte
	waitFor(ts, args[1]+" to answer with "+args[0], func() bool {
		answer, err := http.Get(args[1])
		if err != nil {
			return false // nobody listens yet
		}
		defer answer.Body.Close()
		body, err = io.ReadAll(answer.Body)
		return err == nil && strconv.Itoa(answer.StatusCode) == args[0]
	})
	fmt.Fprintf(ts.Stdout(), "%s", body)
}

func patch(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3, "patch STATUS URL BODY")
	r, err := http.NewRequestWithContext(ts.Value("t").(testing.TB).Context(), http.MethodPatch, args[1], strings.NewReader(args[2]))
	ts.Check(err)
	answer, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), string(text))
	if strconv.Itoa(answer.StatusCode) != args[0] {
		ts.Fatalf("%s %s: %s", args[1], answer.Status, text)
	}
}
