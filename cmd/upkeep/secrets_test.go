package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/internal/registrytext"
)

// places are all places of a configuration where a credential may stand, by the
// variable that it is in.
var places = []string{"NS_CONSUMER", "NS_TOKEN", "NS_KEY", "SF_SECRET", "SF_KEY", "BEARER", "PASSWORD", "API_HEADER", "API_QUERY",
	"CLIENT_SECRET", "HEADER", "SIGN", "SIGN_PREVIOUS", "WAREHOUSE"}

const placesConfig = `source: ${DATABASE_URL}
remotes:
  ns1: {connector: netsuite, account: "123456", base_url: "${URL_ns1}", auth: {oauth1: {consumer_key: ck, consumer_secret: "${NS_CONSUMER}", token_id: ti, token_secret: "${NS_TOKEN}"}}}
  ns2: {connector: netsuite, account: "123456", base_url: "${URL_ns2}", auth: {oauth2: {client_id: ci, certificate_id: cert, private_key: "${NS_KEY}"}}}
  sf1: {connector: salesforce, base_url: "${URL_sf1}", auth: {client_credentials: {client_id: ci, client_secret: "${SF_SECRET}"}}}
  sf2: {connector: salesforce, base_url: "${URL_sf2}", auth: {jwt: {client_id: ci, username: u, private_key: "${SF_KEY}"}}}
  h1: {connector: http, base_url: "${URL_h1}", auth: {bearer: "${BEARER}"}, records: &r {"*": {upsert: {path: "/r/$external_id", body: $fields}, find: {path: "/r/$external_id"}, read: {path: "/r/$id"}, delete: {path: "/r/$id"}}}}
  h2: {connector: http, base_url: "${URL_h2}", auth: {basic: {user: u, password: "${PASSWORD}"}}, records: RECORDS}
  h3: {connector: http, base_url: "${URL_h3}", auth: {api_key: {header: X-Key, secret: "${API_HEADER}"}}, records: RECORDS}
  h4: {connector: http, base_url: "${URL_h4}", auth: {api_key: {query: key, secret: "${API_QUERY}"}}, records: RECORDS}
  h5: {connector: http, base_url: "${URL_h5}", auth: {oauth2: {client_id: ci, client_secret: "${CLIENT_SECRET}", token_url: "${URL_h5}/token"}}, records: RECORDS}
  h6: {connector: http, base_url: "${URL_h6}", headers: {X-Auth: "${HEADER}"}, sign: {standard_webhooks: {secret: "${SIGN}", previous: "${SIGN_PREVIOUS}"}}, records: RECORDS}
  w: {connector: warehouse, url: "${WAREHOUSE}"}
syncs:
`

const placesRecords = `{"*": {upsert: {path: "/r/$external_id", body: $fields}, find: {path: "/r/$external_id"}, read: {path: "/r/$id"}, delete: {path: "/r/$id"}}}`

var placesRemotes = []string{"ns1", "ns2", "sf1", "sf2", "h1", "h2", "h3", "h4", "h5", "h6", "w"}

// canaries are credentials, and what must be found nowhere of them.
func canaries(t *testing.T) (env map[string]string, parts []string) {
	t.Helper()
	env = map[string]string{}
	for _, p := range places {
		env[p] = "canary-" + strings.ToLower(p) + "-0a/+b"
	}
	for _, p := range []string{"SIGN", "SIGN_PREVIOUS"} {
		body := base64.StdEncoding.EncodeToString([]byte("canary-" + p + "-0123456789-0123456789"))
		env[p], parts = "whsec_"+body, append(parts, body)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for p, key := range map[string]any{"NS_KEY": ec, "SF_KEY": r} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		env[p] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		for _, line := range strings.Split(env[p], "\n")[1:3] {
			parts = append(parts, line[:min(len(line), 30)])
		}
	}
	parts = append(parts, "canary", base64.StdEncoding.EncodeToString([]byte("u:"+env["PASSWORD"])))
	return env, parts
}

// echo are remotes that fail in every way, one after the other, and repeat all
// that they were sent.
type echo struct {
	mu   sync.Mutex
	seen map[string]int
}

var echoed = []int{400, 0, 422, 401, 409, 500, 200, 403, 404, 429, 503}

func (e *echo) answer(name string, w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	e.mu.Lock()
	n := e.seen[name]
	e.seen[name]++
	e.mu.Unlock()
	said := fmt.Sprint(r.RequestURI, r.Header, string(body), r.URL.Query())
	for _, secret := range r.URL.Query() {
		said += secret[0]
	}
	_, password, _ := r.BasicAuth()
	said = strings.NewReplacer("\n", " ", `"`, `'`, `\`, "/").Replace(said + password)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Said", said)
	if strings.Contains(string(body), "grant_type") && n%3 != 0 {
		_, _ = io.WriteString(w, `{"access_token":"canary-access-token","error":"invalid_`+"x"+`","error_description":"`+said+`"}`)
		return
	}
	switch status := echoed[n%len(echoed)]; status {
	case 0:
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, said+"\r\n\r\n")
			_ = conn.Close()
		}
	default:
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"title":%[1]q,"message":%[1]q,"error":{"message":%[1]q,"code":%[1]q},"o:errorDetails":[{"detail":%[1]q}],"id":7}`, said)
	}
}

func (e *echo) least(names []string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	least := 1 << 30
	for _, n := range names {
		least = min(least, e.seen[n])
	}
	return least
}

// A credential, wherever the configuration has it and whatever goes wrong, is
// in no output, no log and no table.
func TestSecretsShowNowhere(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{"sqlite", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			s := newSecretPlace(t, driver)
			s.run("check")
			s.run("plan", "--records")
			s.run("apply")
			s.runUntil(4, "run", "--log-format", "json", "--log-level", "debug", "--drain", "1s")
			s.exec(`UPDATE items SET name = 'again'`, `DELETE FROM items WHERE id = 2`)
			s.runUntil(7, "run", "--log-level", "debug", "--drain", "1s")
			s.tables()
			for _, args := range []string{"status", "status --json", "status --state parked", "doctor", "verify", "audit", "deletes", "resync --all",
				"retry --all", "plan --json", "check --json", "pause h1 --reason why", "resume h1", "backfill s_h1", "version"} {
				s.run(strings.Fields(args)...)
			}
			for _, remote := range placesRemotes {
				s.run("explain", "s_"+remote, "1")
				s.run("explain", "--json", "s_"+remote, "1")
			}
			s.tables()
			s.broken()
			if s.shown == 0 {
				t.Error("nothing was printed")
			}
		})
	}
}

type secretPlace struct {
	*testing.T
	dir, driver, url string
	db               *sql.DB
	env              map[string]string
	parts            []string
	echo             *echo
	shown            int
}

func newSecretPlace(t *testing.T, driver string) *secretPlace {
	s := &secretPlace{T: t, dir: t.TempDir(), driver: driver, echo: &echo{seen: map[string]int{}}}
	s.env, s.parts = canaries(t)
	for _, remote := range placesRemotes {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.echo.answer(remote, w, r) }))
		t.Cleanup(server.Close)
		s.env["URL_"+remote] = server.URL
	}
	// The database of the warehouse refuses its URL too, which is then told.
	warehouse := pgtest.New(t)
	s.env["WAREHOUSE"] = strings.Replace(warehouse, "postgres@", "nobody:canary-warehouse@", 1)
	name, dsn := "sqlite", filepath.Join(s.dir, "shop.db")
	s.url = "sqlite:" + dsn
	dsn = "file:" + dsn + "?_pragma=busy_timeout(10000)"
	if driver == "postgres" {
		s.url = strings.Replace(pgtest.New(t), "postgres@", "postgres:canary-source@", 1)
		name, dsn = "pgx", s.url
	}
	s.env["DATABASE_URL"] = s.url
	var err error
	if s.db, err = sql.Open(name, dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.db.Close() })
	s.exec(`CREATE TABLE items (id integer PRIMARY KEY, name text)`, `INSERT INTO items VALUES (1, 'one'), (2, 'two'), (3, 'three')`)
	text := strings.ReplaceAll(strings.ReplaceAll(placesConfig, "&r ", ""), "RECORDS", placesRecords)
	for _, remote := range placesRemotes {
		text += fmt.Sprintf("  s_%[1]s: {from: items, to: %[1]s, record: item, fields: {name: name}}\n", remote)
	}
	s.write("upkeep.yaml", text)
	return s
}

func (s *secretPlace) exec(statements ...string) {
	s.Helper()
	for _, sql := range statements {
		if _, err := s.db.Exec(sql); err != nil {
			s.Fatal(err)
		}
	}
}

func (s *secretPlace) write(name, text string) string {
	s.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	return path
}

func (s *secretPlace) lookup(name string) (string, bool) { v, ok := s.env[name]; return v, ok }

// run runs a command on the configuration; how it ends does not matter.
func (s *secretPlace) run(args ...string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	return s.within(ctx, filepath.Join(s.dir, "upkeep.yaml"), args...)
}

func (s *secretPlace) within(ctx context.Context, config string, args ...string) string {
	s.Helper()
	var out lockedBuffer
	run(ctx, append([]string{"-c", config}, args...), s.lookup, strings.NewReader(""), &out, &out)
	text := out.String()
	s.shown += len(text)
	s.search(strings.Join(args, " "), text)
	return text
}

// runUntil runs until each remote was asked so many times more.
func (s *secretPlace) runUntil(n int, args ...string) {
	s.Helper()
	asked := slices.DeleteFunc(slices.Clone(placesRemotes), func(r string) bool { return r == "w" })
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	go func() {
		for end := time.Now().Add(patience); s.echo.least(asked) < n && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	s.within(ctx, filepath.Join(s.dir, "upkeep.yaml"), args...)
	if got := s.echo.least(asked); got < n {
		s.Errorf("a remote was asked only %d times: %v", got, s.echo.seen)
	}
}

// search fails when a text has a secret in it.
func (s *secretPlace) search(where, text string) {
	s.Helper()
	for _, part := range s.parts {
		if i := strings.Index(strings.ToLower(text), strings.ToLower(part)); i >= 0 {
			s.Errorf("%s shows %q: ...%s...", where, part, text[max(0, i-200):min(len(text), i+100)])
		}
	}
}

// tables searches every table of the registry.
func (s *secretPlace) tables() {
	s.Helper()
	tables, err := registrytext.Read(s.Context(), s.db, s.driver == "postgres")
	if err != nil {
		s.Fatal(err)
	}
	for name, text := range tables {
		s.search("table "+name, text)
	}
}

// broken runs configurations with something wrong at each line: with the
// secrets written into the file itself, whose lines an error shows.
func (s *secretPlace) broken() {
	s.Helper()
	good, err := os.ReadFile(filepath.Join(s.dir, "upkeep.yaml"))
	if err != nil {
		s.Fatal(err)
	}
	plain := regexp.MustCompile(`\$\{(\w+)\}`).ReplaceAllStringFunc(string(good), func(m string) string {
		return strings.ReplaceAll(s.env[m[2:len(m)-1]], "\n", `\n`)
	})
	lines := strings.Split(plain, "\n")
	for i, line := range lines {
		for _, spoil := range []func(string) string{
			func(l string) string { return strings.Replace(l, "auth: {", "auth: {nonesuch: 1, ", 1) },
			func(l string) string { return strings.Replace(l, "}", "", 1) },
			func(l string) string { return strings.Replace(l, `"`, "", 1) },
			func(l string) string { return strings.Replace(l, "connector: ", "connector: no", 1) },
			func(l string) string { return l + " {" },
		} {
			bad := slices.Clone(lines)
			if bad[i] = spoil(line); bad[i] == line {
				continue
			}
			path := s.write("bad.yaml", strings.Join(bad, "\n"))
			for _, command := range []string{"check", "status"} {
				s.within(s.Context(), path, command)
			}
		}
	}
	for _, source := range []string{"postgres://u:canary@127.0.0.1:1/x", "postgres://u:canary@[x/y", "mysql://u:canary@h/x", "host=127.0.0.1 port=1 password=canary",
		"postgres://u:canary%zz@127.0.0.1/x", "host=127.0.0.1 port=no password='canary"} {
		s.env["DATABASE_URL"] = source
		for _, command := range []string{"check", "run", "status", "doctor", "uninstall --yes"} {
			s.run(strings.Fields(command)...)
		}
		s.run("init", "--source", source, "-o", "-")
	}
}

// lockedBuffer is for output and logs together.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
