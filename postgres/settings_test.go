package postgres_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/postgres"
)

// A place in a table that one process has written is read by another.
func TestPlaceUnderSettings(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (at timestamp, d date, z timestamptz, v text, PRIMARY KEY (at, d, z))`,
		`INSERT INTO t SELECT '2026-01-01'::timestamp + n * '1 day'::interval, '2026-01-01'::date + n, '2026-01-01'::timestamptz + n * '1 day'::interval, 'x,y\z' FROM generate_series(1, 60) n`)
	b.migrate()
	s := b.shape("s", table("t"), "v")
	b.install(s)
	config, err := pgxpool.ParseConfig(b.url)
	b.ok(err)
	config.ConnConfig.RuntimeParams["datestyle"], config.ConnConfig.RuntimeParams["timezone"] = "German", "Asia/Kathmandu"
	pool, err := pgxpool.NewWithConfig(b.ctx, config)
	b.ok(err)
	t.Cleanup(pool.Close)
	b.ok(b.db.StartBackfill(b.ctx, "s", "1", false, false))
	both := []*postgres.DB{b.db, postgres.New(pool)}
	for n := 0; ; n++ {
		more, err := both[n%2].Backfill(b.ctx, s, 7)
		b.ok(err)
		if !more {
			break
		}
	}
	groups, err := b.db.Groups(b.ctx, "s", "", store.ID{}, 100)
	b.ok(err)
	if len(groups) != 60 {
		t.Errorf("%d groups, want 60", len(groups))
	}
	var all []string
	for n, next := 0, ""; n == 0 || next != ""; n++ {
		var keys []string
		keys, next, err = both[n%2].Keys(b.ctx, s, next, 7)
		b.ok(err)
		all = append(all, keys...)
	}
	if len(all) != 60 || all[0] != `2026-01-02 00:00:00,2026-01-02,2026-01-02 00:00:00.000000+00` {
		t.Errorf("%d keys, want 60; the first is %s", len(all), all[0])
	}
}

// What is sent does not depend on the settings of the sessions, wherever these
// come from: two processes with other settings would send each record in turn.
func TestSettings(t *testing.T) {
	t.Parallel()
	odd := map[string]string{"IntervalStyle": "sql_standard", "DateStyle": "German, DMY", "TimeZone": "Asia/Kathmandu", "extra_float_digits": "-3",
		"bytea_output": "escape", "standard_conforming_strings": "off", "backslash_quote": "off"}
	b := newBench(t)
	b.exec(`CREATE TABLE t (at timestamp PRIMARY KEY, iv interval, ivs interval[], d date, days date[], span tsrange, zoned tstzrange, tz timestamptz, tzs timestamptz[],
			f float8, fs float8[], by bytea, bys bytea[], tod timetz, j jsonb, "it's \odd" text)`,
		`INSERT INTO t VALUES ('2026-02-03 04:05:06.7', '1 year 2 days -03:04:05', '{1 day}', '2026-02-03', '{2026-02-03}', '[2026-02-03 04:05, 2026-03-04)',
			'[2026-02-03 04:05+02, 2026-03-04+02)', '2026-02-03 04:05+02', '{2026-02-03 04:05+02}', 0.1, '{0.1,123456.789012345678}', '\x00ff61', array['\x00ff61'::bytea],
			'04:05:06+02', '{"at": "x"}', 'a\b')`)
	b.migrate()
	s := b.shape("s", table("t"), "at", "iv", "ivs", "d", "days", "span", "zoned", "tz", "tzs", "f", "fs", "by", "bys", "tod", "j", `it's \odd`)
	b.install(s)
	keys, _, err := b.db.Keys(b.ctx, s, "", 10)
	b.ok(err)
	if want := []string{"2026-02-03 04:05:06.7"}; !reflect.DeepEqual(keys, want) {
		t.Fatalf("keys %q, want %q", keys, want)
	}
	want, _, err := b.db.Load(b.ctx, s, keys)
	b.ok(err)
	for column, text := range map[string]string{"iv": "1 year 2 days -03:04:05", "span": `["2026-02-03 04:05:00","2026-03-04 00:00:00")`, "fs": "{0.1,123456.78901234567}"} {
		if got := want[keys[0]].Row[column]; got != text {
			t.Errorf("%s is %q, want %q", column, got, text)
		}
	}

	config, err := pgxpool.ParseConfig(b.url)
	b.ok(err)
	for name, value := range odd {
		config.ConnConfig.RuntimeParams[name] = value
	}
	pool, err := pgxpool.NewWithConfig(b.ctx, config)
	b.ok(err)
	t.Cleanup(pool.Close)
	database := b.query(`SELECT current_database()`)[0]
	for name, value := range odd {
		b.exec(fmt.Sprintf(`ALTER ROLE postgres IN DATABASE %s SET %s = '%s'`, database, name, value))
	}
	ours, err := pgxpool.New(b.ctx, b.url)
	b.ok(err)
	t.Cleanup(ours.Close)
	for name, db := range map[string]*postgres.DB{"Open": open(t, b.url), "New with parameters of the pool": postgres.New(pool), "New with settings of the role": postgres.New(ours)} {
		own, _, err := db.Keys(b.ctx, s, "", 10)
		b.ok(err)
		if !reflect.DeepEqual(own, keys) {
			t.Errorf("%s: keys %q, want %q", name, own, keys)
		}
		got, _, err := db.Load(b.ctx, s, keys)
		b.ok(err)
		for column, v := range want[keys[0]].Row {
			if have := got[keys[0]].Row[column]; !reflect.DeepEqual(have, v) {
				t.Errorf("%s: %s is %v, want %v", name, column, have, v)
			}
		}
		spelled, err := db.Canonical(b.ctx, s, []string{"2026-02-03T04:05:06.700"})
		b.ok(err)
		if got := spelled["2026-02-03T04:05:06.700"]; got != keys[0] {
			t.Errorf("%s: spelled %q", name, got)
		}
		b.exec(`UPDATE t SET "it's \odd" = 'c'`, `UPDATE t SET "it's \odd" = 'a\b'`)
		odd := *b
		odd.db = db
		odd.folds(1, name, s)
		if groups, err := db.Groups(b.ctx, "s", "", store.ID{}, 10); err != nil || len(groups) != 1 || groups[0].Key != keys[0] {
			t.Errorf("%s: groups %+v, %v", name, groups, err)
		}
	}
}

// Our transactions are not serializable where the database's are by default: the
// application's, which append to the log that we read, could fail because of them.
func TestOurIsolation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text)`, `INSERT INTO t SELECT n, 'v' FROM generate_series(1, 5) n`)
	b.migrate()
	s := b.shape("s", table("t"), "v")
	b.install(s)
	b.exec(`CREATE FUNCTION strict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF current_setting('transaction_isolation') <> 'read committed' THEN
				RAISE EXCEPTION '% at level %', TG_TABLE_NAME, current_setting('transaction_isolation');
			END IF;
			RETURN NULL;
		END $$`)
	for _, own := range []string{"groups", "syncs", "attempts", "touch"} {
		b.exec(fmt.Sprintf(`CREATE TRIGGER strict AFTER INSERT OR UPDATE OR DELETE ON upkeep.%s EXECUTE FUNCTION strict()`, own))
	}
	b.exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database()); END $$`)
	pool, err := pgxpool.New(b.ctx, b.url)
	b.ok(err)
	t.Cleanup(pool.Close)
	for name, db := range map[string]*postgres.DB{"Open": open(t, b.url), "New": postgres.New(pool)} {
		b.exec(`UPDATE t SET v = v || 'w'`)
		ok := func(what string, err error) {
			if err != nil {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		_, err := db.Fold(b.ctx, []*store.Shape{s}, plan, 100)
		ok("fold", err)
		claims, err := db.Claim(b.ctx, store.ClaimRequest{Holder: "w", Lease: time.Minute, Limit: 10, Syncs: []store.ClaimSync{{Sync: "s"}}})
		ok("claim", err)
		if len(claims) != 5 {
			t.Errorf("%s: %d claims", name, len(claims))
		}
		var results []store.Result
		for _, c := range claims {
			results = append(results, store.Result{ID: c.ID, Epoch: c.Epoch, Generation: c.Generation, Outcome: store.Synced, RemoteID: "r" + c.Key,
				Attempt: &store.Attempt{Action: "create", Outcome: "ok"}, Calls: 1})
		}
		_, err = db.Record(b.ctx, results, nil)
		ok("record", err)
		if name == "Open" { // over a program's pool it is one statement, which reads nothing
			ok("append", db.Append(b.ctx, nil, []store.Touch{{ID: store.ID{Sync: "s", Key: "1"}, Force: true}}))
		}
	}
}
