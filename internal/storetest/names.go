package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func nameTests() []test {
	return []test{
		{"odd names", testOddNames},
		{"composite keys", testCompositeKeys},
		{"long names that differ at the end", testLongNames},
	}
}

// quoteName quotes an identifier in standard SQL.
func quoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// quoteText quotes a text in standard SQL.
func quoteText(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }

func testOddNames(e *env) {
	for i, name := range []string{`order`, `with space`, `quo"te`, `apo'strophe`, `Mixed Case`, `naïve ☕`, `select`, `a.b`, `semi;colon--`,
		`back\slash`, `per%cent $1 ?`, strings.Repeat("x", 63)} {
		e.t.Run(name, func(t *testing.T) {
			sub := *e
			sub.t = t
			sync := fmt.Sprint("odd", i)
			table, child, col, fk := quoteName(name), quoteName("c"+name[:min(len(name), 60)]), quoteName(name), quoteName("f"+name[:min(len(name), 60)])
			sub.exec(`CREATE TABLE `+table+` (id INTEGER PRIMARY KEY, `+col+` TEXT, other TEXT)`,
				`CREATE TABLE `+child+` (id INTEGER PRIMARY KEY, `+fk+` INTEGER, `+col+` TEXT)`)
			s := sub.root(sync, name, name)
			sub.add(s.Root, link{rel: store.HasMany, name: name, table: "c" + name[:min(len(name), 60)], via: []string{"f" + name[:min(len(name), 60)]},
				where: col + ` IS NOT NULL`, order: col}, name)
			sub.install(s)
			sub.exec(`INSERT INTO `+table+` VALUES (1, 'a', 'b')`, `INSERT INTO `+child+` VALUES (1, 1, 'x'), (2, 1, NULL)`)
			sub.wantRaised(sync + "/1")
			sub.exec(`UPDATE ` + table + ` SET other = 'c'`)
			sub.wantRaised()
			sub.exec(`UPDATE ` + table + ` SET ` + col + ` = 'c'`)
			sub.wantRaised(sync + "/1")
			sub.exec(`UPDATE ` + child + ` SET ` + col + ` = 'y' WHERE id = 1`)
			sub.wantRaised(sync + "/1")
			if name == s.Root.Members[0].Name { // the relation takes the column's name in the row: load the member alone
				s.Root.Members[0].Name = "members"
			}
			same(t, "row", sub.one(s, "1"), store.Row{name: "c", "members": []store.Row{{name: "y"}}})
		})
	}
}

func testCompositeKeys(e *env) {
	e.exec(`CREATE TABLE depots (region TEXT NOT NULL, no INTEGER NOT NULL, name TEXT, PRIMARY KEY (region, no))`,
		`CREATE TABLE bins (depot_region TEXT, depot_no INTEGER, slot INTEGER NOT NULL, label TEXT NOT NULL, n INTEGER, PRIMARY KEY (label, slot),
			FOREIGN KEY (depot_region, depot_no) REFERENCES depots (region, no))`)
	depot := e.root("depot", "depots", "name")
	e.add(depot.Root, link{rel: store.HasMany, name: "bins", table: "bins", via: []string{"depot_region", "depot_no"}, order: "slot"}, "n")
	bin := e.root("bin", "bins", "n")
	e.add(bin.Root, link{rel: store.BelongsTo, name: "depot", table: "depots", via: []string{"depot_region", "depot_no"}}, "name")
	e.install(depot, bin)
	e.exec(`INSERT INTO depots VALUES ('eu', 1, 'one'), ('eu', 2, 'two'), ('a,b\', 3, 'odd')`,
		`INSERT INTO bins VALUES ('eu', 1, 1, 'A', 10), ('eu', 1, 2, 'A', 20), ('a,b\', 3, 1, 'B', 30), (NULL, 3, 1, 'C', 40)`)
	e.wantRaised(`depot/eu,1`, `depot/eu,2`, `depot/a\,b\\,3`, `bin/A,1`, `bin/A,2`, `bin/B,1`, `bin/C,1`)
	same(e.t, "depot", e.one(depot, "eu,1"), store.Row{"name": "one", "bins": []store.Row{{"n": int64(10)}, {"n": int64(20)}}})
	same(e.t, "odd depot", e.one(depot, `a\,b\\,3`), store.Row{"name": "odd", "bins": []store.Row{{"n": int64(30)}}})
	same(e.t, "bin", e.one(bin, "B,1"), store.Row{"n": int64(30), "depot": store.Row{"name": "odd"}})
	same(e.t, "bin of half a reference", e.one(bin, "C,1"), store.Row{"n": int64(40), "depot": nil})
	e.exec(`UPDATE bins SET depot_no = 2 WHERE label = 'A' AND slot = 1`)
	e.wantRaised("bin/A,1", "depot/eu,1", "depot/eu,2")
	e.exec(`UPDATE depots SET name = 'x' WHERE region = 'a,b\'`)
	e.wantRaised(`depot/a\,b\\,3`, "bin/B,1")
	e.exec(`UPDATE bins SET slot = 9 WHERE label = 'B'`)
	e.wantRaised(`depot/a\,b\\,3`, "bin/B,1", "bin/B,9")
	e.equal("DeleteSeen of the old key", e.group("bin/B,1").DeleteSeen, true)
	if _, err := e.Store.Load(e.ctx, depot, []string{"eu"}); err == nil {
		e.t.Error("half a key was loaded")
	}
}

func testLongNames(e *env) {
	long := strings.Repeat("n", 62)
	var shapes []*store.Shape
	for _, end := range []string{"a", "b"} {
		e.exec(`CREATE TABLE ` + long + end + ` (id INTEGER PRIMARY KEY, v TEXT)`)
		shapes = append(shapes, e.root("long_"+end, long+end, "v"))
	}
	e.install(shapes...)
	for _, end := range []string{"a", "b"} {
		e.exec(`INSERT INTO ` + long + end + ` VALUES (1, 'x')`)
		e.wantRaised("long_" + end + "/1")
		e.exec(`UPDATE ` + long + end + ` SET v = 'y'`)
		e.wantRaised("long_" + end + "/1")
		e.exec(`DELETE FROM ` + long + end)
		e.wantRaised("long_" + end + "/1")
	}
}
