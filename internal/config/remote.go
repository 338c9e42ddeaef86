package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/mapping"
)

// Connector opens connections of one kind of remote system.
type Connector struct {
	// New makes a connection. decode fills the connector's own configuration
	// struct, strictly; its error is returned as it is.
	New func(decode func(into any) error) (connector.Connection, error)
}

// Opens makes a Connector of a function that opens a connection from a
// connector's own configuration struct.
func Opens[C any, T connector.Connection](open func(C) (T, error)) Connector {
	return Connector{New: func(decode func(any) error) (connector.Connection, error) {
		var c C
		if err := decode(&c); err != nil {
			return nil, err
		}
		return open(c)
	}}
}

// Connectors are the connectors of a program, by the name that a
// configuration has for them.
type Connectors map[string]Connector

// remote is a remote as the file declares it.
type remote struct {
	name      string
	at        place // of the name
	broken    bool  // something of its own is wrong
	connector string
	kindAt    place
	options   *value // the connector's own keys
	limits    upkeep.Remote
}

var remoteKeys = []string{"connector", "concurrency", "rate", "burst", "timeout", "quiet"}

func (r *reader) remotes(v *value) []*remote {
	if v == nil || !r.is(v, object) {
		return nil
	}
	var out []*remote
	for _, e := range v.entries {
		m := &remote{name: e.key, at: e.at, limits: upkeep.Remote{Name: e.key}}
		out = append(out, m)
		before := len(r.errs)
		r.checkName(e, "a remote")
		if !r.is(e.value, object) {
			m.broken = true
			continue
		}
		m.options = &value{at: e.value.at, kind: object}
		for _, o := range e.value.entries {
			r.remoteKey(m, o)
		}
		if m.connector == "" {
			r.fail(e.at, fmt.Sprintf("remote %q has no connector", e.key), "write connector: netsuite, or another kind of system")
		}
		m.broken = len(r.errs) > before
	}
	return out
}

func (r *reader) remoteKey(m *remote, o entry) {
	switch o.key {
	case "connector":
		m.connector, m.kindAt = r.word(o.value), o.value.at
	case "concurrency":
		m.limits.Concurrency = r.positive(o.value)
	case "burst":
		m.limits.Burst = r.positive(o.value)
	case "rate":
		r.decode(o.value, reflect.ValueOf(&m.limits.Rate).Elem())
		if m.limits.Rate < 0 {
			r.fail(o.value.at, "must not be negative", "it is requests per second; leave it out for no limit")
		}
	case "timeout":
		m.limits.Timeout = r.duration(o.value)
	case "quiet":
		m.limits.Quiet = r.duration(o.value)
	default:
		m.options.entries = append(m.options.entries, o)
		r.checkVariables(o.key, o.value)
	}
}

// checkVariables reports variables that are not set (the connector's own keys
// are decoded later), and remembers what sounds like a secret.
func (r *reader) checkVariables(key string, v *value) {
	switch {
	case v.scalar() && secretName.MatchString(key):
		r.secret(r.expandSecret(v))
	case v.scalar():
		r.expand(v)
	}
	for _, e := range v.entries {
		r.checkVariables(e.key, e.value)
	}
	for _, e := range v.items {
		r.checkVariables(key, e)
	}
}

// positive is an integer above zero.
func (r *reader) positive(v *value) int {
	n := 0
	before := len(r.errs)
	r.decode(v, reflect.ValueOf(&n).Elem())
	if n <= 0 && len(r.errs) == before {
		r.fail(v.at, "must be an integer above 0", "leave it out for the default")
	}
	return n
}

// Remotes lists the names of the remotes, in the order of the file.
func (f *File) Remotes() []string {
	var out []string
	for _, m := range f.remotes {
		out = append(out, m.name)
	}
	return out
}

// Open makes a connection for each remote. The caller closes them. When one
// can't be made, the others are closed, and the error tells all problems.
func (f *File) Open(connectors Connectors) (map[string]*upkeep.Remote, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]*upkeep.Remote{}
	for _, m := range f.remotes {
		c, ok := connectors[m.connector]
		if !ok {
			f.reader.fail(m.kindAt, fmt.Sprintf("unknown connector %q", m.connector),
				mapping.Suggest(m.connector, slices.Sorted(maps.Keys(connectors))))
			continue
		}
		before := len(f.reader.errs)
		conn, err := c.New(func(into any) error { return f.options(m, into) })
		if err != nil && len(f.reader.errs) == before && !f.reader.failOptions(m, err) {
			f.reader.fail(m.at, fmt.Sprintf("remote %q: %v", m.name, err), "")
		}
		if conn == nil || err != nil {
			continue
		}
		r := m.limits
		r.Connection = conn
		out[m.name] = &r
	}
	errs := f.reader.take()
	if len(errs) == 0 {
		return out, nil
	}
	for _, r := range out {
		_ = r.Connection.Close() // nothing was sent yet, and errs is what counts
	}
	return nil, errs
}

func (f *File) options(m *remote, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return errors.New("decode needs a pointer")
	}
	before := len(f.reader.errs)
	f.reader.general = remoteKeys
	f.reader.decode(m.options, v.Elem())
	f.reader.general = nil
	if n := len(f.reader.errs); n > before {
		return slices.Clone(f.reader.errs[before:])
	}
	return nil
}

// failOptions reports the problems of single options in an error, each at its
// place; false if there is none.
func (r *reader) failOptions(m *remote, err error) bool {
	var option *connector.OptionError
	if !errors.As(err, &option) {
		return false
	}
	switch e := err.(type) {
	case *connector.OptionError:
		r.fail(r.optionPlace(m, e), e.Err.Error(), "")
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			if !r.failOptions(m, err) {
				r.fail(m.at, fmt.Sprintf("remote %q: %v", m.name, err), "")
			}
		}
	case interface{ Unwrap() error }:
		return r.failOptions(m, e.Unwrap())
	}
	return true
}

// optionPlace is where an option stands, or the nearest that it is missing in.
func (r *reader) optionPlace(m *remote, e *connector.OptionError) place {
	at, v := m.at, m.options
	for _, key := range e.Path {
		i := slices.IndexFunc(v.entries, func(o entry) bool { return o.key == key })
		n, err := strconv.Atoi(key)
		switch {
		case i >= 0:
			at, v = v.entries[i].at, v.entries[i].value
		case err == nil && n >= 0 && n < len(v.items):
			at, v = v.items[n].at, v.items[n]
		default:
			return at
		}
	}
	switch {
	case !v.scalar():
		return at
	case e.Offset > 0 && !strings.Contains(v.text, "${"): // else it is not the text that the connector saw
		return r.placeIn(v, e.Offset)
	}
	return v.at
}
