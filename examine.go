package upkeep

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/spelling"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// examine says what is wrong with the declaration, and fills in its defaults.
func (d *definition) examine() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(d.Name != "", "Name is empty")
	need(!strings.ContainsAny(d.Name, "/ \t\n"), "the name must not contain spaces or slashes")
	need(d.From != nil && d.From.Table != "", "the root table is missing: Sync.Table, or Mapping.From.Table")
	errs = append(errs, d.From.unfounded("From", store.Root)...)
	if d.To == nil {
		need(false, "To is missing: set it to the *upkeep.Remote that the records go to")
	} else {
		need(d.To.Name != "", "To.Name is empty: give the remote a name, as it stands in the registry and in logs")
		need(!isNil(d.To.Connection), "To.Connection is nil: set it to what the connector's Open returned (netsuite.Open, httpapi.Open), or memory.New(memory.Config{}).Connect() for a remote in memory")
	}
	need(d.Record != "", "Record is empty: the remote's name for the kind of record")
	need(d.Translate != nil, "Translate is missing")
	need(d.MemberLimit >= 0, "MemberLimit is %d; it must not be negative, zero means 10,000", d.MemberLimit)
	errs = append(errs, d.OnDelete.examine("OnDelete"), d.WhenFalse.examine("WhenFalse"))
	need(d.When != nil || slices.Contains([]Action{"", Keep}, d.WhenFalse.Action), "WhenFalse is never done without When: say with When which rows are to be at the remote, or leave WhenFalse out; what becomes of the record of a deleted row is said by OnDelete")
	need(slices.Contains([]Delivery{"", Latest, Every}, d.Deliver), "%q is not a delivery; use latest or every", d.Deliver)
	need(d.Initialize == nil || len(d.RefersTo) > 0, "Initialize is set and RefersTo is empty: name the sync there whose records it makes this one from")
	if d.To != nil && !isNil(d.To.Connection) {
		_, can := d.To.Connection.(connector.Initializer)
		need(d.Initialize == nil || can, "remote %q can't initialize a record from another", d.To.Name)
	}
	errs = append(errs, d.namesOfFields()...)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if d.OnDelete.Action == "" {
		d.OnDelete.Action = Delete
	}
	if d.WhenFalse.Action == "" {
		d.WhenFalse.Action = Keep
	}
	d.OnDelete.Fields, d.WhenFalse.Fields = maps.Clone(d.OnDelete.Fields), maps.Clone(d.WhenFalse.Fields) // the program keeps its own
	if d.MemberLimit == 0 {
		d.MemberLimit = 10_000
	}
	d.traits = d.To.traits()
	d.version = versionOf(d.digest(), d.To.Name, d.Record)
	return nil
}

// namesOfFields says what is wrong with Sends and Columns.
func (d *definition) namesOfFields() (errs []error) {
	if d.Sends == nil {
		return nil
	}
	for i, name := range d.Sends {
		if name == "" {
			errs = append(errs, fmt.Errorf("Sends[%d] is empty: give the remote's name of the field, or leave it out", i))
		} else if slices.Contains(d.Sends[:i], name) {
			errs = append(errs, fmt.Errorf("Sends[%d]: %q is named twice; name each field once", i, name))
		}
	}
	for i, c := range d.Columns {
		if !slices.Contains(d.Sends, c.Name) {
			errs = append(errs, fmt.Errorf("Columns[%d]: %q is none of Sends%s: add it there, or leave the column out", i, c.Name, spelling.DidYouMean(c.Name, d.Sends)))
		}
	}
	if err := d.unsaid(d.Sends); err != nil {
		errs = append(errs, fmt.Errorf("Sends: %w", err))
	}
	return errs
}

// unfounded says what no database can make good: relations that are nil or lead back
// to one of those above, and what one of this kind does not take; place is where this
// one stands.
func (rel *Relation) unfounded(place string, kind store.Relation, above ...*Relation) (errs []error) {
	if rel == nil {
		return nil
	}
	if slices.Contains(above, rel) {
		return []error{fmt.Errorf("%s leads back to a relation that it is in: a composite must end somewhere, make a Relation of its own for the inner rows", place)}
	}
	errs = rel.misplaced(place, kind)
	above = append(slices.Clip(above), rel)
	for _, of := range []struct {
		name string
		kind store.Relation
		rels map[string]*Relation
	}{{"BelongsTo", store.BelongsTo, rel.BelongsTo}, {"HasOne", store.HasOne, rel.HasOne}, {"HasMany", store.HasMany, rel.HasMany}} {
		for _, name := range slices.Sorted(maps.Keys(of.rels)) {
			below := fmt.Sprintf("%s.%s[%q]", place, of.name, name)
			if of.rels[name] == nil {
				errs = append(errs, fmt.Errorf("%s is nil: set it to an *upkeep.Relation with a Table, or leave it out", below))
			} else if of.rels[name].Table == "" {
				errs = append(errs, fmt.Errorf("%s.Table is empty: name the table of its rows", below))
			}
			errs = append(errs, of.rels[name].unfounded(below, of.kind, above...)...)
		}
	}
	return errs
}

// misplaced says what a relation of this kind does not take.
func (rel *Relation) misplaced(place string, kind store.Relation) (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(place+format, args...)) }
	switch said := rel.Where != "" || rel.Order != ""; {
	case said && kind == store.Root:
		wrong(": the root table takes no Where or Order; say with When which rows are to be at the remote")
	case said && kind == store.BelongsTo:
		wrong(": a belongs_to takes no Where or Order: it is the one row that the foreign key names")
	case rel.Order != "" && rel.OnlyAggregates:
		wrong(": an Order says nothing where rows are only counted or summed; leave it out")
	}
	for i, a := range rel.Aggregates {
		if kind != store.HasMany {
			wrong(".Aggregates[%d]: only a has_many can be counted or summed", i)
		}
		if a.Name == "" {
			wrong(".Aggregates[%d].Name is empty: name the value, as it is to stand in the Row", i)
		}
		switch a.Func {
		case "count":
		case "sum":
			if a.Column == "" {
				wrong(".Aggregates[%d]: a sum needs the Column to sum", i)
			}
		default:
			wrong(".Aggregates[%d]: %q is not an aggregate; use count or sum", i, a.Func)
		}
	}
	return errs
}

// examine says what is wrong with an ending; place is the field that it is in.
func (e Ending) examine(place string) error {
	switch {
	case !slices.Contains([]Action{"", Keep, Delete, Set}, e.Action):
		return fmt.Errorf("%s: %q is not an action; use keep, delete or set", place, e.Action)
	case e.Action == Set && len(e.Fields) == 0:
		return fmt.Errorf("%s: an ending with set needs fields to set", place)
	case e.Action == "" && len(e.Fields) > 0:
		return fmt.Errorf("%s has Fields and no Action: set Action to upkeep.Set, or leave Fields out", place)
	case e.Action != Set && len(e.Fields) > 0:
		return fmt.Errorf("%s has Fields, which %s would not send: set Action to upkeep.Set, or leave Fields out", place, e.Action)
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		_, err := encode(Fields{name: e.Fields[name]}, func(string, Reference) (json.RawMessage, error) {
			return nil, errors.New("an ending can't set a reference; it sets plain values")
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("%s.Fields: %w", place, err))
		}
	}
	return errors.Join(errs...)
}

// examine says which limits of the remote are none, those too of which its connector
// tells.
func (r *Remote) examine() error {
	var n negatives
	n.number("Concurrency", float64(r.Concurrency), "zero means what the connector says")
	n.number("Rate", r.Rate, "zero means no limit")
	n.number("Burst", float64(r.Burst), "zero means one second's worth")
	n.time("Timeout", r.Timeout, "zero means what the connector says")
	n.time("Quiet", r.Quiet, "zero means what the connector says")
	if !isNil(r.Connection) {
		t, err := traitsOf(r.Connection)
		if known := []connector.Class{connector.Upsert, connector.Lookup, connector.Blind}; !slices.Contains(known, t.Class) {
			err = fmt.Errorf("the connector's Traits.Class is %d; it must be connector.Upsert, Lookup or Blind", t.Class)
		}
		n.errs = append(n.errs, err)
		n.number("the connector's Traits.Concurrency", float64(t.Concurrency), "zero means 10")
		n.time("the connector's Traits.Timeout", t.Timeout, "zero means a minute")
		n.time("the connector's Traits.Quiet", t.Quiet, "zero means a minute")
		n.time("the connector's Traits.Linger", t.Linger, "zero means not at all")
	}
	return each(errors.Join(n.errs...), "remote %q: ", r.Name)
}

// examine says which values of the configuration are none.
func (c Config) examine() error {
	var n negatives
	n.time("Config.Lease", c.Lease, "zero means the default")
	n.time("Config.TranslateLimit", c.TranslateLimit, "zero means ten seconds")
	n.number("Config.MaxAttempts", float64(c.MaxAttempts), "zero means 12")
	n.time("Config.Drain", c.Drain, "zero means 30 seconds")
	n.time("Config.JobLimit", c.JobLimit, "zero means a day")
	n.time("Config.History", c.History, "zero means 30 days")
	errs := n.errs
	if isNil(c.Database) {
		errs = append(errs, errors.New("Config.Database is nil: set it to what postgres.New, postgres.Open or sqlite.Open returned"))
	} else if u, ok := c.Database.(store.Usable); ok {
		if err := u.Usable(); err != nil {
			errs = append(errs, fmt.Errorf("Config.Database: %w", err))
		}
	}
	return errors.Join(errs...)
}

// negatives collects the values that are below zero and must not be.
type negatives struct{ errs []error }

func (n *negatives) number(name string, v float64, zero string) {
	if !(v >= 0) { // so is not a number
		n.errs = append(n.errs, fmt.Errorf("%s is %v; it must not be negative, %s", name, v, zero))
	}
}

func (n *negatives) time(name string, v time.Duration, zero string) {
	if v < 0 {
		n.errs = append(n.errs, fmt.Errorf("%s is %s; it must not be negative, %s", name, v, zero))
	}
}

// gather returns the remotes of the syncs, each once.
func gather(defs []*definition) (remotes []*Remote, err error) {
	var errs []error
	for _, d := range defs {
		if slices.Contains(remotes, d.To) {
			continue
		}
		if slices.ContainsFunc(remotes, func(r *Remote) bool { return r.Name == d.To.Name }) {
			errs = append(errs, fmt.Errorf("two remotes are called %q: use one *upkeep.Remote for all syncs that go to it, and different names for different accounts", d.To.Name))
			continue
		}
		remotes = append(remotes, d.To)
		errs = append(errs, d.To.examine())
	}
	return remotes, errors.Join(errs...)
}
