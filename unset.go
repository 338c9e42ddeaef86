package upkeep

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// unset is the error of a time or a date that nobody set, in a value that
// encoding/json has written as b; nil for none. What has a method of its own for
// JSON says itself what it means.
func unset(v reflect.Value, b []byte, depth int) error {
	if depth > maxDepth || !v.IsValid() {
		return nil
	}
	var err error
	switch x := v.Interface().(type) {
	case time.Time:
		_, err = plainTime(x)
		return writtenIn(b, x, err)
	case Date:
		_, err = plainDate(x)
		return writtenIn(b, x, err)
	case *time.Time, *Date:
		return unset(v.Elem(), b, depth+1)
	case json.Marshaler, encoding.TextMarshaler:
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return unset(v.Elem(), b, depth+1)
	case reflect.Struct:
		return unsetField(v, b, depth)
	case reflect.Slice, reflect.Array:
		for i := 0; i < v.Len() && err == nil; i++ {
			if err = unset(v.Index(i), b, depth+1); err != nil {
				err = fmt.Errorf("[%d]: %w", i, err)
			}
		}
	case reflect.Map:
		for at := v.MapRange(); err == nil && at.Next(); {
			if err = unset(at.Value(), b, depth+1); err != nil {
				err = fmt.Errorf("%v: %w", at.Key(), err)
			}
		}
	}
	return err
}

// writtenIn is err if the value stands in b: one that is hidden by another field
// of its name does not.
func writtenIn(b []byte, v any, err error) error {
	if err == nil {
		return nil
	}
	if text, failed := marshal(v); failed != nil || !bytes.Contains(b, text) {
		return nil
	}
	return err
}

// unsetField is unset of the fields that encoding/json writes of a struct.
func unsetField(v reflect.Value, b []byte, depth int) error {
	for i := range v.NumField() {
		f, value := v.Type().Field(i), v.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		of := f.Type
		if f.Anonymous && of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		switch {
		case name == "-" && options == "", !f.IsExported() && !(f.Anonymous && of.Kind() == reflect.Struct),
			strings.Contains(","+options+",", ",omitzero,") && isZero(value):
			continue
		case !f.IsExported(): // its own fields may be exported
			if value.Kind() == reflect.Pointer {
				value = value.Elem()
			}
			if value.IsValid() {
				if err := unsetField(value, b, depth+1); err != nil {
					return err
				}
			}
			continue
		case name == "":
			name = f.Name
		}
		if err := unset(value, b, depth+1); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// isZero is what omitzero goes by.
func isZero(v reflect.Value) bool {
	if own, ok := v.Interface().(interface{ IsZero() bool }); ok && (v.Kind() != reflect.Pointer || !v.IsNil()) {
		return own.IsZero()
	}
	return v.IsZero()
}
