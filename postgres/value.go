package postgres

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// query runs one of the loader's queries and gives each row: the number of
// its parent, its values, its links. A value that can't be used comes as err,
// with the rest of the row.
func (l *loading) query(s *selection, sql string, args []any, each func(n int64, row store.Row, links []*string, err error)) error {
	// All results binary: the values then do not depend on a setting.
	args = append([]any{pgx.QueryResultFormats{1}}, args...)
	rows, err := l.tx.Query(l.ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		raw := rows.RawValues()
		if rows.FieldDescriptions()[0].Format != pgx.BinaryFormatCode {
			return errors.New("the connection uses PostgreSQL's simple protocol; use another default_query_exec_mode")
		}
		n := int64(binary.BigEndian.Uint64(raw[0]))
		row := make(store.Row, len(s.columns)+4)
		var bad error
		for i, c := range s.columns {
			v, err := decode(c.Kind, raw[1+i])
			if err != nil {
				v = err // for a person who looks at it
				if bad == nil {
					bad = fmt.Errorf("column %s: %w", c.Name, err)
				}
			}
			row[c.Name] = v
		}
		var links []*string
		if len(s.links) > 0 {
			links = make([]*string, len(s.links))
			for i := range s.links {
				if b := raw[1+len(s.columns)+i]; b != nil {
					text := string(b)
					links[i] = &text
				}
			}
		}
		each(n, row, links, bad)
	}
	return rows.Err()
}

// postgresEpoch is where PostgreSQL's dates and times begin.
var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// decode makes the Go value of a column's kind out of PostgreSQL's binary
// form of what [readExpr] selects.
func decode(kind store.Kind, b []byte) (any, error) {
	if b == nil {
		return nil, nil
	}
	switch kind {
	case store.Int:
		return int64(binary.BigEndian.Uint64(b)), nil
	case store.Float:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case store.Bool:
		return b[0] != 0, nil
	case store.Bytes:
		return bytes.Clone(b), nil
	case store.Decimal:
		d, err := decimal.NewFromString(string(b))
		if err != nil {
			return nil, fmt.Errorf("%s is not a number that can be sent", b)
		}
		return d, nil
	case store.Date:
		days := int32(binary.BigEndian.Uint32(b))
		if days == math.MaxInt32 || days == math.MinInt32 {
			return nil, errors.New("the date is infinity, which can't be sent")
		}
		return store.CivilOf(postgresEpoch.AddDate(0, 0, int(days))), nil
	case store.Time:
		us := int64(binary.BigEndian.Uint64(b))
		if us == math.MaxInt64 || us == math.MinInt64 {
			return nil, errors.New("the time is infinity, which can't be sent")
		}
		// In two steps: a Duration does not reach as far as PostgreSQL's times.
		return time.Unix(postgresEpoch.Unix()+floorDiv(us, 1e6), (us-floorDiv(us, 1e6)*1e6)*1e3).UTC(), nil
	case store.JSON:
		d := json.NewDecoder(bytes.NewReader(b))
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
	return string(b), nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
