package property

import (
	"context"
	"fmt"
	"slices"

	"pgregory.net/rapid"
)

// alter changes the schema as migrations do, with writes around it. What was
// not seen meanwhile must be found by the inspection, and swept.
func (c *checking) alter(ctx context.Context) {
	tb := rapid.SampledFrom(c.schema.tables).Draw(c.T, "altered")
	name := quote(tb.name)
	kinds := []string{"add", "rename", "unwatched", "refused", "drop", "retype", "disable", "drop trigger", "release"}
	if tb.partitioned {
		kinds = append(kinds, "attach", "attach", "attach", "attach")
	}
	kind := rapid.SampledFrom(kinds).Draw(c.T, "alteration")
	c.blind = !slices.Contains([]string{"add", "unwatched", "refused"}, kind)
	watched := false
	for _, f := range c.tablesOf(c.schema.root, map[int]bool{}) {
		watched = watched || c.schema.tables[f] == tb
	}
	write := func() { _ = c.both(c.schema.drawStatement(c.T)) } // refused by both, or taken
	switch kind {
	case "add":
		c.changes++
		c.add(name, write)
	case "rename": // and back: the declaration still has the old name
		c.renamed(name, quote(rapid.SampledFrom(tb.columns()).Draw(c.T, "renamed").name))
	case "unwatched":
		c.unwatched(name, write)
	case "refused":
		c.refused(tb, write)
	case "drop":
		c.drop(ctx, tb, write)
	case "retype":
		c.retype(ctx, tb, write)
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

// add adds a column that nobody knows.
func (c *checking) add(name string, write func()) {
	c.ok(c.both("alter table " + name + " add column " + quote(fmt.Sprint("added ", c.changes)) + " integer default 7"))
	write()
}

// renamed renames a column and writes, and gives it its name back.
func (c *checking) renamed(name, was string) {
	c.ok(c.both("alter table " + name + " rename column " + was + " to renamed"))
	for _, sql := range []string{"update " + name + " set renamed = renamed", "delete from " + name} {
		_ = c.both(sql)
	}
	c.ok(c.both("alter table " + name + " rename column renamed to " + was))
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
	c.sweep(ctx)
}

// sweep looks at every group again, as the engine does when what changed is
// not known.
func (c *checking) sweep(ctx context.Context) {
	c.Helper()
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
