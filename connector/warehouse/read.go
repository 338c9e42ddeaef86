package warehouse

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
)

// Find says whether there is a row; its key is the remote id.
func (c *Connection) Find(ctx context.Context, recordType, externalID string) (string, error) {
	_, err := c.Read(ctx, recordType, externalID, nil)
	return externalID, err
}

// Read reads the columns of the wanted fields, and lists from their tables.
func (c *Connection) Read(ctx context.Context, recordType, remoteID string, want connector.Fields) (connector.Fields, error) {
	ctx, cancel, err := c.within(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	got, err := c.read(ctx, recordType, remoteID, want)
	if err != nil {
		if c.dialect.outdated(err) {
			c.forget()
		}
		return nil, c.judged(ctx, err)
	}
	return got, nil
}

func (c *Connection) read(ctx context.Context, recordType, key string, want connector.Fields) (connector.Fields, error) {
	t, err := c.table(ctx, c.db, recordType, false)
	if err != nil {
		return nil, err
	}
	if strings.ContainsRune(key, 0) {
		return nil, missing(t, key)
	}
	var columns, lists []string
	for _, field := range slices.Sorted(maps.Keys(want)) {
		switch {
		case t.columns[field].name != "":
			columns = append(columns, field)
		case t.children[field] != nil:
			lists = append(lists, field)
		default:
			c.forget() // somebody may be adding it
			return nil, rejected("the table %s has no column %s", t.place, field)
		}
	}
	there := ""
	if t.soft {
		there = " AND " + c.dialect.quote(t.own.DeletedAt) + " IS NULL"
	}
	rows, err := c.rows(ctx, t.place, t.columns, columns, c.dialect.quote(t.own.Key)+" = "+c.dialect.parameter()+there, key)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, missing(t, key)
	}
	out := make(connector.Fields, len(want))
	for i, field := range columns {
		if out[field], err = decode(t.columns[field].class, rows[0][i], want[field]); err != nil {
			return nil, rejected("field %s: %v", field, err)
		}
	}
	for _, field := range lists {
		if out[field], err = c.readList(ctx, t, t.children[field], key, want[field]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func missing(t *table, key string) error {
	return &connector.Error{Kind: connector.NotFound, Message: fmt.Sprintf("%s has no row %q", t.place, clip(key))}
}

// rows reads columns as texts.
func (c *Connection) rows(ctx context.Context, p place, types map[string]column, names []string, where, key string) ([][]cell, error) {
	list := []string{"1"}
	for _, name := range names {
		list = append(list, c.dialect.text(c.dialect.quote(name), types[name].class))
	}
	rows, err := c.db.QueryContext(ctx, "SELECT "+strings.Join(list, ", ")+" FROM "+c.dialect.place(p)+" WHERE "+where, key)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out [][]cell
	for rows.Next() {
		values := make([]sql.NullString, len(names))
		into := make([]any, len(names)+1)
		into[0] = new(int)
		for i := range values {
			into[i+1] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		cells := make([]cell, len(names))
		for i, v := range values {
			cells[i] = cell{text: v.String, null: !v.Valid}
		}
		out = append(out, cells)
	}
	return out, rows.Err()
}

// readList makes a list of the rows of its table, in want's form. An empty
// table is a null where null is wanted.
func (c *Connection) readList(ctx context.Context, t *table, child *child, key string, want json.RawMessage) (json.RawMessage, error) {
	var wanted []json.RawMessage
	_ = json.Unmarshal(want, &wanted) // one that is no list differs from what is there
	names := child.names()
	rows, err := c.rows(ctx, child.place, child.columns, names,
		c.dialect.quote(t.own.Key)+" = "+c.dialect.parameter()+" ORDER BY "+c.dialect.quote(position), key)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 && wanted == nil {
		return json.RawMessage("null"), nil
	}
	out := make([]json.RawMessage, len(rows))
	for i, row := range rows {
		element := json.RawMessage("null")
		if i < len(wanted) {
			element = wanted[i]
		}
		if out[i], err = child.decode(names, row, element); err != nil {
			return nil, rejected("field %s: [%d]: %v", child.field, i, err)
		}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	return connector.Project(want, raw)
}

// decode makes an element of a list's row.
func (c *child) decode(names []string, row []cell, want json.RawMessage) (json.RawMessage, error) {
	if c.plain {
		return decode(c.columns[value].class, row[0], want)
	}
	var wanted map[string]json.RawMessage
	_ = json.Unmarshal(want, &wanted) // one that is no object differs from what is there
	out := map[string]json.RawMessage{}
	for i, name := range names {
		w, ok := wanted[name]
		if !ok {
			w = json.RawMessage("null")
		}
		v, err := decode(c.columns[name].class, row[i], w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = v
	}
	return json.Marshal(out)
}
