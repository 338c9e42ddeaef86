package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

// root is the module's folder, from here.
const root = "../.."

// TestDocuments runs the fenced blocks of every document, from top to bottom,
// in a folder of the document's own. What a block is tells the first word
// after its fence:
//
//	text      runs nothing
//	go        stands in an example: TestGoBlocksInDocumentsAreExamples, in the root
//	json      is valid
//	yaml      passes "upkeep check"; a fragment is completed first, with "salesforce" for that remote. file=NAME keeps it for the blocks below. With "foreign" it is another program's, and only has to be YAML
//	sql       runs on shop.db; with "postgres", on a PostgreSQL database, as=ROLE, and with "refused" must fail
//	sh        runs line by line; with "postgres" and as=ROLE, DATABASE_URL and WAREHOUSE_URL are that database
//	console   the same, for lines after "$ "; what follows is the output, "..." for anything
//
// A block of any other kind fails.
func TestDocuments(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*/*.md", "connector/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 5 {
		t.Fatalf("only %d documents", len(files))
	}
	for _, file := range files {
		name, err := filepath.Rel(root, file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			blocks, err := blocksOf(string(b))
			if err != nil {
				t.Fatal(err)
			}
			checkLinks(t, file, string(b))
			runBlocks(t, blocks)
		})
	}
}

// block is a fenced block of a document.
type block struct {
	line int
	kind string
	is   map[string]string // what follows the kind: words, and name=value
	text string
}

var link = regexp.MustCompile(`\]\(([^)#: ]+)(?:#[^)]*)?\)`)

// checkLinks looks whether what a document links to is there.
func checkLinks(t *testing.T, file, document string) {
	for _, m := range link.FindAllStringSubmatch(document, -1) {
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
			t.Errorf("link to %s: %v", m[1], err)
		}
	}
}

// desk is where the blocks of one document run.
type desk struct {
	*testing.T
	dir, sandbox, port, postgres string
	org                          string // the Salesforce sandbox's address
	env                          []string
	exports                      string
	background                   []*background
}

type background struct {
	line string
	cmd  *exec.Cmd
	out  *bytes.Buffer
}

func runBlocks(t *testing.T, blocks []block) {
	runs := false
	ownTables := false
	for _, b := range blocks {
		switch b.kind {
		case "text", "go":
		case "json":
			if !json.Valid([]byte(b.text)) {
				t.Errorf("line %d: not JSON", b.line)
			}
		case "yaml", "sql", "sh", "console":
			runs = true
			ownTables = ownTables || b.kind == "sql" && strings.Contains(b.text, "CREATE TABLE")
		default:
			t.Errorf("line %d: a block of kind %q is run by nothing; say text, or see TestDocuments", b.line, b.kind)
		}
	}
	if !runs || t.Failed() {
		return
	}
	d := newDesk(t, !ownTables)
	for _, b := range blocks {
		at := fmt.Sprintf("line %d", b.line)
		switch b.kind {
		case "yaml":
			d.yaml(at, b)
		case "sql":
			d.sql(at, b)
		case "sh", "console":
			d.shell(at, b)
		}
		if t.Failed() {
			break
		}
	}
	d.stop("")
}

func newDesk(t *testing.T, tables bool) *desk {
	d := &desk{T: t, dir: t.TempDir()}
	account, err := netsuitetest.New(netsuitetest.Config{CustomFields: append(netsuitetest.DefaultCustomFields(),
		netsuitetest.CustomField{Name: "custentity_spent", Kind: "decimal"}, netsuitetest.CustomField{Name: "custbody_note", Kind: "text"})})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(account)
	t.Cleanup(func() {
		account.Close()
		server.CloseClientConnections()
		server.Close()
	})
	d.sandbox = server.URL
	port, err := pgtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	d.port = fmt.Sprint(port)
	if err := os.WriteFile(filepath.Join(d.dir, "netsuite.pem"), []byte(netsuitetest.PrivateKey), 0o600); err != nil {
		t.Fatal(err)
	}
	key := netsuitetest.PrivateKey
	d.env = append(os.Environ(), "NS_CLIENT_ID="+netsuitetest.ClientID, "NS_CERT_ID="+netsuitetest.CertificateID, "NS_PRIVATE_KEY="+key,
		"NETSUITE_URL="+d.sandbox, "NETSUITE_CONSUMER_KEY="+netsuitetest.ConsumerKey, "NETSUITE_CONSUMER_SECRET="+netsuitetest.ConsumerSecret,
		"NETSUITE_TOKEN_ID="+netsuitetest.TokenID, "NETSUITE_TOKEN_SECRET="+netsuitetest.TokenSecret, "NO_COLOR=1")
	d.startStandIns()
	d.startOrg()
	d.exec("the database", "sqlite", filepath.Join(d.dir, "shop.db"), "PRAGMA journal_mode = wal")
	if tables {
		fixture, err := os.ReadFile("testdata/docs/shop.sql")
		if err != nil {
			t.Fatal(err)
		}
		d.exec("the tables", "sqlite", filepath.Join(d.dir, "shop.db"), string(fixture))
	}
	return d
}

// url is the document's PostgreSQL database, for a role.
func (d *desk) url(role string) string {
	if d.postgres == "" {
		d.postgres = pgtest.New(d.T)
	}
	u, err := url.Parse(d.postgres)
	if err != nil {
		d.Fatal(err)
	}
	if role != "" {
		u.User = url.User(role)
	}
	return u.String()
}

func (d *desk) exec(at, driver, dsn, statements string) {
	d.Helper()
	if err := execute(driver, dsn, statements); err != nil {
		d.Fatalf("%s: %v", at, err)
	}
}

func execute(driver, dsn, statements string) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(statements)
	return err
}

func (d *desk) sql(at string, b block) {
	driver, dsn := "sqlite", "file:"+filepath.Join(d.dir, "shop.db")+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)"
	if _, ok := b.is["postgres"]; ok {
		driver, dsn = "pgx", d.url(b.is["as"])+"&default_query_exec_mode=simple_protocol"
	}
	err := execute(driver, dsn, b.text)
	if _, ok := b.is["refused"]; ok {
		if err == nil {
			d.Errorf("%s: was not refused", at)
		}
		return
	}
	if err != nil {
		d.Errorf("%s: %v", at, err)
	}
}

// own are the things of a document that stand for the reader's.
func (d *desk) own(text string) string {
	return strings.NewReplacer("127.0.0.1:7780", "127.0.0.1:"+d.port, "127.0.0.1:7790", "127.0.0.1:"+d.port).Replace(text)
}

func (d *desk) yaml(at string, b block) {
	if _, foreign := b.is["foreign"]; foreign {
		if err := yaml.Unmarshal([]byte(b.text), new(any)); err != nil {
			d.Errorf("%s: not YAML: %v", at, err)
		}
		return
	}
	name, keep := b.is["file"]
	if !keep {
		name = fmt.Sprintf("block-%d.yaml", b.line)
	}
	text := regexp.MustCompile(`(?m)^( +)my_domain: .*$`).ReplaceAllString(d.own(b.text), "${1}base_url: "+d.org)
	_, salesforce := b.is["salesforce"]
	switch {
	case salesforce:
		text = d.completedForSalesforce(text)
	case regexp.MustCompile(`(?m)^source:`).MatchString(text):
		// A real account's address is left out; here it is the sandbox's.
		if !ownAddress.MatchString(text) {
			text = regexp.MustCompile(`(?m)^( +)account: .*$`).ReplaceAllString(text, "${0}\n${1}base_url: "+d.sandbox)
		}
	default:
		text = d.completed(text)
	}
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
		d.Fatal(err)
	}
	if _, later := b.is["unchecked"]; later {
		return // its remote is not there before a block below starts it
	}
	var env []string
	if _, ok := b.is["postgres"]; ok {
		env = []string{"WAREHOUSE_URL=" + d.url(b.is["as"])}
	}
	if out, err := d.run("upkeep check -c "+name, env); err != nil {
		d.Errorf("%s: upkeep check: %v\n%s\n%s", at, err, out, text)
	}
}

var ownAddress = regexp.MustCompile(`(?m)^ +base_url:`)

const (
	sandboxRemote = `
remotes:
  netsuite:
    connector: netsuite
    account: 123456_SB1
    base_url: %s
    auth: {oauth2: {client_id: "${NS_CLIENT_ID}", certificate_id: "${NS_CERT_ID}", private_key_file: netsuite.pem}}
`
	someSyncs = `
  customer: {from: users, to: netsuite, record: customer, fields: {companyName: name}}
  sales_order: {from: orders, to: netsuite, record: salesOrder, fields: {otherRefNum: ref_no}}
`
)

// completed makes a configuration of a fragment: remotes, syncs, or the keys
// of one sync.
func (d *desk) completed(text string) string {
	has := func(key string) bool { return regexp.MustCompile(`(?m)^` + key + `:`).MatchString(text) }
	remote := fmt.Sprintf(sandboxRemote, d.sandbox)
	switch {
	case has("remotes"):
		if !ownAddress.MatchString(text) {
			text = regexp.MustCompile(`(?m)^( +)account: .*$`).ReplaceAllString(text, "${0}\n${1}base_url: "+d.sandbox)
		}
		if !has("syncs") {
			text += "syncs:" + someSyncs
		}
		return "source: sqlite:shop.db\n" + text
	case has("syncs"):
		for _, l := range strings.Split(strings.TrimSpace(someSyncs), "\n") {
			name, _, _ := strings.Cut(strings.TrimSpace(l), ":")
			if !regexp.MustCompile(`(?m)^  ` + name + `:`).MatchString(text) {
				text += "  " + strings.TrimSpace(l) + "\n"
			}
		}
		return "source: sqlite:shop.db\n" + remote + text
	}
	if !has("from") {
		text = "from: orders\n" + text
	}
	if !has("record") {
		text += "record: salesOrder\n"
	}
	if !has("fields") && !has("initialize") {
		text += "fields: {otherRefNum: ref_no}\n"
	}
	if !has("to") {
		text += "to: netsuite\n"
	}
	return "source: sqlite:shop.db\n" + remote + "syncs:" + someSyncs + "  documented:\n    " +
		strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
}

// completedForSalesforce makes a configuration of the keys of one sync.
func (d *desk) completedForSalesforce(text string) string {
	if !regexp.MustCompile(`(?m)^from:`).MatchString(text) {
		text = "from: orders\n" + text
	}
	return "source: sqlite:shop.db\nremotes:\n  salesforce:\n    connector: salesforce\n    base_url: " + d.org + `
    auth: {client_credentials: {client_id: "${SF_CLIENT_ID}", client_secret: "${SF_CLIENT_SECRET}"}}
syncs:
  customer: {from: users, to: salesforce, record: Account, fields: {Name: name}}
  documented:
    to: salesforce
    ` + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
}

// shell runs the lines of a block.
func (d *desk) shell(at string, b block) {
	var env []string
	if _, ok := b.is["postgres"]; ok {
		env = []string{"DATABASE_URL=" + d.url(b.is["as"]), "WAREHOUSE_URL=" + d.url(b.is["as"])}
	}
	text := strings.ReplaceAll(d.own(b.text), "\\\n", " ")
	if b.kind == "sh" {
		for _, line := range strings.Split(text, "\n") {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				d.command(at, line, "...", env)
			}
		}
		return
	}
	for _, part := range strings.Split("\n"+text, "\n$ ")[1:] {
		line, output, _ := strings.Cut(part, "\n")
		d.command(at, line, strings.TrimSpace(output), env)
	}
}

var (
	// lasting are commands that go on until they are stopped.
	lasting = regexp.MustCompile(`^upkeep (-c \S+ )?(run|demo|sandbox|top)\b|^upkeep .*--watch\b`)
	// module are commands of the repository: that what they name is there is
	// all that is looked at. They are what runs these tests, or have their own.
	module = regexp.MustCompile(`^(go (?:test|run|build|install|get|mod init|vet)|make|scripts/\S+|git clone|gofmt)\b *(.*)`)
)

func (d *desk) command(at, line, want string, env []string) {
	line = strings.TrimSpace(strings.Replace(line, "go run ./cmd/upkeep ", "upkeep ", 1))
	command, _, _ := strings.Cut(line, " #")
	switch {
	case strings.HasPrefix(line, "export "):
		d.exports += line + "\n"
	case module.MatchString(command):
		d.inModule(at, command)
	case lasting.MatchString(command) && !strings.Contains(command, "--once"):
		d.start(at, strings.TrimSpace(command), env)
	default:
		if strings.HasPrefix(line, "upkeep uninstall") {
			d.stop(" run") // or it would put back what is removed
		}
		out, err := d.run(line, env)
		status := ""
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			status = fmt.Sprintf("(exit status %d)", exit.ExitCode())
		}
		if err != nil && (status == "" || !strings.HasSuffix(strings.TrimSpace(want), status)) {
			d.Errorf("%s: %s: %v\n%s", at, line, err, out)
			return
		}
		if err != nil {
			out += "\n" + status
		}
		if !like(out, want) {
			d.Errorf("%s: %s gives\n%s\nand the document says\n%s", at, line, out, want)
		}
	}
}

// like compares an output with the one in a document.
func like(got, want string) bool {
	squeeze := func(s string) string {
		var lines []string
		for _, l := range strings.Split(strings.TrimSpace(s), "\n") {
			lines = append(lines, strings.Join(strings.Fields(l), " "))
		}
		return strings.Join(lines, "\n")
	}
	pattern := regexp.QuoteMeta("\n" + squeeze(want) + "\n")
	pattern = strings.ReplaceAll(pattern, "\n"+`\.\.\.`+"\n", `(?s:\n.*)`)
	pattern = strings.ReplaceAll(pattern, `\.\.\.`, `.*`)
	return regexp.MustCompile(`^(?:` + pattern + `)\n*$`).MatchString("\n" + squeeze(got) + "\n")
}

func TestLike(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		got, want string
		like      bool
	}{
		{"a  b\nc", "a b\nc", true}, {"a", "b", false}, {"a\nb\nc", "a\n...\nc", true}, {"anything\nat all", "...", true},
		{"took 5ms", "took ...", true}, {"a\nb", "a", false}, {"x.y", "x-y", false}, {"", "...", true},
	} {
		if like(c.got, c.want) != c.like {
			t.Errorf("like(%q, %q) = %v", c.got, c.want, !c.like)
		}
	}
}

// patience of a command.
func (d *desk) run(line string, env []string) (string, error) {
	ctx, cancel := context.WithTimeout(d.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", d.exports+line)
	cmd.Dir, cmd.Env = d.dir, append(d.env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// start runs a command that lasts, and waits until it is at work.
func (d *desk) start(at, line string, env []string) {
	sandbox := strings.Contains(line, "sandbox")
	if sandbox {
		line += " --listen 127.0.0.1:" + d.port
	}
	b := &background{line: line, out: &bytes.Buffer{}}
	b.cmd = exec.Command("sh", "-ec", d.exports+"exec "+line)
	b.cmd.Dir, b.cmd.Env, b.cmd.Stdout, b.cmd.Stderr = d.dir, append(d.env, env...), b.out, b.out
	if err := b.cmd.Start(); err != nil {
		d.Fatalf("%s: %s: %v", at, line, err)
	}
	d.background = append(d.background, b)
	switch {
	case sandbox:
		d.reach(at)
	case strings.Contains(line, " run"):
		// A second process that ends when all is quiet, also with groups parked.
		out, err := d.run(line+" --once", env)
		if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != statusToDo) {
			d.Errorf("%s: %s: %v\n%s", at, line, err, out)
		}
	}
}

func (d *desk) reach(at string) {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", "127.0.0.1:"+d.port)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			d.Fatalf("%s: the sandbox does not answer: %v", at, err)
		}
	}
}

// stop ends what lasts and has the word in it, in the opposite order; each
// must end well.
func (d *desk) stop(word string) {
	all := d.background
	d.background = nil
	for i := len(all) - 1; i >= 0; i-- {
		b := all[i]
		if !strings.Contains(b.line, word) {
			d.background = append([]*background{b}, d.background...)
			continue
		}
		// Again and again: one that only begins does not listen yet.
		ended := make(chan error, 1)
		go func() { ended <- b.cmd.Wait() }()
		for waiting := true; waiting; {
			_ = b.cmd.Process.Signal(syscall.SIGTERM)
			select {
			case err := <-ended:
				waiting = false
				var exit *exec.ExitError
				interrupted := strings.Contains(b.line, "demo") && strings.Contains(b.out.String(), "interrupted")
				if errors.As(err, &exit) && exit.ExitCode() > 0 && !interrupted {
					d.Errorf("%s: %v\n%s", b.line, err, b.out)
				}
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
}

// inModule looks whether what a command of the repository names is there.
func (d *desk) inModule(at, line string) {
	m := module.FindStringSubmatch(line)
	var names []string
	switch {
	case strings.HasPrefix(m[1], "scripts/"):
		names = []string{m[1]}
	case m[1] == "make":
		b, err := os.ReadFile(filepath.Join(root, "Makefile"))
		if err != nil {
			d.Fatal(err)
		}
		for _, target := range strings.Fields(m[2]) {
			if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:`).Match(b) {
				d.Errorf("%s: there is no target %s", at, target)
			}
		}
	case m[1] == "git clone", m[1] == "go mod init", m[1] == "gofmt":
	default:
		for _, w := range strings.Fields(m[2]) {
			w, _, _ = strings.Cut(w, "@")
			if path, ours := strings.CutPrefix(w, "github.com/upkeep-sync/upkeep"); ours {
				w = "." + path
			}
			if w = strings.TrimSuffix(w, "/..."); strings.HasPrefix(w, ".") {
				names = append(names, w)
			}
		}
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			d.Errorf("%s: %s: %v", at, line, err)
		}
	}
}
