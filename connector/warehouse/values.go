package warehouse

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// class is how the values of a column are written and read.
type class int

const (
	other class = iota // a type that the connector does not know: as text
	text
	integer // of 64 bits at most
	decimal
	float
	boolean
	date
	instant
	binary
	document // JSON
)

func (c class) String() string {
	return [...]string{"a type of its own", "text", "integer", "decimal", "float", "boolean", "date", "time", "bytes", "json"}[c]
}

// holds says whether a column of class c keeps all values of a type as they
// are.
func (c class) holds(t connector.Type) bool {
	switch t {
	case connector.AnyType:
		return true
	case connector.Text, connector.Reference:
		return c == text || c == other
	case connector.Integer:
		return c == integer || c == decimal
	case connector.Decimal:
		return c == decimal
	case connector.Float:
		return c == float || c == decimal
	case connector.Boolean:
		return c == boolean
	case connector.Date:
		return c == date
	case connector.Time:
		return c == instant
	case connector.Bytes:
		return c == binary
	}
	return c == document
}

// instantForm has the microseconds that databases keep.
const instantForm = "2006-01-02T15:04:05.000000Z"

// encode makes the text that is loaded into a column. The error tells what is
// wrong with the value.
func encode(c class, raw json.RawMessage) (cell, error) {
	raw = bytes.TrimSpace(raw)
	if string(raw) == "null" {
		return cell{null: true}, nil
	}
	if len(raw) == 0 || !json.Valid(raw) {
		return cell{}, errors.New("it is not JSON")
	}
	if c == document {
		if hasNUL(raw) {
			return cell{}, errNUL
		}
		var b bytes.Buffer
		err := json.Compact(&b, raw)
		return cell{text: b.String()}, err
	}
	var s string
	switch raw[0] {
	case '"':
		if err := json.Unmarshal(raw, &s); err != nil {
			return cell{}, err
		}
		if strings.ContainsRune(s, 0) {
			return cell{}, errNUL
		}
		return encodeText(c, s)
	case '{', '[':
		if c == text {
			return cell{text: string(raw)}, nil
		}
	case 't', 'f':
		if c == boolean || c == text || c == other {
			return cell{text: string(raw)}, nil
		}
	default:
		return encodeNumber(c, string(raw))
	}
	return cell{}, unfit(c, raw)
}

var errNUL = errors.New("it holds the character NUL (\\u0000), which the database can't keep: remove it at the source")

func unfit(c class, raw []byte) error {
	kind := map[byte]string{'"': "text", '{': "an object", '[': "a list", 't': "a boolean", 'f': "a boolean"}[raw[0]]
	if kind == "" {
		kind = "a number"
	}
	return fmt.Errorf("it is %s, and the column holds %s", kind, c)
}

// hasNUL finds the escaped character NUL: a backslash that is not itself
// escaped, and u0000.
func hasNUL(raw []byte) bool {
	for {
		i := bytes.Index(raw, []byte(`\`))
		if i < 0 || i+1 >= len(raw) {
			return false
		}
		if bytes.HasPrefix(raw[i:], []byte(`\u0000`)) {
			return true
		}
		raw = raw[i+2:]
	}
}

func encodeText(c class, s string) (cell, error) {
	switch c {
	case text, other:
		return cell{text: s}, nil
	case date:
		if _, err := time.Parse(time.DateOnly, s); err != nil {
			return cell{}, fmt.Errorf("%q is not a date like 2026-01-31", clip(s))
		}
		return cell{text: s}, nil
	case instant:
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return cell{}, fmt.Errorf("%q is not a time like 2026-01-31T12:00:00Z", clip(s))
		}
		at = at.UTC().Truncate(time.Microsecond)
		if at.Year() < 1 || at.Year() > 9999 {
			return cell{}, fmt.Errorf("the year of %q is out of range", clip(s))
		}
		return cell{text: at.Format(instantForm)}, nil
	case binary:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return cell{}, errors.New("it is not base64")
		}
		return cell{text: fmt.Sprintf(`\x%x`, b)}, nil
	}
	return cell{}, unfit(c, []byte(`"`))
}

// longestNumber bounds the digits and the exponent of what is compared or
// converted.
const longestNumber = 400

func encodeNumber(c class, s string) (cell, error) {
	switch c {
	case decimal, float, text, other:
		return cell{text: s}, nil
	case integer:
		r, ok := rational(s)
		if !ok || !r.IsInt() {
			return cell{}, fmt.Errorf("%s is not a whole number", clip(s))
		}
		if !r.Num().IsInt64() {
			return cell{}, fmt.Errorf("%s is too large for 64 bits", clip(s))
		}
		return cell{text: r.Num().String()}, nil
	}
	return cell{}, unfit(c, []byte(s))
}

// rational reads a number exactly; not ok if it is out of all proportion.
func rational(s string) (*big.Rat, bool) {
	if len(s) > longestNumber {
		return nil, false
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		if e, err := strconv.Atoi(s[i+1:]); err != nil || e > longestNumber || e < -longestNumber {
			return nil, false
		}
	}
	return new(big.Rat).SetString(s)
}

// decode makes JSON of the text that a database gives for a column, in want's
// own form if it is the same value.
func decode(c class, have cell, want json.RawMessage) (json.RawMessage, error) {
	if have.null {
		return json.RawMessage("null"), nil
	}
	as := c
	if c == other && isNumber(want) { // a domain over numeric has zeros of its own at the end
		as = decimal
	}
	if w, err := encode(c, want); err == nil && !w.null && same(as, w.text, have.text) {
		return want, nil
	}
	raw, err := plain(c, have.text)
	if err != nil || c != document {
		return raw, err
	}
	return connector.Project(want, raw)
}

// same compares two texts of a class by value.
func same(c class, a, b string) bool {
	if a == b {
		return true
	}
	switch c {
	case decimal, integer:
		x, okx := rational(a)
		y, oky := rational(b)
		return okx && oky && x.Cmp(y) == 0
	case float:
		x, errx := strconv.ParseFloat(a, 64)
		y, erry := strconv.ParseFloat(b, 64)
		return errx == nil && erry == nil && x == y
	}
	return false
}

// plain makes JSON of a database's text.
func plain(c class, s string) (json.RawMessage, error) {
	switch c {
	case integer, decimal, float:
		if json.Valid([]byte(s)) && s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') {
			return json.RawMessage(s), nil
		}
	case boolean:
		if s == "true" || s == "false" {
			return json.RawMessage(s), nil
		}
	case document:
		if json.Valid([]byte(s)) {
			return json.RawMessage(s), nil
		}
		return nil, errors.New("the database's value is not JSON")
	case instant:
		if at, err := time.Parse(instantForm, s); err == nil {
			s = at.Format(time.RFC3339Nano)
		}
	case binary:
		var b []byte
		if _, err := fmt.Sscanf(s, `\x%x`, &b); err == nil || s == `\x` {
			s = base64.StdEncoding.EncodeToString(b)
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(s) // NaN, infinity and the like stay texts
	return bytes.TrimSpace(b.Bytes()), err
}

func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
