package postgres_test

import (
	"testing"
)

// What may say something else of a row that is the same is refused: no trigger
// sees it.
func TestFragmentsThatChangeByThemselves(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TYPE mood AS ENUM ('now', 'later')`, `CREATE SCHEMA sales`,
		`CREATE FUNCTION nightly(timestamptz) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > now()'`,
		`CREATE FUNCTION opaque(timestamptz) RETURNS bool LANGUAGE sql STABLE AS 'SELECT $1 > now()'`,
		`CREATE FUNCTION before(timestamptz, int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT $1 > now()'`,
		`CREATE OPERATOR <<< (LEFTARG = timestamptz, RIGHTARG = int, FUNCTION = before)`,
		`CREATE TABLE t (id int PRIMARY KEY, at timestamptz, local timestamp, d date, owner text COLLATE "C", note varchar(20), m mood, n numeric, j json, span tstzrange, "desc" int)`,
		`CREATE TABLE sales.t (LIKE t)`)
	before := b.objects(t)
	for _, c := range []struct{ fragment, message string }{
		{`at > now()`, "what time it is (now())"},
		{`at > transaction_timestamp()`, "what time it is (transaction_timestamp())"},
		{`at > statement_timestamp()`, "what time it is (statement_timestamp())"},
		{`at > clock_timestamp()`, "what time it is (clock_timestamp())"},
		{`owner = timeofday()`, "what time it is (timeofday())"},
		{`age(local) > '1 day'`, "what time it is (age(timestamp without time zone))"},
		{`d > current_date`, "what time it is (CURRENT_DATE)"},
		{`local > LocalTimestamp`, "what time it is (LOCALTIMESTAMP)"},
		{`local > localtimestamp(0)`, "what time it is (LOCALTIMESTAMP)"},
		{`at > current_timestamp`, "what time it is (CURRENT_TIMESTAMP)"},
		{`local::time > localtime`, "what time it is (LOCALTIME)"},
		{`local::time > current_time::time`, "what time it is (CURRENT_TIME)"},
		{`at > 'now'`, "what time it is ('now')"},
		{`d BETWEEN 'today' AND 'Tomorrow'`, "what time it is ('today')"},
		{`d = ANY ('{yesterday}')`, "what time it is ('yesterday')"},
		{`d = $$today$$::date`, "what time it is ('today')"},
		{`span && '[now,)'`, "what time it is ('now')"},
		{`owner = current_user`, "about the session (CURRENT_USER)"},
		{`owner = session_user`, "about the session (SESSION_USER)"},
		{`owner = user`, "about the session (USER)"},
		{`owner = current_role`, "about the session (CURRENT_ROLE)"},
		{`owner = current_schema`, "about the session (CURRENT_SCHEMA)"},
		{`owner = current_catalog`, "about the session (CURRENT_CATALOG)"},
		{`owner = current_setting('my.tenant')`, "it calls current_setting(text)"},
		{`id = pg_backend_pid()`, "it calls pg_backend_pid()"},
		{`n > random()`, "it calls random()"},
		{`opaque(at)`, "it calls opaque(timestamp with time zone)"},
		{`at <<< 1`, "it calls before(timestamp with time zone,integer)"},
		{`at::date > '2026-01-01'`, "it calls date(timestamp with time zone)"},
		{`current_date > at`, "what time it is (CURRENT_DATE)"},
		{`at - interval '1 day' > now()`, "what time it is (now())"},
		{`at > d`, "(timestamp with time zone,date)"},
		{`at + interval '1 day' > '2026-01-01'`, "timestamptz_pl_interval"},
		{`to_char(at, 'YYYY') = '2026'`, "it calls to_char(timestamp with time zone,text)"},
		{`at = ANY (ARRAY[d])`, "timestamptz_eq_date"},
		{`note::timestamptz > '2026-01-01'`, "a cast in it"},
		{`'now'::text::date < d`, "a cast in it"},
		{`at::text LIKE '2026%'`, "a cast in it"},
		{`d::text LIKE '2026%'`, "a cast in it"},
		{`m::text = 'later'`, "a cast in it"},
		{`ARRAY[note]::date[] = ARRAY[d]`, "a cast in it"},
	} {
		_, err := b.db.Fragment(b.ctx, table("t"), c.fragment, "")
		if err == nil {
			t.Errorf("where %s is taken", c.fragment)
			continue
		}
		mustFail(t, err, c.message)
		_, err = b.db.Fragment(b.ctx, table("t"), "", "id, ("+c.fragment+") DESC NULLS LAST")
		if err == nil {
			t.Errorf("order by %s is taken", c.fragment)
			continue
		}
		mustFail(t, err, c.message)
	}
	for _, fragment := range []string{
		`at > '2026-01-01'`, `d >= DATE '2026-01-01'`, `(at AT TIME ZONE 'Europe/Rome')::date > '2026-01-01'`, `local + '1 day' > '2026-01-01'`,
		`owner = 'now'`, `note IN ('now', 'today')`, `m = 'now'`, `m IN ('now', 'later')`, `owner ~ '^now\M'`, `lower(note) || owner LIKE 'a%'`, `id::text = '1'`,
		`nightly(at)`, // its owner's word
		`j ->> 'now' = 'today' -- now and today, it's said`, `round(n, 2) > 1.5`, `"desc" IS DISTINCT FROM 1`,
		`extract(year FROM local) = 2026`, `date_trunc('day', local) = local`, `coalesce(greatest(id, n), 0) > 1`, `t.at > 'infinity'`,
	} {
		for _, in := range []string{"t", "sales.t"} {
			tbl := table("t")
			if in == "sales.t" {
				tbl.Schema = "sales"
			}
			if _, err := b.db.Fragment(b.ctx, tbl, fragment, ""); err != nil {
				t.Errorf("where %s of %s: %v", fragment, in, err)
			}
			if _, err := b.db.Fragment(b.ctx, tbl, "", fragment+"\n, id"); err != nil {
				t.Errorf("order by %s of %s: %v", fragment, in, err)
			}
		}
	}
	if after := b.objects(t); len(after) != len(before) {
		t.Errorf("something is left behind: %v", after[len(before):])
	}
}
