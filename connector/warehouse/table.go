package warehouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
)

// table is a record type's table as the database has it.
type table struct {
	settings
	columns  map[string]column // where fields can be
	children map[string]*child // by field
}

// child is the table of a list's elements.
type child struct {
	place
	field   string
	columns map[string]column
	plain   bool // elements are plain values, in the column "value"
}

// table returns what is known of a record type's table. With fresh it asks the
// database again.
func (c *Connection) table(ctx context.Context, q querier, recordType string, fresh bool) (*table, error) {
	c.mu.Lock()
	t := c.tables[recordType]
	c.mu.Unlock()
	if t != nil && !fresh {
		return t, nil
	}
	t, err := c.look(ctx, q, recordType)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tables[recordType] = t
	return t, nil
}

// forget makes the next call ask again how the tables are.
func (c *Connection) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.tables)
}

func (c *Connection) look(ctx context.Context, q querier, recordType string) (*table, error) {
	s, err := c.config.table(recordType)
	if err != nil {
		return nil, rejected("%v", err)
	}
	f, err := c.dialect.table(ctx, q, s.place)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, rejected("there is no table %s, or the login may not see it: upkeep apply makes it, unless create is false", s.place)
	}
	for _, name := range []string{s.own.Key, s.own.Version, s.own.SyncedAt} {
		if _, ok := f.column(name); !ok {
			return nil, rejected("the table %s has no column %s: upkeep check says what it needs", s.place, name)
		}
	}
	t := &table{settings: s, columns: map[string]column{}, children: map[string]*child{}}
	for _, column := range f.columns {
		if !s.isOwn(column.name) {
			t.columns[column.name] = column
		}
	}
	if !s.asTables {
		return t, nil
	}
	names, _, err := c.dialect.tables(ctx, q, s.schema, s.name+"_")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		field := strings.TrimPrefix(name, s.name+"_")
		p := place{s.schema, name}
		f, err := c.dialect.table(ctx, q, p)
		if err != nil {
			return nil, err
		}
		if child := childOf(f, p, field, s.own.Key); child != nil && t.columns[field].name == "" {
			t.children[field] = child
		}
	}
	return t, nil
}

// childOf makes a list's table of one that was found; nil if it is none.
func childOf(f *found, p place, field, key string) *child {
	if f == nil {
		return nil
	}
	child := &child{place: p, field: field, columns: map[string]column{}}
	own := 0
	for _, c := range f.columns {
		if c.name == key || c.name == position {
			own++
			continue
		}
		child.columns[c.name] = c
	}
	if own != 2 {
		return nil
	}
	_, hasValue := child.columns[value]
	child.plain = hasValue && len(child.columns) == 1
	return child
}

// lists are the children in a fixed order.
func (t *table) lists() []*child {
	var out []*child
	for _, field := range slices.Sorted(maps.Keys(t.children)) {
		out = append(out, t.children[field])
	}
	return out
}

// knows says whether the table has a place for a field.
func (t *table) knows(field string) bool {
	_, column := t.columns[field]
	_, list := t.children[field]
	return column || list
}

func rejected(format string, args ...any) *connector.Error {
	return &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf(format, args...)}
}
