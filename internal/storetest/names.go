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
		{"names that the generated SQL uses", testNamesInUse},
		{"names that begin like those of the generated SQL", testOwnNames},
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
	if _, _, err := e.Store.Load(e.ctx, depot, []string{"eu"}); err == nil {
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

// inUse are names that statements of the stores give to tables, to columns of
// subqueries and to variables, or gave once.
const inUse = `a c changed clock f failed found found0 g gone groups h h0 hits j k k0 k1 key known l l0 l1 log0 moved n new now o old p page
	place position q r raised root s t t0 t1 there v value w`

// Tables and columns that are called like what stands beside them in the
// generated SQL: as the root, above and below it, in links, keys, fragments and
// aggregates, in all that reads the user's tables.
func testNamesInUse(e *env) {
	testNames(e, strings.Fields(inUse), func(name string) string { return name })
}

// own are names that the stores choose for what no name of the user's begins like.
const own = `upkeep_0 upkeep_c upkeep_k0 upkeep_key upkeep_l0 upkeep_list upkeep_n upkeep_o upkeep_p upkeep_p1 upkeep_place upkeep_v upkeep_values UPKEEP_KEY2 upkeep2_p`

func testOwnNames(e *env) {
	if e.Reserved {
		e.exec(`CREATE TABLE upkeep_mine (id INTEGER PRIMARY KEY)`)
		if _, err := e.Store.Table(e.ctx, store.Table{Name: "upkeep_mine"}); err == nil || !strings.Contains(err.Error(), "names that begin with upkeep_ are the registry's") {
			e.t.Errorf("a table of the user's that is called like the registry's: %v", err)
		}
	}
	testNames(e, strings.Fields(own), func(name string) string {
		if e.Reserved {
			return "t " + name
		}
		return name
	})
}

// testNames has tables called so, each with columns of the same name.
func testNames(e *env, names []string, called func(name string) string) {
	var install []*store.Shape
	type triple struct{ down, up, command *store.Shape }
	shapes := map[string]triple{}
	for _, n := range names {
		q, table, beside := quoteName(n), called(n), called(n+"_beside")
		e.exec(`CREATE TABLE `+quoteName(table)+` (`+q+` INTEGER PRIMARY KEY, "up" INTEGER, val INTEGER)`,
			`CREATE TABLE `+quoteName(beside)+` (no INTEGER PRIMARY KEY, fk INTEGER, `+q+` INTEGER)`)
		down := func(sync string) *store.Shape {
			s := e.root(sync, table, n)
			rows := e.add(s.Root, link{rel: store.HasMany, name: "the rows", table: beside, via: []string{"fk"},
				where: q + ` > 0`, order: q + ` DESC`, sums: []string{n}, counting: true}, "no")
			e.add(rows, link{rel: store.BelongsTo, name: "the row", table: table, via: []string{n}}, "val")
			e.add(s.Root, link{rel: store.HasOne, name: "the first", table: beside, via: []string{n}, order: q}, "no")
			return s
		}
		up := e.root("up "+n, beside, "no")
		e.add(up.Root, link{rel: store.BelongsTo, name: "above", table: table, via: []string{"fk"}}, n, "val")
		e.add(up.Root, link{rel: store.BelongsTo, name: "other", table: table, via: []string{n}}, "val")
		e.add(up.Root, link{rel: store.HasMany, name: "ups", table: table, via: []string{"up"}, where: q + ` > 0`, order: q + ` DESC`, noRows: true, sums: []string{n}})
		shapes[n] = triple{down("down " + n), up, byCommand(down("command " + n))}
		install = append(install, shapes[n].down, up, shapes[n].command)
	}
	e.install(install...)
	for _, n := range names {
		e.exec(`INSERT INTO `+quoteName(called(n))+` VALUES (1, 11, 5), (2, 11, 6)`,
			`INSERT INTO `+quoteName(called(n+"_beside"))+` VALUES (10, 1, 2), (11, 1, 1), (12, 1, 0)`)
	}
	e.raised()
	for _, n := range names {
		e.t.Run(n, func(t *testing.T) {
			sub, s, q, table, beside := *e, shapes[n], quoteName(n), quoteName(called(n)), quoteName(called(n+"_beside"))
			sub.t, sub.shapes = t, []*store.Shape{shapes[n].down, shapes[n].up}
			want := store.Row{n: int64(1), "the rows_count": int64(2), "the rows_sum_" + n: dec("3"), "the first": store.Row{"no": int64(11)},
				"the rows": []store.Row{{"no": int64(10), "the row": store.Row{"val": int64(6)}}, {"no": int64(11), "the row": store.Row{"val": int64(5)}}}}
			same(t, "down", sub.one(s.down, "1"), want)
			same(t, "up", sub.one(s.up, "11"), store.Row{"no": int64(11), "above": store.Row{n: int64(1), "val": int64(5)},
				"other": store.Row{"val": int64(5)}, "ups_sum_" + n: dec("3")})
			sub.append(s.command, "1")
			payload := store.DecodePayload(s.command, sub.next("command "+n+"/1").Payload)
			sub.ok(payload.Err)
			sub.equal("payload", fmtAny(payload.Row), fmtAny(sub.one(s.down, "1")))
			keys, _, err := sub.Store.Keys(sub.ctx, s.down, "", 10)
			sub.ok(err)
			sub.equal("keys", keys, []string{"1", "2"})
			spelled, err := sub.Store.Canonical(sub.ctx, s.down, []string{" 01"})
			sub.ok(err)
			sub.equal("spelled", spelled, map[string]string{" 01": "1"})
			for _, change := range []struct {
				sql    string
				raised []string
			}{
				{`UPDATE ` + table + ` SET val = 7 WHERE ` + q + ` = 2`, []string{"down " + n + "/1", "up " + n + "/10"}},
				{`UPDATE ` + beside + ` SET ` + q + ` = 2 WHERE no = 12`, []string{"down " + n + "/1", "down " + n + "/2", "up " + n + "/12"}},
				{`DELETE FROM ` + table + ` WHERE ` + q + ` = 2`, []string{"down " + n + "/1", "down " + n + "/2", "up " + n + "/10", "up " + n + "/11", "up " + n + "/12"}},
			} {
				before := sub.generations(change.raised)
				sub.exec(change.sql)
				_, raised := sub.fold()
				sub.equal("groups raised by "+change.sql, raised, len(change.raised))
				for id, g := range sub.generations(change.raised) {
					if g <= before[id] {
						t.Errorf("%s did not raise %s", change.sql, id)
					}
				}
			}
			sub.ok(sub.Store.StartBackfill(sub.ctx, s.down.Sync, "", true, true))
			for more := true; more; {
				more, err = sub.Store.Backfill(sub.ctx, s.down, 1)
				sub.ok(err)
			}
		})
	}
}

// generations are those of some groups.
func (e *env) generations(ids []string) map[string]int64 {
	e.t.Helper()
	all := map[string]int64{}
	for _, s := range ids {
		all[s] = e.group(s).Generation
	}
	return all
}
