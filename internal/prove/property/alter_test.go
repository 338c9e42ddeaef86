package property

import (
	"context"
	"fmt"

	"pgregory.net/rapid"
)

// alter changes the schema as migrations do, with writes around it. What was
// not seen meanwhile must be found by the inspection, and swept.
func (c *checking) alter(ctx context.Context) {
	tb := rapid.SampledFrom(c.schema.tables).Draw(c.T, "altered")
	name := quote(tb.name)
	kind := rapid.SampledFrom([]string{"add", "rename", "disable", "drop trigger", "release", "attach"}).Draw(c.T, "alteration")
	c.blind = kind != "add"
	watched := false
	for _, f := range c.tablesOf(c.schema.root, map[int]bool{}) {
		watched = watched || c.schema.tables[f] == tb
	}
	write := func() { _ = c.both(c.schema.drawStatement(c.T)) } // refused by both, or taken
	switch kind {
	case "add":
		c.changes++
		added := quote(fmt.Sprint("added ", c.changes))
		c.ok(c.both("alter table " + name + " add column " + added + " integer default 7"))
		write()
	case "rename": // and back: the declaration still has the old name
		was := quote(rapid.SampledFrom(tb.columns()).Draw(c.T, "renamed").name)
		c.ok(c.both("alter table " + name + " rename column " + was + " to renamed"))
		for _, sql := range []string{"update " + name + " set renamed = renamed", "delete from " + name} {
			_ = c.both(sql)
		}
		c.ok(c.both("alter table " + name + " rename column renamed to " + was))
	case "disable":
		c.ok(c.both("alter table " + name + " disable trigger user"))
		write()
		write()
		c.mend(ctx, watched)
	case "drop trigger":
		c.ok(c.app.exec(`do $$ declare n name; begin
			for n in select tgname from pg_trigger where tgrelid = ` + regclass(tb) + ` and not tgisinternal and tgparentid = 0 loop
				execute format('drop trigger %I on ` + dollar(name) + `', n);
			end loop; end $$`))
		write()
		c.mend(ctx, watched)
	case "release":
		c.ok(c.app.exec("select upkeep.release(" + regclass(tb) + ")"))
		write()
		c.mend(ctx, false)
	case "attach":
		c.attach(ctx, tb, watched)
	}
}

// attach adds a partition with rows in it; only hash partitions of a modulus
// that has room take one, so the second is detached first.
func (c *checking) attach(ctx context.Context, tb *table, watched bool) {
	if !tb.partitioned {
		return
	}
	for i, other := range c.schema.tables {
		if other != tb {
			continue
		}
		part := quote(fmt.Sprintf("part %d %d", i, 1))
		if c.both("alter table "+quote(tb.name)+" detach partition "+part) != nil {
			return // referenced
		}
		if c.both("alter table "+quote(tb.name)+" attach partition "+part+" for values with (modulus 2, remainder 1)") != nil {
			c.Fatal("the partition can't be attached again")
		}
	}
	_ = watched
	c.mend(ctx, false)
}

// mend does what an engine's minute does: it inspects, and installs again. must:
// it has to find something.
func (c *checking) mend(ctx context.Context, must bool) {
	c.Helper()
	findings, err := c.store.Inspect(ctx, c.store.shapes)
	c.ok(err)
	if must && len(findings) == 0 {
		c.Fatal("the inspection finds nothing wrong")
	}
	c.ok(c.engine.Install(ctx))
	if len(findings) == 0 {
		return
	}
	// As the engine does: what changed meanwhile is not known.
	state, err := c.store.Sync(ctx, "all")
	c.ok(err)
	c.ok(c.store.StartBackfill(ctx, "all", state.Version, true, false))
}

// tablesOf are the tables that a relation reads.
func (c *checking) tablesOf(r *relation, into map[int]bool) []int {
	into[r.table] = true
	for _, m := range r.members {
		c.tablesOf(m, into)
	}
	var list []int
	for i := range into {
		list = append(list, i)
	}
	return list
}

func regclass(tb *table) string { return literal(quote(tb.name)) + "::regclass" }

func literal(s string) string {
	out := "'"
	for _, r := range s {
		if r == '\'' {
			out += "'"
		}
		out += string(r)
	}
	return out + "'"
}

// dollar doubles what format would read.
func dollar(s string) string {
	out := ""
	for _, r := range s {
		switch r {
		case '%', '\'':
			out += string(r)
		}
		out += string(r)
	}
	return out
}
