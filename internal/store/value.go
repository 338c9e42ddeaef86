package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Kind is the kind of a column's values, and with it their Go type in a [Row].
type Kind int

const (
	// Other is a type without a kind of its own; its values are text as the
	// database prints them (string).
	Other   Kind = iota
	Int          // int64
	Decimal      // decimal.Decimal, exact
	Float        // float64
	Text         // string; also uuid, enums, char(n)
	Bool         // bool
	Date         // Civil
	Time         // time.Time in UTC
	Bytes        // []byte
	JSON         // any, as encoding/json decodes with UseNumber
)

// String is the word for people: "decimal".
func (k Kind) String() string {
	return [...]string{"text", "integer", "decimal", "float", "text", "boolean", "date", "time", "bytes", "json"}[k]
}

// Row is one loaded row: column name to value (nil for NULL), and relation
// name to Row (belongs_to, has_one; nil when there is none) or []Row
// (has_many), and aggregate name to its value (int64 or decimal.Decimal).
type Row map[string]any

// Civil is a date without a time or a zone. The zero value is not a date.
type Civil struct {
	Year  int
	Month time.Month
	Day   int
}

// ParseCivil reads "2006-01-02".
func ParseCivil(s string) (Civil, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Civil{}, fmt.Errorf("%q is not a date (want YYYY-MM-DD)", s)
	}
	return CivilOf(t), nil
}

// CivilOf returns the date of t in t's location.
func CivilOf(t time.Time) Civil {
	y, m, d := t.Date()
	return Civil{y, m, d}
}

// Time returns midnight UTC of the date.
func (c Civil) Time() time.Time { return time.Date(c.Year, c.Month, c.Day, 0, 0, 0, 0, time.UTC) }

// String is "2006-01-02".
func (c Civil) String() string { return c.Time().Format(time.DateOnly) }

// MarshalText is String, so that JSON has "2006-01-02".
func (c Civil) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is ParseCivil.
func (c *Civil) UnmarshalText(b []byte) error {
	p, err := ParseCivil(string(b))
	if err == nil {
		*c = p
	}
	return err
}

// Driven is a value as a driver for database/sql hands it to a Scan: a string,
// int64, float64, bool, []byte or time.Time. As PostgreSQL's does, a decimal is
// a text with all of its digits and JSON is bytes, which are the caller's own.
func Driven(v any) (any, error) {
	switch v := v.(type) {
	case decimal.Decimal:
		return v.StringFixed(max(0, -v.Exponent())), nil
	case Civil:
		return v.Time(), nil
	case []byte:
		return bytes.Clone(v), nil
	case map[string]any, []any, json.Number:
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		err := e.Encode(v)
		return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
	}
	return v, nil
}

// Key is the text form of a primary key: the value's own text for a key of
// one column, and for more the values joined by commas, with "\" before each
// comma or backslash inside a value. The same in SQL, Go and on the command
// line: "42", "42,eu".
func Key(values ...any) (string, error) {
	if len(values) == 0 {
		return "", errors.New("a key has one value for each column of the primary key; none was given")
	}
	if len(values) == 1 {
		return keyText(values[0])
	}
	parts := make([]string, len(values))
	for i, v := range values {
		s, err := keyText(v)
		if err != nil {
			return "", err
		}
		parts[i] = keyEscaper.Replace(s)
	}
	return strings.Join(parts, ","), nil
}

// shellQuote quotes a word where it has characters that a shell takes for its
// own.
func shellQuote(word string) string {
	plain := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("_-.,:/@+%=", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

var keyEscaper = strings.NewReplacer(`\`, `\\`, `,`, `\,`)

// SplitKey undoes Key for a key of n columns.
func SplitKey(key string, n int) ([]string, error) {
	if n == 1 {
		return []string{key}, nil
	}
	var parts []string
	var b strings.Builder
	for i := 0; i < len(key); i++ {
		switch c := key[i]; {
		case c == '\\' && i+1 < len(key):
			i++
			b.WriteByte(key[i])
		case c == ',':
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	parts = append(parts, b.String())
	if len(parts) > n {
		return nil, fmt.Errorf(`key %q does not fit: the table's primary key has %d columns; give a value for each, with commas between, and write a comma inside a value as \,: 'Rome\, RM,42'`, key, n)
	}
	if len(parts) != n {
		return nil, fmt.Errorf("key %q does not fit: the table's primary key has %d columns; give a value for each, in its order, with commas between", key, n)
	}
	return parts, nil
}

// timeText is a time as PostgreSQL reads it: the year, and the rest in a layout.
// The year before 1 is "0001 BC".
func timeText(t time.Time, rest string) string {
	if y := t.Year(); y < 1 {
		return fmt.Sprintf("%04d", 1-y) + t.Format(rest) + " BC"
	}
	return fmt.Sprintf("%04d", t.Year()) + t.Format(rest)
}

func keyText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int64, int, int32, uint32, uint64:
		return fmt.Sprint(v), nil
	case bool:
		if v {
			return "true", nil
		}
		return "false", nil
	case decimal.Decimal:
		return v.String(), nil
	case Civil:
		if v == (Civil{}) || CivilOf(v.Time()) != v {
			return "", fmt.Errorf("the date of year %d, month %d, day %d is none, so it can't be part of a key", v.Year, v.Month, v.Day)
		}
		return timeText(v.Time(), "-01-02"), nil
	case time.Time: // which PostgreSQL reads, with a zone and without
		return timeText(v.UTC(), "-01-02T15:04:05.999999999Z07:00"), nil
	}
	if v == nil {
		return "", errors.New("nil can't be part of a key")
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer { // of a column that may be NULL
		if rv.IsNil() {
			return "", fmt.Errorf("a nil %T can't be part of a key", v)
		}
		if s, err := keyText(rv.Elem().Interface()); err == nil {
			return s, nil
		}
	}
	if s, ok := v.(fmt.Stringer); ok { // uuid types
		return s.String(), nil
	}
	switch {
	case rv.CanInt():
		return strconv.FormatInt(rv.Int(), 10), nil
	case rv.CanUint():
		return strconv.FormatUint(rv.Uint(), 10), nil
	case rv.Kind() == reflect.String:
		return rv.String(), nil
	}
	return "", fmt.Errorf("a %T can't be part of a key; integers, strings, booleans, decimals, dates, times and fmt.Stringers can", v)
}
