package warehouse

import (
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// keeper refuses a value that the database would alter without a word, in the
// form that [encode] makes; number tells that it was a JSON number. Nil keeps
// every value of the column's class, or the database itself refuses it.
//
// What passes is told the same by [same] when it is read back: otherwise it
// would differ for good, though nobody changed it.
type keeper func(text string, number bool) error

// encode makes what is loaded into the column, or tells why it can't be kept.
func (c column) encode(raw []byte) (cell, error) {
	v, err := encode(c.class, raw)
	if err == nil && !v.null && c.keeps != nil {
		err = c.keeps(v.text, isNumber(raw))
	}
	return v, err
}

// isNumber tells valid JSON that is a number.
func isNumber(raw []byte) bool {
	s := strings.TrimSpace(string(raw))
	return s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9')
}

var sizedType = regexp.MustCompile(`^([a-z0-9 ]+?)\s*(?:\(\s*(\d+)\s*(?:,\s*(-?\d+)\s*)?\)(?: with(?:out)? time zone)?)?$`)

// keeps follows what PostgreSQL does to a value that is assigned to a column:
// it rounds digits, cuts spaces off and pads with them.
func (postgres) keeps(columnType string) keeper {
	m := sizedType.FindStringSubmatch(strings.ToLower(strings.TrimSpace(columnType)))
	if m == nil {
		return nil
	}
	size, err := strconv.Atoi(m[2])
	sized := err == nil
	switch m[1] {
	case "numeric", "decimal":
		if sized {
			scale, _ := strconv.Atoi(m[3]) // none is 0
			return keepsScale(columnType, scale)
		}
	case "real", "float4":
		return keepsSingle(columnType)
	case "timestamp", "timestamptz":
		if sized && size < 6 {
			return keepsFraction(columnType, size)
		}
	case "character varying", "varchar":
		if sized {
			return keepsLength(columnType, size)
		}
	case "character", "char", "bpchar":
		if !sized {
			return keepsNoSpaces(columnType)
		}
		short, bare := keepsLength(columnType, size), keepsNoSpaces(columnType)
		return func(s string, number bool) error {
			if err := short(s, number); err != nil {
				return err
			}
			return bare(s, number)
		}
	}
	return nil
}

func keepsScale(columnType string, scale int) keeper {
	tens := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(scale, -scale))), nil))
	if scale < 0 {
		tens.Inv(tens)
	}
	return func(s string, number bool) error {
		if _, fraction, _ := strings.Cut(s, "."); number && scale >= 0 && len(fraction) <= scale && !strings.ContainsAny(s, "eE") {
			return nil
		}
		r, ok := rational(s)
		if !ok && !number {
			return nil // of a domain: the database says what it is
		}
		if ok && new(big.Rat).Mul(r, tens).IsInt() {
			return nil
		}
		return fmt.Errorf("it has more digits than the column keeps, which is %s and would round it: make the column wider, or round in the mapping: round(..., %d)", columnType, scale)
	}
}

func keepsSingle(columnType string) keeper {
	return func(s string, _ bool) error {
		single, err := strconv.ParseFloat(s, 32)
		if err != nil {
			return nil // the database says so
		}
		back := strconv.FormatFloat(single, 'g', -1, 32)
		if same(float, s, back) {
			return nil
		}
		return fmt.Errorf("it has more digits than the column keeps, which is %s and would round it: make the column double precision or numeric, or round in the mapping", columnType)
	}
}

// keepsFraction is for the form that [instantForm] has.
func keepsFraction(columnType string, digits int) keeper {
	return func(s string, _ bool) error {
		_, fraction, _ := strings.Cut(strings.TrimSuffix(s, "Z"), ".")
		if len(fraction) <= digits || strings.Trim(fraction[digits:], "0") == "" {
			return nil
		}
		return fmt.Errorf("its second has more digits than the column keeps, which is %s and would round it: make the column's type one without (%d)", columnType, digits)
	}
}

// keepsLength is also for what PostgreSQL cuts instead of refusing it: spaces
// at the end.
func keepsLength(columnType string, most int) keeper {
	return func(s string, _ bool) error {
		if n := utf8.RuneCountInString(s); n > most {
			return fmt.Errorf("it is too long for the column, which is %s: it has %d characters; make the column wider, or cut it in the mapping", columnType, n)
		}
		return nil
	}
}

// keepsNoSpaces is for a type to which spaces at the end are padding.
func keepsNoSpaces(columnType string) keeper {
	return func(s string, _ bool) error {
		if strings.HasSuffix(s, " ") {
			return fmt.Errorf("it ends with a space, and the column is %s, which keeps none at the end: make the column text, or trim in the mapping: trim(...)", columnType)
		}
		return nil
	}
}

// looksNumeric is a text of which a column with the affinity NUMERIC makes a
// number.
var looksNumeric = regexp.MustCompile(`^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$`)

// keeps is about types that SQLite takes for numbers, since it does not know
// them; see https://www.sqlite.org/datatype3.html.
func (s sqlite) keeps(columnType string) keeper {
	t := strings.ToUpper(strings.TrimSpace(columnType))
	if s.class(t) != other || t == "" || strings.Contains(t, "BLOB") || strings.Contains(t, "CLOB") {
		return nil
	}
	return func(text string, number bool) error {
		if !looksNumeric.MatchString(text) {
			return nil
		}
		if !number {
			return fmt.Errorf("SQLite makes a number of it in a column of the type %s: make the column TEXT", columnType)
		}
		if _, err := strconv.ParseInt(text, 10, 64); err == nil {
			return nil
		}
		const shown = 15 // digits of a real that SQLite shows
		f, err := strconv.ParseFloat(text, 64)
		if err == nil && same(decimal, text, strconv.FormatFloat(f, 'g', shown, 64)) {
			return nil
		}
		return fmt.Errorf("it has more digits than SQLite keeps in a column of the type %s: make the column DECIMAL_TEXT, or round in the mapping", columnType)
	}
}
