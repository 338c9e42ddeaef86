package upkeep

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"github.com/shopspring/decimal"
)

// decodable says whether a field of this type can take a column.
func decodable(t reflect.Type) error {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer, reflect.Pointer, reflect.Uintptr:
		return fmt.Errorf("a column can't be read into a %s", t)
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
		return fmt.Errorf("the column is NULL; make the field a pointer (*%s)", field.Type())
	}
	rv := reflect.ValueOf(v)
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
		if u, ok := field.Addr().Interface().(encoding.TextUnmarshaler); ok {
			return u.UnmarshalText([]byte(v))
		}
	case decimal.Decimal:
		if field.CanFloat() {
			return fmt.Errorf("an exact decimal can't be read into a %s; use decimal.Decimal or string", field.Type())
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
	return fmt.Errorf("a %T can't be read into a %s", v, field.Type())
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
		return fmt.Errorf("an integer can't be read into a %s", field.Type())
	}
	return nil
}
