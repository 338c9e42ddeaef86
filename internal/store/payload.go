package store

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// A payload is a composite as JSON: of each row an object of its columns by
// name, its aggregates, and its members, each a list of rows whatever the
// relation. Integers, booleans and JSON columns stand as such; decimals and
// floats are strings, so that no digit is lost; bytes are hexadecimal; dates
// and times are ISO 8601 without a zone, in UTC, and what no calendar has
// ("infinity") is an error only when it is read.

// payloadTime is the form of times.
const payloadTime = "2006-01-02 15:04:05.999999"

// DecodePayload reads a payload with the columns and members of a shape, which
// may be another than it was written with: what it lacks is [Composite.Err].
func DecodePayload(shape *Shape, payload json.RawMessage) Composite {
	d := payloadReader{limit: shape.MemberLimit, counts: map[*Member]int{}}
	if d.limit <= 0 {
		d.limit = 10_000
	}
	row, err := d.row(shape.Root, payload)
	return Composite{Row: row, Err: err}
}

type payloadReader struct {
	limit  int
	counts map[*Member]int
}

// row reads all of a row that can be read; the error is the first.
func (d *payloadReader) row(m *Member, payload json.RawMessage) (Row, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(payload, &object); err != nil {
		return nil, fmt.Errorf("read the command's payload: %w", err)
	}
	row := make(Row, len(object))
	var bad error
	read := func(name string, kind Kind) {
		raw, ok := object[name]
		if !ok {
			err := fmt.Errorf("the command was written before %s of %s was mapped; skip it, and the current state is sent instead", name, m.Table)
			row[name], bad = err, cmp.Or(bad, err)
			return
		}
		v, err := decodeValue(kind, raw)
		if row[name] = v; err != nil {
			row[name], bad = err, cmp.Or(bad, fmt.Errorf("column %s: %w", name, err))
		}
	}
	for _, c := range m.Columns {
		read(c.Name, c.Kind)
	}
	for _, child := range m.Members {
		for _, a := range child.Aggregates {
			kind := Decimal
			if a.Func == "count" {
				kind = Int
			}
			read(a.Name, kind)
		}
		if child.OnlyAggregates {
			continue
		}
		raw, ok := object[child.Name]
		if !ok {
			err := fmt.Errorf("the command was written before %s was mapped; skip it, and the current state is sent instead", child.Name)
			row[child.Name], bad = err, cmp.Or(bad, err)
			continue
		}
		if err := d.member(row, child, raw); err != nil {
			bad = cmp.Or(bad, fmt.Errorf("%s: %w", child.Name, err))
		}
	}
	return row, bad
}

// member reads the rows of one relation, as row does.
func (d *payloadReader) member(parent Row, m *Member, payload json.RawMessage) error {
	var list []json.RawMessage
	if err := json.Unmarshal(payload, &list); err != nil {
		return fmt.Errorf("read the command's payload: %w", err)
	}
	if m.Relation != HasMany {
		parent[m.Name] = nil
		if len(list) > 1 {
			return errors.New("more than one row; give it an order, so that the first is taken, or a where")
		}
		if len(list) == 1 {
			row, err := d.row(m, list[0])
			parent[m.Name] = row
			return err
		}
		return nil
	}
	d.counts[m] += len(list)
	if d.counts[m] > d.limit {
		return fmt.Errorf("more than %d rows; raise the member limit, or load less of it with a where or an aggregate", d.limit)
	}
	var bad error
	rows := make([]Row, len(list))
	for i, raw := range list {
		row, err := d.row(m, raw)
		rows[i], bad = row, cmp.Or(bad, err)
	}
	parent[m.Name] = rows
	return bad
}

// decodeValue reads one value as [EncodePayload] writes it.
func decodeValue(kind Kind, raw json.RawMessage) (any, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	switch kind {
	case Int:
		return strconv.ParseInt(string(raw), 10, 64)
	case Bool:
		return strconv.ParseBool(string(raw))
	case JSON:
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, fmt.Errorf("read JSON: %w", err)
		}
		if _, err := d.Token(); err != io.EOF {
			return nil, errors.New("read JSON: more than one value")
		}
		return v, nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	switch kind {
	case Decimal:
		v, err := decimal.NewFromString(s)
		if err != nil {
			return nil, fmt.Errorf("%s is not a number that can be sent", s)
		}
		return v, nil
	case Float:
		return strconv.ParseFloat(s, 64)
	case Bytes:
		return hex.DecodeString(s)
	case Date:
		v, err := ParseCivil(s)
		if err != nil {
			return nil, fmt.Errorf("the date is %s, which can't be sent", s)
		}
		return v, nil
	case Time:
		v, err := time.Parse(payloadTime, strings.Replace(s, "T", " ", 1))
		if err != nil {
			return nil, fmt.Errorf("the time is %s, which can't be sent", s)
		}
		return v, nil
	}
	return s, nil
}

// EncodePayload writes a loaded composite as a payload, for a database that
// can't write it itself.
func EncodePayload(shape *Shape, row Row) (json.RawMessage, error) {
	object, err := encodeRow(shape.Root, row)
	if err != nil {
		return nil, err
	}
	return json.Marshal(object)
}

func encodeRow(m *Member, row Row) (map[string]any, error) {
	object := make(map[string]any, len(row))
	for _, c := range m.Columns {
		object[c.Name] = encodeValue(row[c.Name])
	}
	for _, child := range m.Members {
		for _, a := range child.Aggregates {
			object[a.Name] = encodeValue(row[a.Name])
		}
		if child.OnlyAggregates {
			continue
		}
		list := []any{}
		var rows []Row
		switch v := row[child.Name].(type) {
		case Row:
			if v != nil {
				rows = []Row{v}
			}
		case []Row:
			rows = v
		}
		for _, r := range rows {
			o, err := encodeRow(child, r)
			if err != nil {
				return nil, err
			}
			list = append(list, o)
		}
		object[child.Name] = list
	}
	return object, nil
}

func encodeValue(v any) any {
	switch v := v.(type) {
	case decimal.Decimal:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []byte:
		return hex.EncodeToString(v)
	case time.Time:
		return v.UTC().Format(payloadTime)
	}
	return v
}
