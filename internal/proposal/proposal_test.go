package proposal

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/connector/netsuite"
	"github.com/upkeep-sync/upkeep/internal/config"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/postgres"
	"github.com/upkeep-sync/upkeep/sqlite"
)

var update = flag.Bool("update", false, "write the golden files")

const odd = "../../cmd/upkeep/testdata/shop/odd.sql"

// onPostgres has what only PostgreSQL can: schemas.
const onPostgres = `
CREATE SCHEMA "Sales Dep.";
CREATE TABLE "Sales Dep.".leads (id integer PRIMARY KEY);
CREATE SCHEMA sales;
CREATE TABLE sales."Order" (id uuid PRIMARY KEY, kunde integer REFERENCES public."Kunden", seller integer REFERENCES public."Kunden", doc jsonb, at double precision);
CREATE TABLE sales.items (id bigserial PRIMARY KEY, "order" uuid REFERENCES sales."Order", amount numeric, tags text[], "dim.s" integer[]);
CREATE TABLE sales.readings (at timestamptz PRIMARY KEY, value numeric);
CREATE TABLE sales.terms (every interval PRIMARY KEY, name text);
CREATE TABLE sales.boxes (sizes integer[] PRIMARY KEY, name text);
CREATE TABLE sales.offers (id integer PRIMARY KEY, every interval REFERENCES sales.terms, sizes integer[] REFERENCES sales.boxes);
`

// onSQLite has what only SQLite takes: keys between kinds, names in any case.
const onSQLite = `
CREATE TABLE loose (id INTEGER PRIMARY KEY, kunde TEXT REFERENCES "Kunden", nobody INTEGER REFERENCES nowhere, maker INTEGER REFERENCES MAKERS (ID), two INTEGER REFERENCES makers);
`

func open(t *testing.T, kind, statements string) upkeep.Database {
	t.Helper()
	if kind == "postgres" {
		url := pgtest.New(t)
		c, err := pgx.Connect(t.Context(), url)
		check(t, err)
		_, err = c.Exec(t.Context(), statements)
		check(t, errors.Join(err, c.Close(t.Context())))
		db, err := postgres.Open(t.Context(), url)
		check(t, err)
		t.Cleanup(func() { check(t, db.Close()) })
		return db
	}
	file := filepath.Join(t.TempDir(), "odd.db")
	c, err := sql.Open("sqlite", file)
	check(t, err)
	_, err = c.Exec(statements)
	check(t, errors.Join(err, c.Close()))
	db, err := sqlite.Open("sqlite:"+file, sqlite.Config{})
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	return db
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var connectors = config.Connectors{
	"memory": {New: func(func(any) error) (connector.Connection, error) { return memory.New(memory.Config{}).Connect(), nil }},
	"netsuite": {New: func(decode func(any) error) (connector.Connection, error) {
		var c netsuite.Config
		err := decode(&c)
		return nil, errors.Join(err, c.Validate())
	}},
}

func privateKey(t *testing.T) string {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	check(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// compiles makes sure that a file has no problem with this database.
func compiles(t *testing.T, db upkeep.Database, text string, openRemotes bool) {
	t.Helper()
	f, err := config.Parse("upkeep.yaml", []byte(text), func(name string) (string, bool) {
		if name == "NS_PRIVATE_KEY" {
			return privateKey(t), true
		}
		return "value of " + name, strings.HasPrefix(name, "NS_")
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if openRemotes {
		_, err := f.Open(connectors)
		check(t, err)
	}
	if _, errs := f.Mappings(t.Context(), db, nil); len(errs) > 0 {
		t.Fatalf("%v\n%s", errors.Join(errs...), text)
	}
}

func TestProposalsAreTheGoldenOnes(t *testing.T) {
	t.Parallel()
	schema, err := os.ReadFile(odd)
	check(t, err)
	for _, c := range []struct {
		name, database, more string
		tables               []string
	}{
		{"sqlite", "sqlite", "", nil},
		{"postgres", "postgres", "", nil},
		{"schemas", "postgres", onPostgres, []string{"sales.Order", "kunden"}},
		{"loose", "sqlite", onSQLite, []string{"loose", "makers"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := open(t, c.database, string(schema)+c.more)
			var text string
			for range 2 {
				p, err := Make(t.Context(), db, Options{Source: "sqlite:shop.db", SourceNotes: []string{"The source."}, Tables: c.tables})
				check(t, err)
				if text != "" && text != p.Text {
					t.Error("the same database gave two texts")
				}
				text = p.Text
			}
			compiles(t, db, text, true)
			compiles(t, db, uncommented(text), false)
			golden := filepath.Join("testdata", c.name+".yaml")
			if *update {
				check(t, os.WriteFile(golden, []byte(text), 0o644))
			}
			want, err := os.ReadFile(golden)
			check(t, err)
			if text != string(want) {
				t.Errorf("not as in %s (go test -update writes it):\n%s", golden, text)
			}
		})
	}
}

var comment = regexp.MustCompile(`(?m)^(      |          )# (.*)$`)

// uncommented has the fields and the relations that stand as comments, too.
func uncommented(text string) string {
	at := strings.Index(text, "\nsyncs:")
	return text[:at] + comment.ReplaceAllStringFunc(text[at:], func(line string) string {
		return strings.Replace(line, "# ", "", 1)
	})
}

func TestTheNetSuiteLinesAreOnesToUse(t *testing.T) {
	t.Parallel()
	db := open(t, "sqlite", `CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)`)
	p, err := Make(t.Context(), db, Options{Source: "sqlite:shop.db"})
	check(t, err)
	var lines []string
	for l := range strings.Lines(p.Text) {
		if rest, ok := strings.CutPrefix(l, "  #   "); ok {
			lines = append(lines, "    "+rest)
		}
	}
	if len(lines) < 7 {
		t.Fatalf("the lines are gone:\n%s", p.Text)
	}
	compiles(t, db, strings.Replace(p.Text, "    connector: memory\n", strings.Join(lines, ""), 1), true)
}

func TestTablesThatCannotBeRoots(t *testing.T) {
	t.Parallel()
	db := open(t, "sqlite", `CREATE TABLE logs (line TEXT); CREATE TABLE Users (id INTEGER PRIMARY KEY)`)
	for table, want := range map[string]string{"logs": "no primary key", "orders": "there are: Users, logs", "users": "", "Usres": "it does not exist; did you mean Users?"} {
		_, err := Make(t.Context(), db, Options{Source: "x", Tables: []string{table}})
		var unknown *UnknownTableError
		if want == "" && err != nil || want != "" && (!errors.As(err, &unknown) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", table, err, want)
		}
	}
	empty := open(t, "sqlite", `CREATE TABLE logs (line TEXT)`)
	if p, err := Make(context.Background(), empty, Options{}); !errors.Is(err, ErrNothing) || p.Tables != 1 {
		t.Errorf("nothing to propose: %+v, %v", p, err)
	}
}

// The example of a condition is one of the table's own, if what a column can be is
// known.
func TestProposedConditionIsTheirs(t *testing.T) {
	t.Parallel()
	db := open(t, "postgres", `CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE "Odd" (id integer PRIMARY KEY, "the mood" mood, mood mood);
		CREATE TABLE plain (id integer PRIMARY KEY, state text)`)
	for table, want := range map[string]string{"Odd": `mood != "sad"; `, "plain": `state != "draft"; `} {
		p, err := Make(t.Context(), db, Options{Source: "x", Tables: []string{table}})
		if err != nil || !strings.Contains(p.Text, "    #   "+want) {
			t.Errorf("%s: no %q in\n%s\n%v", table, want, p.Text, err)
		}
	}
}

// What types can be keys, PostgreSQL alone knows: a table that has others is no
// root, and no relation goes by them.
func TestProposedKeysCanBeKeys(t *testing.T) {
	t.Parallel()
	db := open(t, "postgres", `CREATE TABLE "Kunden" (id integer PRIMARY KEY); CREATE TABLE kunden (id integer PRIMARY KEY);`+onPostgres)
	for table, refused := range map[string]string{
		"sales.terms":       "the column every of its primary key is of type interval, which can be no key: it has no one way to be written",
		"sales.boxes":       "the column sizes of its primary key is of type integer[], which can be no key: it holds many values, not one",
		"sales.readings":    "",
		"sales.offers":      "",
		`"sales"."Order"`:   "",
		`"sales".items`:     "",
		`"public".Kunden`:   "",
		`"public"."Kunden"`: "",
		`public.KUNDEN`:     "it may be any of: ",
		`"Sales Dep."`:      `there are: `,
		`sales."nonsense"`:  `there are: `,
	} {
		p, err := Make(t.Context(), db, Options{Source: "x", Tables: []string{table}})
		if refused != "" {
			if err == nil || !strings.Contains(err.Error(), refused) {
				t.Errorf("%s: %v, want %q", table, err, refused)
			}
			continue
		}
		check(t, err)
		f, err := config.Parse("upkeep.yaml", []byte(p.Text), func(string) (string, bool) { return "", false })
		check(t, err)
		remotes, err := f.Open(connectors)
		check(t, err)
		mappings, errs := f.Mappings(t.Context(), db, remotes)
		check(t, errors.Join(errs...))
		var syncs []upkeep.AnySync
		for _, m := range mappings {
			syncs = append(syncs, m)
		}
		e, err := upkeep.New(upkeep.Config{Database: db, Syncs: syncs})
		check(t, err)
		findings, err := e.Check(t.Context())
		check(t, err)
		for _, f := range findings {
			if f.Severity == upkeep.Problem {
				t.Errorf("%s: %+v\n%s", table, f, p.Text)
			}
		}
	}
}

func TestNamesKeepTheirLetters(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"Größe": "Grosse", "Straße": "Strasse", "numéro d'été": "numero_d_ete", "Łódź": "Lodz", "Ærø": "AEro",
		"ﬁrst": "first", "e\u0301t": "et", "заказы": "other", "2nd": "other_2nd", "a--b": "a_b"} {
		if got := slug(name, "other"); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestSecretsAreNotProposed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"pwd": true, "user_pwd": true, "pw": true, "passwd": true, "Passwort": true, "password_digest": true, "token": true, "accessToken": true,
		"client_secret": true, "api_key": true, "ApiKey": true, "ssn": true, "hash": true, "pw_hash": true, "passhash": true, "hashed_answer": true, "salt": true, "pin": true, "pin_code": true,
		"cvc": true, "totp": true, "iban": true, "access_key": true,
		"hashtag": true, // rather one too many
		"name":    false, "email": false, "key": false, "passenger": false, "basalt_grade": false, "spin": false, "pinned": false, "opinion": false, "description": false, "power": false} {
		if got := secretive.MatchString(name); got != want {
			t.Errorf("%s looks like a secret: %v, want %v", name, got, want)
		}
	}
}

func TestSourcesHoldNoPassword(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source string
		env    bool
		want   string
	}{
		{"sqlite:shop.db", false, "sqlite:shop.db"},
		{"sqlite:shop.db", true, "${DATABASE_URL:-sqlite:shop.db}"},
		{"sqlite:my $shop's.db", false, "'sqlite:my $$shop''s.db'"},
		{"sqlite:a}b.db", true, "sqlite:a}b.db"},
		{"postgres://ada@db.example/shop", false, "postgres://ada@db.example/shop"},
		{"postgres://ada:canary@db.example/shop?sslmode=require", false, "${DATABASE_URL:-postgres://ada@db.example/shop?sslmode=require}"},
		{"postgres://db.example/shop?user=ada&password=canary", true, "${DATABASE_URL:-postgres://db.example/shop?user=ada}"},
		{"postgres://ada:can%ary@db.example/shop", true, "${DATABASE_URL:-postgres://user@host/database}"},
	} {
		got, notes := Source(c.source, c.env)
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.source, got, c.want)
		}
		if said := strings.Contains(strings.Join(notes, " "), "password is not in this file"); said != strings.Contains(c.source, "ary") {
			t.Errorf("%s: says that a password is missing: %v", c.source, said)
		}
	}
}

// Rows that the application only marks as deleted are not made at the remote.
func TestRowsThatAreMarkedAsDeleted(t *testing.T) {
	t.Parallel()
	db := open(t, "sqlite", `CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, deleted_at TEXT, removed_on TEXT NOT NULL)`)
	p, err := Make(t.Context(), db, Options{Source: "sqlite:shop.db"})
	check(t, err)
	if !strings.Contains(p.Text, "    when: deleted_at == nil\n    # when_false: delete") {
		t.Errorf("no condition:\n%s", p.Text)
	}
	compiles(t, db, p.Text, true)
}
