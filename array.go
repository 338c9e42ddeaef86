package upkeep

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// listField says whether a field takes the elements of a PostgreSQL array; a
// slice of bytes is one value.
func listField(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8
}

// assignArray sets a slice from the text of a PostgreSQL array.
func assignArray(field reflect.Value, text string) error {
	elements, err := store.Array(text)
	if err != nil {
		return fmt.Errorf("the column %w; use string, which has what the database writes", err)
	}
	list := reflect.MakeSlice(field.Type(), len(elements), len(elements))
	for i, e := range elements {
		if err := assignElement(list.Index(i), e); err != nil {
			return fmt.Errorf("element %d of the array: %w", i+1, err)
		}
	}
	field.Set(list)
	return nil
}

// assignElement sets an element from what the database writes of it.
func assignElement(to reflect.Value, text *string) error {
	t := to.Type()
	switch {
	case text == nil && t.Kind() == reflect.Pointer:
		return nil
	case text == nil:
		return fmt.Errorf("it is NULL; make the elements pointers ([]*%s)", pointedTo(t))
	case t.Kind() == reflect.Pointer:
		p := reflect.New(t.Elem())
		to.Set(p)
		return assignElement(p.Elem(), text)
	}
	if done, err := assignByMethod(to, *text); done {
		return err
	}
	var err error
	switch {
	case t.Kind() == reflect.String:
		to.SetString(*text)
	case to.CanInt():
		var n int64
		n, err = strconv.ParseInt(*text, 10, t.Bits())
		to.SetInt(n)
	case to.CanUint():
		var n uint64
		n, err = strconv.ParseUint(*text, 10, t.Bits())
		to.SetUint(n)
	case to.CanFloat():
		var f float64
		f, err = strconv.ParseFloat(*text, t.Bits())
		to.SetFloat(f)
	case t.Kind() == reflect.Bool && (*text == "t" || *text == "f"):
		to.SetBool(*text == "t")
	default:
		return unreadable(*text, t)
	}
	if err != nil {
		return fmt.Errorf("%q can't be read into %s", *text, typeName(t))
	}
	return nil
}

// arraySample is an array of a column's type, "" if its elements are of a type
// of which no sample is known.
func arraySample(column string) string {
	element, _, _ := strings.Cut(strings.TrimSuffix(column, "[]"), "(")
	switch element {
	case "smallint", "integer", "bigint":
		return "{1}"
	case "numeric", "real", "double precision":
		return "{1.5}"
	case "boolean":
		return "{t}"
	case "date":
		return "{2026-01-02}"
	case "text", "character varying", "character", "interval", "bytea":
		return "{x}"
	case "timestamp without time zone", "timestamp with time zone":
		return `{"2026-01-02 03:04:05"}`
	}
	return ""
}
