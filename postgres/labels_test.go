package postgres_test

import (
	"reflect"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// What the catalogue says of the texts that a column can hold; of what it says in
// another form, or not of every row, nothing is known.
func TestPossibleValues(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE EXTENSION citext`, `CREATE SCHEMA own`, `CREATE TYPE own.state AS ENUM ('new', 'it''s, "done"')`, `CREATE DOMAIN state AS own.state NOT NULL`,
		`ALTER TYPE own.state ADD VALUE 'old' BEFORE 'new'`,
		`CREATE TABLE t (id int PRIMARY KEY, e own.state, "Odd one" state,
			c text CHECK (c IN ('a', 'it''s (b), ''x''::text')), v varchar(9) CHECK (v IN ('a', 'b')), "C d" text CHECK ("C d" = ANY (ARRAY['a', 'b'])),
			not_in text CHECK (not_in NOT IN ('a', 'b')), more text CHECK (more IN ('a', 'b') OR more LIKE 'x%'), ci citext CHECK (ci IN ('a', 'b')),
			lower_c text CHECK (lower(lower_c) IN ('a', 'b')), slash text CHECK (slash IN ('a\b', 'c')), padded char(3) CHECK (padded IN ('a', 'b')),
			number int CHECK (number IN (1, 2)), list own.state[], two text, CHECK (two IN ('a', c)), late text, mine text CHECK (mine IN ('a', 'b')) NO INHERIT)`,
		`ALTER TABLE t ADD CHECK (late IN ('a', 'b')) NOT VALID`)
	info, err := b.db.Table(b.ctx, store.Table{Name: "t"})
	b.ok(err)
	state := []string{"old", "new", `it's, "done"`}
	want := map[string][]string{"e": state, "Odd one": state, "c": {"a", "it's (b), 'x'::text"}, "v": {"a", "b"}, "C d": {"a", "b"}}
	if !reflect.DeepEqual(info.Values, want) {
		t.Errorf("got\n%q, want\n%q", info.Values, want)
	}
	if want := map[string]bool{"e": true, "Odd one": true}; !reflect.DeepEqual(info.Enums, want) {
		t.Errorf("enums %v, want %v", info.Enums, want)
	}
}
