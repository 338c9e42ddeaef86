package sqlite_test

import (
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// What may say something else of a row that is the same is refused: no trigger
// sees it.
func TestFragmentsThatChangeByThemselves(t *testing.T) {
	t.Parallel()
	b := newBench(t, plainParent, plainChild)
	b.exec(`CREATE TABLE lent (id INTEGER PRIMARY KEY, until TEXT, note TEXT)`)
	take := func(fragment string) (where, order error) {
		_, where = b.d.Fragment(t.Context(), store.Table{Name: "lent"}, fragment, "")
		_, order = b.d.Fragment(t.Context(), store.Table{Name: "lent"}, "", "id, "+fragment+" DESC")
		return where, order
	}
	for _, c := range []struct{ fragment, message string }{
		{`until > current_timestamp`, "what time it is (current_timestamp)"},
		{`until > CURRENT_DATE`, "what time it is (current_date)"},
		{`until > current_time`, "what time it is (current_time)"},
		{`until > datetime('now')`, "what time it is (datetime of 'now')"},
		{`until > DateTime ( 'Now' )`, "what time it is (datetime of 'now')"},
		{`until > "date"('now', '-1 day')`, "what time it is (date of 'now')"},
		{`until > date(coalesce(NULL, ('now')))`, "what time it is (date of 'now')"},
		{`until > date(/* ) */ 'now')`, "what time it is (date of 'now')"},
		{`until > datetime()`, "what time it is (datetime without a time)"},
		{`until > strftime('%Y')`, "what time it is (strftime without a time)"},
		{`until > strftime('%Y', 'now')`, "what time it is (strftime of 'now')"},
		{`julianday(until) > julianday('now')`, "what time it is (julianday of 'now')"},
		{`unixepoch(until) > unixepoch('subsec')`, "what time it is (unixepoch of 'subsec')"},
		{`until > time('now')`, "what time it is (time of 'now')"},
		{`timediff(until, 'now') > 1`, "what time it is (timediff of 'now')"},
		{`date(until, 'localtime') > '2026'`, "time zone of the machine (date with 'localtime')"},
		{`datetime(until, 'utc') > '2026'`, "time zone of the machine (datetime with 'utc')"},
		{`id > random()`, "random"},
		{`note = randomblob(3)`, "randomblob"},
		{`id = last_insert_rowid()`, "last_insert_rowid"},
		{`id = changes()`, "changes"},
		{`note = sqlite_version()`, "sqlite_version"},
	} {
		where, order := take(c.fragment)
		for clause, err := range map[string]error{"where": where, "order": order} {
			if err == nil || !strings.Contains(err.Error(), c.message) {
				t.Errorf("%s %s: %v, want an error with %q", clause, c.fragment, err, c.message)
			}
		}
	}
	for _, fragment := range []string{
		`until > '2026-01-01'`, `date(until) > '2026'`, `date(until, '-1 day', 'start of month') > date('2026-01-01')`, `strftime('%Y', until) = '2026'`,
		`note = 'now'`, `note IN ('date(''now'')')`, `unixepoch(until, 'subsec') > 1`, `date(until) > '2026' AND note <> 'now'`, `lower(note) LIKE 'x%'`,
		`coalesce(abs(id), round(1.5)) > length(note)`, `"note" = 'x' -- not date('now')`, `substr(note, 1, 2) GLOB 'a*'`, `note ->> '$.a' = 'now'`, `iif(id > 1, 'now', 'utc') = note`,
	} {
		where, order := take(fragment + "\n")
		if where != nil || order != nil {
			t.Errorf("%s: %v; %v", fragment, where, order)
		}
	}
}
