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

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

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
