package property

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// alterSQLite changes the schema as migrations of SQLite do, with writes around
// it. Most of what PostgreSQL alters SQLite makes anew: the table is made under
// another name, filled, and put in the place of the old one, whose triggers go
// with it.
func (c *checking) alterSQLite(ctx context.Context) {
	tb := rapid.SampledFrom(c.schema.tables).Draw(c.T, "altered")
	name := quote(tb.name)
	kind := rapid.SampledFrom([]string{"add", "rename", "rename table", "unwatched", "refused", "rebuild", "retype", "drop trigger"}).Draw(c.T, "alteration")
	c.blind = !slices.Contains([]string{"add", "unwatched", "refused", "rename table"}, kind)
	watched := c.tablesOf(c.schema.root, map[int]bool{})
	inTree := slices.Contains(watched, slices.Index(c.schema.tables, tb))
	write := func() { _ = c.both(c.schema.drawStatement(c.T)) } // refused by both, or taken
	c.changes++
	switch kind {
	case "add":
		c.add(name, write)
	case "rename": // and back: the declaration still has the old name
		c.renamed(name, quote(rapid.SampledFrom(tb.columns()).Draw(c.T, "renamed").name))
	case "rename table":
		c.ok(c.both("alter table " + name + " rename to renamed"))
		_ = c.both("delete from renamed" + tb.drawWhich(c.T))
		c.ok(c.both("alter table renamed rename to " + name))
		write()
	case "unwatched":
		for _, change := range []string{"add column unread integer default 7", "rename column unread to unseen", "drop column unseen"} {
			c.ok(c.both("alter table " + name + " " + change))
			write()
		}
	case "refused": // nothing happened, so nothing may be lost
		for _, col := range c.watched(tb) {
			statement := "alter table " + name + " drop column " + quote(col.name)
			if err := c.app.exec(statement); err == nil || !strings.Contains(err.Error(), "error in trigger upkeep_") {
				c.Fatalf("%s\nunder a trigger: %v", statement, err)
			}
			write()
		}
	case "rebuild":
		c.rebuild(tb, "", "")
		write()
		c.mend(ctx, inTree)
	case "retype":
		col := rapid.SampledFrom(tb.data).Draw(c.T, "retyped")
		was, other := quote(col.name)+" "+col.kind, quote(col.name)+" "+retyped(col)
		for _, to := range []string{other, was} {
			c.rebuild(tb, was, to, "update "+name+" set "+quote(col.name)+" = "+drawValue(c.T, col, true))
			write()
			c.mend(ctx, inTree)
			c.fold(ctx)
		}
	case "drop trigger":
		var drop sql.NullString
		c.ok(c.app.conn.QueryRowContext(ctx, `select group_concat('drop trigger "' || replace(name, '"', '""') || '"', ';') from sqlite_schema where type = 'trigger' and tbl_name = ?`, tb.name).Scan(&drop))
		c.ok(c.app.exec(drop.String))
		write()
		c.mend(ctx, inTree)
	}
}

// rebuild makes a table anew, with a column declared otherwise, as SQLite's own
// documentation says that it is to be done.
func (c *checking) rebuild(tb *table, was, becomes string, more ...string) {
	c.Helper()
	create := c.schema.create()[slices.Index(c.schema.tables, tb)]
	rest, is := strings.CutPrefix(create, "create table "+quote(tb.name))
	if !is || was != "" && !strings.Contains(rest, was) {
		c.Fatalf("%s does not declare %s", create, was)
	}
	if was != "" {
		rest = strings.Replace(rest, was, becomes, 1)
	}
	columns := quoted(tb.columns())
	statements := []string{
		"pragma foreign_keys = off", "begin", "create table rebuilt" + rest,
		"insert into rebuilt (" + columns + ") select " + columns + " from " + quote(tb.name),
		"drop table " + quote(tb.name), "alter table rebuilt rename to " + quote(tb.name),
	}
	for _, sql := range slices.Concat(statements, more, []string{"commit", "pragma foreign_keys = on"}) {
		c.ok(c.both(sql))
	}
}
