package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/postgres"
)

// What columns are computed from is found in the catalogue, of stored columns as of
// virtual ones, and in each partition, whose columns are in another order.
func TestBasesOfColumns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE items (id int, region text, price numeric, qty int, gift numeric, total numeric GENERATED ALWAYS AS (price * qty) STORED, twice int GENERATED ALWAYS AS (qty * 2) STORED) PARTITION BY LIST (region)`,
		`CREATE TABLE north (id int, gift numeric, region text, qty int, price numeric, twice int GENERATED ALWAYS AS (qty * 2) STORED, total numeric GENERATED ALWAYS AS (price * qty) STORED)`,
		`ALTER TABLE items ATTACH PARTITION north FOR VALUES IN ('north')`)
	bases, err := postgres.ReadBases(b.ctx, b.db, "items", "total", "twice")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(bases); got != "map[total:[price qty] twice:[qty]]" {
		t.Errorf("read from the catalogue: %s", got)
	}
}

// The function of a trigger finds NULL in the place of a virtual column, which
// PostgreSQL has from version 18 on. So the columns that it is computed from are
// watched. On an older server the column is a stored one that is said to be virtual.
func TestVirtualColumns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	real := b.query(`SELECT (current_setting('server_version_num')::int >= 180000)::text`)[0] == "true"
	kind := "STORED"
	if real {
		kind = "VIRTUAL"
	}
	b.exec(`CREATE TABLE items (id int PRIMARY KEY, price numeric(10,2), qty int, note text, total numeric GENERATED ALWAYS AS (price * qty) `+kind+`)`,
		`INSERT INTO items VALUES (1, 2, 3, 'a')`)
	b.migrate()
	totals, notes, versions := b.shape("totals", table("items"), "total"), b.shape("notes", table("items"), "note"), b.shape("versions", table("items"), "total")
	versions.Every = true
	for _, s := range []*store.Shape{totals, versions} {
		c := &s.Root.Columns[0]
		if !real {
			c.Virtual, c.Bases = true, "price\x00qty"
		}
		if c.Bases != "price\x00qty" {
			t.Errorf("%q is computed from %q", c.Name, c.Bases)
		}
	}
	all := []*store.Shape{totals, notes, versions}
	b.install(all...)
	b.intact(all...)
	for _, text := range b.query(`SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE 'upkeep%'
		UNION ALL SELECT prosrc FROM pg_proc WHERE pronamespace = 'upkeep'::regnamespace AND prorettype = 'trigger'::regtype`) {
		if strings.Contains(text, "total") {
			t.Errorf("it reads the column, which is NULL there:\n%s", text)
		}
	}
	for _, c := range []struct {
		sql            string
		synced, newest string
	}{
		{`INSERT INTO items VALUES (2, 1, 1, 'b')`, "notes totals", "1.00"},
		{`UPDATE items SET qty = 2, note = 'c' WHERE id = 2`, "notes totals", "2.00"},
		{`UPDATE items SET price = 3 WHERE id = 2`, "totals", "6.00"},
		{`UPDATE items SET note = 'd' WHERE id = 2`, "notes", ""},
		{`UPDATE items SET price = price, qty = qty, note = note`, "", ""},
	} {
		b.fold(all...)
		b.syncAll(all...)
		b.exec(`DELETE FROM upkeep.commands`, c.sql)
		if got := strings.Join(b.query(`SELECT coalesce(payload->>'total', 'gone') FROM upkeep.commands`), " "); got != c.newest {
			t.Errorf("%s: versions %q, want %q", c.sql, got, c.newest)
		}
		b.fold(all...)
		if got := strings.Join(b.query(`SELECT sync FROM upkeep.groups WHERE generation > synced_generation AND sync <> 'versions' ORDER BY 1`), " "); got != c.synced {
			t.Errorf("%s: dirty are %q, want %q", c.sql, got, c.synced)
		}
	}
	b.wantGaps()
	if !real {
		return
	}
	// A partition may compute it in another way.
	b.exec(`CREATE TABLE parts (id int PRIMARY KEY, a int, b int, sum int GENERATED ALWAYS AS (a) VIRTUAL) PARTITION BY RANGE (id)`,
		`CREATE TABLE parts_1 PARTITION OF parts (sum GENERATED ALWAYS AS (b) VIRTUAL) FOR VALUES FROM (1) TO (10)`)
	if c := b.shape("parts", table("parts"), "sum").Root.Columns[0]; c.Bases != "a\x00b" {
		t.Errorf("a partition's is computed from %q", c.Bases)
	}
}
