package property

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"
)

// unwatched adds, retypes and drops a column that no mapping reads: that is
// nobody's concern.
func (c *checking) unwatched(name string, write func()) {
	for _, change := range []string{"add column unread integer default 7", "alter column unread type text using unread || '!'", "drop column unread"} {
		c.ok(c.both("alter table " + name + " " + change))
		write()
	}
}

// refused is a migration that does not release the table first. PostgreSQL
// refuses it, and says what to do; as nothing happened, nothing may be lost.
func (c *checking) refused(tb *table, write func()) {
	watched := c.watched(tb)
	if len(watched) == 0 {
		return
	}
	col := rapid.SampledFrom(watched).Draw(c.T, "refused")
	for _, change := range []string{"drop column " + quote(col.name), "alter column " + quote(col.name) + " type " + retyped(col)} {
		sql := "alter table " + quote(tb.name) + " " + change
		c.Log(sql, "-> is to be refused")
		err := c.app.exec(sql)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || !strings.Contains(pg.Message+pg.Detail+pg.Hint, "upkeep.release()") {
			c.Fatalf("%s\nunder a trigger: %v", sql, err)
		}
		write()
	}
}

// drop is a migration that releases the table and drops a column. While a
// mapping reads it, nothing can be installed; then the column is back, empty.
func (c *checking) drop(ctx context.Context, tb *table, write func()) {
	name, col := quote(tb.name), rapid.SampledFrom(tb.data).Draw(c.T, "dropped")
	c.released(tb, "drop column "+quote(col.name))
	_ = c.both("delete from " + name + tb.drawKey(c.T))
	err := c.engine.Install(ctx)
	if read := slices.Contains(c.watched(tb), col); read != (err != nil) || read && !strings.Contains(err.Error(), fmt.Sprintf("no column %q", col.name)) {
		c.Fatalf("column %q was dropped (read: %v), and to install says: %v", col.name, read, err)
	}
	c.ok(c.both("alter table " + name + " add column " + quote(col.name) + " " + col.kind))
	write()
	c.mend(ctx, false)
	c.sweep(ctx)
}

// retype is a migration that releases the table and retypes a column, with
// writes in it that no trigger sees; and back again.
func (c *checking) retype(ctx context.Context, tb *table, write func()) {
	col := rapid.SampledFrom(tb.data).Draw(c.T, "retyped")
	for _, kind := range []string{retyped(col), col.kind} {
		c.released(tb, "alter column "+quote(col.name)+" type "+kind, "update "+quote(tb.name)+" set "+quote(col.name)+" = "+drawValue(c.T, col, true))
		write()
		c.mend(ctx, len(c.watched(tb)) > 0)
		c.fold(ctx)
	}
}

// released changes a table in one transaction, after release in the database
// that has it.
func (c *checking) released(tb *table, change string, more ...string) {
	c.Helper()
	c.ok(c.both("begin"))
	c.ok(c.app.exec("select upkeep.release(" + regclass(tb) + ")"))
	c.ok(c.both("alter table " + quote(tb.name) + " " + change))
	for _, sql := range more {
		c.ok(c.both(sql))
	}
	c.ok(c.both("commit"))
}

// watched are the data columns of a table that some relation reads.
func (c *checking) watched(tb *table) []column {
	read := map[string]bool{}
	var pass func(r *relation)
	pass = func(r *relation) {
		if c.schema.tables[r.table] == tb {
			for _, name := range r.columns {
				read[name] = true
			}
			if r.where != nil {
				read[r.where.column] = true
			}
			read[r.sum] = true
		}
		for _, m := range r.members {
			pass(m)
		}
	}
	pass(c.schema.root)
	return slices.DeleteFunc(slices.Clone(tb.data), func(col column) bool { return !read[col.name] })
}

func retyped(c column) string {
	if c.kind == "integer" {
		return "bigint"
	}
	return "varchar(20)"
}

// attach detaches a partition, writes into it, and attaches it again. That is
// not noticed by itself: a sweep has to be asked for. Another table in its place
// is noticed.
func (c *checking) attach(ctx context.Context, tb *table, watched bool) {
	if !tb.partitioned {
		return
	}
	part := quote(fmt.Sprintf("part %d %d", slices.Index(c.schema.tables, tb), 1))
	if c.both("alter table "+quote(tb.name)+" detach partition "+part) != nil {
		return // referenced
	}
	for range rapid.IntRange(0, 3).Draw(c.T, "writes while detached") {
		col := rapid.SampledFrom(tb.data).Draw(c.T, "column")
		_ = c.both(rapid.SampledFrom([]string{
			tb.insertInto(c.T, part), tb.insertInto(c.T, part),
			"update " + part + " set " + quote(col.name) + " = " + drawValue(c.T, col, true) + tb.drawWhich(c.T),
			"delete from " + part + tb.drawWhich(c.T),
		}).Draw(c.T, "write"))
	}
	fresh := rapid.Bool().Draw(c.T, "another table")
	if fresh { // with the same rows, that never was a partition
		for _, sql := range []string{
			"create table fresh (like " + quote(tb.name) + " including all)", "insert into fresh select * from " + part,
			"drop table " + part, "alter table fresh rename to " + part,
		} {
			c.ok(c.both(sql))
		}
	}
	if c.both("alter table "+quote(tb.name)+" attach partition "+part+" for values with (modulus 2, remainder 1)") != nil {
		c.Fatal("the partition can't be attached")
	}
	c.mend(ctx, fresh && watched) // it sweeps what it finds
	if !fresh {
		c.sweep(ctx) // the old one looks as it did, and is a person's to sweep
	}
}

// insertInto writes a row into the second partition itself, if it may be there.
func (tb *table) insertInto(t *rapid.T, part string) string {
	var values []string
	for i, c := range tb.columns() {
		values = append(values, drawValue(t, c, i >= len(tb.key))+"::"+c.kind)
	}
	return "insert into " + part + " (" + quoted(tb.columns()) + ") select * from (values (" + strings.Join(values, ", ") + ")) v (" + quoted(tb.columns()) +
		") where satisfies_hash_partition(" + regclass(tb) + ", 2, 1, " + quote(tb.key[0].name) + ") on conflict do nothing"
}
