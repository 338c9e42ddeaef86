package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/mapping"
)

// decode fills a struct (or a map, a list, a scalar) from a value, strictly:
// an unknown key or a wrong type is a problem with its place. A struct's keys
// are its yaml tags, or its field names in lower case. A type that implements
// [encoding.TextUnmarshaler] is read from text; durations are like "30s". A
// field whose tag has the option template holds texts in which $ means
// something to the connector, see [reader.expandText]. A [connector.Secret] must
// not be empty, unless its tag has the option optional; a duration must not be
// less than nothing, unless its tag has the option negative.
func (r *reader) decode(v *value, into reflect.Value) {
	t := into.Type()
	if t == reflect.TypeFor[connector.Secret]() && (v.scalar() || v.kind == nothing) {
		into.SetString(r.credential(v))
		return
	}
	if v.kind == nothing {
		return
	}
	if t.Kind() == reflect.Pointer {
		p := reflect.New(t.Elem())
		r.decode(v, p.Elem())
		into.Set(p)
		return
	}
	if u, ok := into.Addr().Interface().(encoding.TextUnmarshaler); ok && v.scalar() {
		if err := u.UnmarshalText([]byte(r.expand(v))); err != nil {
			r.fail(v.at, err.Error(), "")
		}
		return
	}
	if t == reflect.TypeFor[time.Duration]() {
		into.SetInt(int64(r.duration(v)))
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		r.decodeStruct(v, into)
	case reflect.Map:
		r.decodeMap(v, into)
	case reflect.Slice:
		if !r.is(v, sequence) {
			return
		}
		list := reflect.MakeSlice(t, len(v.items), len(v.items))
		for i, e := range v.items {
			r.decode(e, list.Index(i))
		}
		into.Set(list)
	case reflect.Interface:
		if t.NumMethod() == 0 {
			into.Set(reflect.ValueOf(r.plain(v)))
		}
	default:
		r.decodeScalar(v, into)
	}
}

// credential is a secret that was given, and can't be meant to be empty unless
// the option says so: with nothing in it a login fails, or there is none.
func (r *reader) credential(v *value) string {
	if r.optional {
		return r.expand(v)
	}
	before := r.failures
	s := r.expandSecret(v)
	if strings.TrimSpace(s) == "" && r.failures == before {
		r.fail(v.at, "is empty, and a secret can't be", "write the secret, best as ${NAME}, or leave the key out if there is none")
	}
	return s
}

func (v *value) scalar() bool { return v.kind == text || v.kind == number || v.kind == boolean }

// is reports a value of another kind.
func (r *reader) is(v *value, want kind) bool {
	if v.kind == want {
		return true
	}
	r.fail(v.at, fmt.Sprintf("must be %s, not %s", want, v.kind), "")
	return false
}

func (r *reader) decodeScalar(v *value, into reflect.Value) {
	if !v.scalar() {
		r.fail(v.at, fmt.Sprintf("must be %s, not %s", goWord(into.Kind()), v.kind), "")
		return
	}
	s := r.expand(v)
	var err error
	switch k := into.Kind(); k {
	case reflect.String:
		into.SetString(s)
		return
	case reflect.Bool:
		var b bool
		if b, err = strconv.ParseBool(s); err == nil {
			into.SetBool(b)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var i int64
		if i, err = strconv.ParseInt(s, 10, into.Type().Bits()); err == nil {
			into.SetInt(i)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var u uint64
		if u, err = strconv.ParseUint(s, 10, into.Type().Bits()); err == nil {
			into.SetUint(u)
		}
	case reflect.Float32, reflect.Float64:
		var f float64
		if f, err = strconv.ParseFloat(s, into.Type().Bits()); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			into.SetFloat(f)
		}
	default:
		r.fail(v.at, "can't be given in a configuration", "")
		return
	}
	if err != nil {
		r.fail(v.at, "must be "+goWord(into.Kind()), "")
	}
}

func goWord(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "an integer"
}

// structField is a struct's field that a key fills.
type structField struct {
	reflect.Value
	template, optional, negative bool
}

// structFields are the fields of a struct by their keys, embedded ones and
// those marked inline with their own.
func structFields(v reflect.Value) (map[string]structField, []string) {
	fields := map[string]structField{}
	var names []string
	for i := range v.NumField() {
		f := v.Type().Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if tag == "-" || !f.IsExported() {
			continue
		}
		if f.Type.Kind() == reflect.Struct && (f.Anonymous && tag == "" || strings.Contains(options, "inline")) {
			inner, more := structFields(v.Field(i))
			for _, n := range more {
				fields[n] = inner[n]
			}
			names = append(names, more...)
			continue
		}
		if tag == "" {
			tag = strings.ToLower(f.Name)
		}
		fields[tag] = structField{v.Field(i), strings.Contains(options, "template"), strings.Contains(options, "optional"), strings.Contains(options, "negative")}
		names = append(names, tag)
	}
	return fields, names
}

func (r *reader) decodeStruct(v *value, into reflect.Value) {
	if !r.is(v, object) {
		return
	}
	fields, names := structFields(into)
	names = append(names, r.general...)
	r.general = nil // those beside the outermost only
	for _, e := range v.entries {
		f, ok := fields[e.key]
		if !ok {
			r.fail(e.at, fmt.Sprintf("unknown key %q", e.key), mapping.Suggest(e.key, names))
			continue
		}
		outer := r.template
		r.template, r.optional, r.negative = outer || f.template, f.optional, f.negative
		r.decode(e.value, f.Value)
		r.template, r.optional, r.negative = outer, false, false
	}
}

func (r *reader) decodeMap(v *value, into reflect.Value) {
	if !r.is(v, object) {
		return
	}
	t := into.Type()
	if t.Key().Kind() != reflect.String {
		r.fail(v.at, "can't be given in a configuration", "")
		return
	}
	m := reflect.MakeMap(t)
	for _, e := range v.entries {
		elem := reflect.New(t.Elem()).Elem()
		r.decode(e.value, elem)
		m.SetMapIndex(reflect.ValueOf(e.key).Convert(t.Key()), elem)
	}
	into.Set(m)
}

// plain is a value as encoding/json would decode it.
func (r *reader) plain(v *value) any {
	switch v.kind {
	case nothing:
		return nil
	case object:
		m := map[string]any{}
		for _, e := range v.entries {
			m[e.key] = r.plain(e.value)
		}
		return m
	case sequence:
		l := make([]any, len(v.items))
		for i, e := range v.items {
			l[i] = r.plain(e)
		}
		return l
	case boolean:
		return v.text == "true"
	case number:
		if x, ok := r.numberOf(v); ok {
			return x
		}
	}
	return r.expand(v)
}

func (r *reader) duration(v *value) time.Duration {
	if !v.scalar() {
		r.fail(v.at, fmt.Sprintf("must be a duration, not %s", v.kind), `write "30s" or "5m"`)
		return 0
	}
	d, err := time.ParseDuration(r.expand(v))
	if err == nil && d < 0 && !r.negative {
		r.fail(v.at, "must be more than nothing", "leave it out for the default")
		return 0
	}
	if err != nil {
		r.fail(v.at, "must be a duration", `write it with a unit: "30s", "5m", "1h30m"`)
	}
	return d
}
