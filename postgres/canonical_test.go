package postgres_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A key whose domain raises an error takes no other with it; a domain that raises
// one whatever it is asked is an error, and says nothing of the keys.
func TestCanonicalKeysOfADomainThatRaises(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.migrate()
	const refuses = `CREATE OR REPLACE FUNCTION fine(v text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF %s THEN RAISE 'no idea'; END IF; RETURN true; END $$`
	raises := func(when string) { b.exec(fmt.Sprintf(refuses, when)) }
	raises("v = 'bad'")
	b.exec(`CREATE DOMAIN odd AS text CHECK (fine(value))`, `CREATE TABLE t (id odd PRIMARY KEY, v text)`)
	s := b.shape("s", store.Table{Name: "t"}, "v")
	for _, test := range []struct {
		when string
		keys []string
		want []string // nil: an error
	}{
		{"v = 'bad'", []string{"1", "bad", "2", "3"}, []string{"1", "2", "3"}},
		{"v = 'bad'", []string{"bad"}, []string{}},
		{"true", []string{"1", "2"}, nil},
	} {
		raises(test.when)
		found, err := b.db.Canonical(b.ctx, s, test.keys)
		if got := slices.Sorted(maps.Keys(found)); (err != nil) != (test.want == nil) || err == nil && !slices.Equal(got, test.want) {
			t.Errorf("%v, where %s raises: %v, %v", test.keys, test.when, got, err)
		}
	}
}
