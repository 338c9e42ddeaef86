package upkeep

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// decodable says whether a field of this type can take a column.
func decodable(t reflect.Type) error {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.PkgPath() == "database/sql" && strings.HasPrefix(t.Name(), "Null") {
		return fmt.Errorf("a column can't be read into %s; use *%s, which is nil for NULL", t, typeName(t.Field(0).Type))
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer, reflect.Pointer, reflect.Uintptr:
		return fmt.Errorf("a column can't be read into %s", typeName(t))
	}
	return nil
}

// assign sets a struct field from a row's value. NULL leaves a pointer nil and
// is an error for other types, because a zero would be a lie.
func assign(field reflect.Value, v any) error {
	if field.Kind() == reflect.Pointer {
		if v == nil {
			return nil
		}
		p := reflect.New(field.Type().Elem())
		if err := assign(p.Elem(), v); err != nil {
			return err
		}
		field.Set(p)
		return nil
	}
	if v == nil {
		if field.Kind() == reflect.Slice || field.Kind() == reflect.Map || field.Kind() == reflect.Interface {
			return nil
		}
		return fmt.Errorf("the column is NULL, or its JSON is null; make the field a pointer (*%s)", pointedTo(field.Type()))
	}
	rv := reflect.ValueOf(v)
	if rv.Type() != field.Type() {
		if done, err := assignByMethod(field, v); done {
			return err
		}
	}
	if rv.Type().AssignableTo(field.Type()) {
		field.Set(rv)
		return nil
	}
	switch v := v.(type) {
	case int64:
		return assignInt(field, v)
	case float64:
		if field.CanFloat() {
			field.SetFloat(v)
			return nil
		}
	case string:
		if field.Kind() == reflect.String {
			field.SetString(v)
			return nil
		}
		if listField(field.Type()) && (strings.HasPrefix(v, "{") || strings.HasPrefix(v, "[")) {
			return assignArray(field, v)
		}
	case decimal.Decimal:
		if field.CanFloat() {
			return fmt.Errorf("an exact decimal can't be read into %s; use decimal.Decimal or string", field.Type())
		}
		if v.IsInteger() && field.CanInt() {
			return assignInt(field, v.IntPart())
		}
		if field.Kind() == reflect.String {
			field.SetString(v.String())
			return nil
		}
	case Date:
		if field.Type() == reflect.TypeOf(v.Time()) {
			field.Set(reflect.ValueOf(v.Time()))
			return nil
		}
	}
	if rv.Type().ConvertibleTo(field.Type()) && rv.Kind() == field.Kind() {
		field.Set(rv.Convert(field.Type()))
		return nil
	}
	if _, text := v.(string); !text { // a JSON column into a type of its own
		if b, err := json.Marshal(v); err == nil && json.Unmarshal(b, field.Addr().Interface()) == nil {
			return nil
		}
	}
	return unreadable(v, field.Type())
}

// unreadable says that a value is none of the field's type, and which type
// would take it where that is not plain.
func unreadable(v any, t reflect.Type) error {
	var what, hint string
	switch v.(type) {
	case int64:
		what = "an integer"
	case float64:
		what = "a float"
	case decimal.Decimal:
		what = "an exact decimal"
	case bool:
		what = "a boolean"
	case time.Time:
		what = "a time"
		if t == reflect.TypeFor[Date]() {
			hint = "; use time.Time, or make the column a date"
		}
	case Date:
		what, hint = "a date", "; use upkeep.Date or time.Time"
	case string:
		what = "a text"
		switch {
		case t == reflect.TypeFor[time.Duration](), t.Kind() == reflect.Slice, t.Kind() == reflect.Array, t.Kind() == reflect.Map:
			hint = "; use string, which has what the database writes"
		}
	case []byte:
		what, hint = "a string of bytes", "; use []byte"
	case map[string]any:
		what = "a JSON object"
	case []any:
		what = "a JSON array"
	default:
		what = "this JSON value"
	}
	return fmt.Errorf("%s can't be read into %s%s", what, typeName(t), hint)
}

// pointedTo is the type of which a pointer takes what t takes, and NULL: of a
// type that is made to be null in another way, the one inside it.
func pointedTo(t reflect.Type) string {
	name := typeName(t)
	switch {
	case name == "decimal.NullDecimal", name == "pgtype.Numeric":
		return "decimal.Decimal"
	case name == "pgtype.Date":
		return "upkeep.Date"
	case name == "pgtype.Timestamp", name == "pgtype.Timestamptz":
		return "time.Time"
	case strings.HasPrefix(name, "pgtype.") && t.Kind() == reflect.Struct:
		if t.NumField() == 2 && name != "pgtype.Time" { // a value, and whether there is one
			switch inside := t.Field(0).Type; inside.Kind() {
			case reflect.Bool, reflect.String, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Float32, reflect.Float64:
				return typeName(inside)
			}
		}
		return "string" // as the database writes it
	}
	return name
}

// typeName is the name of a type as a program has it.
func typeName(t reflect.Type) string {
	return strings.NewReplacer("store.Civil", "upkeep.Date", "interface {}", "any").Replace(t.String())
}

func assignInt(field reflect.Value, v int64) error {
	switch {
	case field.CanInt():
		if field.OverflowInt(v) {
			return fmt.Errorf("%d does not fit into %s", v, field.Type())
		}
		field.SetInt(v)
	case field.CanUint():
		if v < 0 || field.OverflowUint(uint64(v)) {
			return fmt.Errorf("%d does not fit into %s", v, field.Type())
		}
		field.SetUint(uint64(v))
	case field.Kind() == reflect.Bool && (v == 0 || v == 1):
		field.SetBool(v == 1)
	case field.Type() == reflect.TypeFor[decimal.Decimal]():
		field.Set(reflect.ValueOf(decimal.NewFromInt(v)))
	case field.Kind() == reflect.String:
		field.SetString(strconv.FormatInt(v, 10))
	default:
		return unreadable(v, field.Type())
	}
	return nil
}
