package salesforce

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/upkeep-sync/upkeep/connector"
)

// Carries tells whether a change can be a row of CSV: the text #N/A would clear
// the field, a carriage return breaks the lines, and a reference to one of
// several types has no column.
func (c *Connection) Carries(recordType string, ch connector.Change) bool {
	if nameable(recordType, ch.Record.ExternalID) != nil && ch.Action == connector.Create ||
		ch.Action != connector.Create && !recordID.MatchString(ch.RemoteID) || ch.Record.ExternalID == clearCell {
		return false
	}
	for name, raw := range ch.Record.Fields {
		v, err := encodeValue(name, raw)
		if err != nil || !apiName.MatchString(name) || strings.EqualFold(name, "Id") {
			return false
		}
		if v[0] != '{' {
			if cell := cellOf(v); cell == clearCell && string(v) != "null" && string(v) != `""` || !carried(cell) {
				return false
			}
			continue
		}
		ref := map[string]json.RawMessage{}
		if json.Unmarshal(v, &ref) != nil || len(ref) != 1 {
			return false
		}
		for _, x := range ref {
			if cell := cellOf(x); cell == clearCell || !carried(cell) {
				return false
			}
		}
	}
	return true
}

func carried(cell string) bool {
	return !strings.ContainsAny(cell, "\r\x00") && utf8.RuneCountInString(cell) <= mostInCell
}

// cellOf is a plain JSON value in CSV.
func cellOf(v json.RawMessage) string {
	var s string
	switch {
	case string(v) == "null":
		return clearCell
	case v[0] != '"':
		return string(v)
	case json.Unmarshal(v, &s) != nil || s == "":
		return clearCell // there is no empty text beside null
	}
	return s
}

// table is changes as CSV.
type table struct {
	header []string
	rows   func(i int) ([]string, error)
	n      int
}

// table lays the columns out: all fields that any change has. A change leaves
// the cells of fields that it does not have empty, which changes nothing.
func (c *Connection) table(ctx context.Context, recordType string, action connector.Action, changes []connector.Change) (*table, *connector.Error) {
	key := "Id"
	if action == connector.Create {
		key = c.config.externalField(recordType)
	}
	names := map[string]bool{}
	for _, ch := range changes {
		if ch.Action != action || !c.Carries(recordType, ch) {
			return nil, rejected("a job of Salesforce can't carry the change of %q", ch.Record.ExternalID)
		}
		if err := c.columns(ctx, recordType, ch, names); err != nil {
			return nil, err
		}
	}
	columns := slices.Sorted(maps.Keys(names))
	rows := func(i int) ([]string, error) {
		ch := changes[i]
		line := make([]string, 1, len(columns)+1)
		if line[0] = ch.RemoteID; action == connector.Create {
			line[0] = ch.Record.ExternalID
		}
		cells, err := c.cells(ctx, recordType, ch)
		if err != nil {
			return nil, err
		}
		for _, name := range columns {
			line = append(line, cells[name])
		}
		return line, nil
	}
	return &table{header: append([]string{key}, columns...), rows: rows, n: len(changes)}, nil
}

// columns adds the columns that a change needs.
func (c *Connection) columns(ctx context.Context, recordType string, ch connector.Change, names map[string]bool) *connector.Error {
	for name, raw := range ch.Record.Fields {
		var ref map[string]json.RawMessage
		switch raw = bytes.TrimSpace(raw); {
		case strings.EqualFold(name, c.config.externalField(recordType)), ch.Action == connector.Delete:
		case string(raw) == "null":
			field, err := c.idField(ctx, recordType, name)
			if err != nil {
				return err
			}
			names[field] = true
		case raw[0] == '{' && json.Unmarshal(raw, &ref) == nil:
			for inner := range ref {
				names[name+"."+inner] = true
			}
		default:
			names[name] = true
		}
	}
	return nil
}

// cells are a change's fields by column.
func (c *Connection) cells(ctx context.Context, recordType string, ch connector.Change) (map[string]string, *connector.Error) {
	if ch.Action == connector.Delete {
		return nil, nil
	}
	r := ch.Record
	r.Type = recordType
	fields, err := c.encode(ctx, r)
	if err != nil {
		return nil, err
	}
	cells := make(map[string]string, len(fields))
	for name, v := range fields {
		if v[0] != '{' {
			cells[name] = cellOf(v)
			continue
		}
		var ref map[string]json.RawMessage
		if json.Unmarshal(v, &ref) != nil {
			return nil, rejected("field %s is not a reference", name)
		}
		for inner, x := range ref {
			cells[name+"."+inner] = cellOf(x)
		}
	}
	return cells, nil
}

// reader makes the CSV line by line, as it is read.
func (t *table) reader() io.Reader {
	r := &lines{table: t, next: -1}
	r.csv = csv.NewWriter(&r.buffer)
	return r
}

type lines struct {
	*table
	next   int // -1: the header
	buffer bytes.Buffer
	csv    *csv.Writer
}

func (r *lines) Read(p []byte) (int, error) {
	for r.buffer.Len() < len(p) && r.next < r.n {
		line := r.header
		if r.next >= 0 {
			var err error
			if line, err = r.rows(r.next); err != nil {
				return 0, err
			}
		}
		r.next++
		if err := r.csv.Write(line); err != nil {
			return 0, err
		}
		r.csv.Flush()
	}
	return r.buffer.Read(p)
}
