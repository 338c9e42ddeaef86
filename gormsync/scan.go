package gormsync

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"gorm.io/gorm/schema"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// set sets one column the way GORM does: what the driver hands over is scanned
// into what GORM has for the field, and GORM sets the field from there. Nothing
// is taken back into GORM's pool, so that a Scan that does not end has no value
// that is another's too.
func set(ctx context.Context, f *schema.Field, into reflect.Value, v any) error {
	from, err := store.Driven(v)
	if err != nil {
		return err
	}
	if key, ok := from.(string); ok && f.Serializer == nil && f.IndirectFieldType == reflect.TypeFor[time.Time]() {
		return f.Set(ctx, into, key) // of a row that is gone, whose key is a text
	}
	to := f.NewValuePool.Get()
	if err := scan(to, from); err != nil {
		return err
	}
	return f.Set(ctx, into, to)
}

// scan sets what dest points at as Rows.Scan of database/sql does, which
// exports it for rows alone.
func scan(dest any, v driver.Value) error {
	switch d := dest.(type) {
	case sql.Scanner: // before its kind, also where that is one of those below
		return d.Scan(v)
	case *any:
		*d = v
		return nil
	case *bool:
		b, err := driver.Bool.ConvertValue(v)
		if err != nil {
			return unreadable(v, dest)
		}
		*d = b.(bool)
		return nil
	case *string:
		s, ok := textOf(v)
		*d = s
		return readable(ok, v, dest)
	case *[]byte:
		s, ok := textOf(v)
		*d = []byte(s)
		return readable(ok, v, dest)
	}
	return scanKind(reflect.ValueOf(dest).Elem(), v)
}

// scanKind is scan into a type without a Scan, by its kind.
func scanKind(to reflect.Value, v driver.Value) error {
	if to.Kind() == reflect.Pointer {
		if v == nil {
			to.SetZero()
			return nil
		}
		to.Set(reflect.New(to.Type().Elem()))
		return scan(to.Interface(), v)
	}
	if v == nil {
		return fmt.Errorf("NULL can't be read into %s", to.Type())
	}
	from := reflect.ValueOf(v)
	switch {
	case from.Type().AssignableTo(to.Type()):
		to.Set(from)
		return nil
	case from.Kind() == to.Kind() && from.CanConvert(to.Type()):
		to.Set(from.Convert(to.Type()))
		return nil
	}
	if to.Kind() == reflect.String {
		b, is := v.([]byte)
		to.SetString(string(b))
		return readable(is, v, to.Addr().Interface())
	}
	text, ok := textOf(v)
	if !ok {
		return unreadable(v, to.Addr().Interface())
	}
	var err error
	switch {
	case to.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, to.Type().Bits())
		to.SetInt(n)
	case to.CanUint():
		var n uint64
		n, err = strconv.ParseUint(text, 10, to.Type().Bits())
		to.SetUint(n)
	case to.CanFloat():
		var n float64
		n, err = strconv.ParseFloat(text, to.Type().Bits())
		to.SetFloat(n)
	default:
		return unreadable(v, to.Addr().Interface())
	}
	if err != nil {
		return fmt.Errorf("%q can't be read into %s", text, to.Type())
	}
	return nil
}

// textOf is a value as a text; false for NULL.
func textOf(v driver.Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	case time.Time:
		return v.Format(time.RFC3339Nano), true
	}
	return "", false
}

func readable(ok bool, v driver.Value, dest any) error {
	if ok {
		return nil
	}
	return unreadable(v, dest)
}

// unreadable says that GORM could not read the value either.
func unreadable(v driver.Value, dest any) error {
	return fmt.Errorf("GORM can't read a %T into %s; give the type a Scan, or the field a serializer", v, reflect.TypeOf(dest).Elem())
}
