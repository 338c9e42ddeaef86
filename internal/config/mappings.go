package config

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/mapping"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Mappings checks the syncs against a database's catalogue and compiles them.
// remotes are those of [File.Open]; a remote that is not among them stands as
// a [upkeep.Remote] without a connection, which is enough to examine what
// would be loaded. Every problem is returned, each an [*Error]; with any of
// them there are no mappings.
func (f *File) Mappings(ctx context.Context, catalog store.Catalog, remotes map[string]*upkeep.Remote) ([]upkeep.Mapping, []error) {
	fit := f.Fitting(ctx, catalog, remotes)
	if len(fit.Problems) > 0 {
		return nil, fit.Problems
	}
	return fit.Mappings, nil
}

// Fit is how the syncs of a file and the tables of a database go together.
type Fit struct {
	// Mappings are the syncs that have no problem and refer to none that has.
	Mappings []upkeep.Mapping
	// Others are what the other syncs load, as far as it is known: their tables can
	// be examined, and nothing be translated.
	Others []upkeep.Mapping
	// Unfit are the names of the syncs that have a problem of their own.
	Unfit []string
	// Problems are all there are, each an [*Error].
	Problems []error
	// Doubts are what is no problem and hardly meant, such as a comparison with a
	// label that an enum does not have.
	Doubts Errors
}

// Fitting is [File.Mappings] that also returns what can be said of a file that has
// problems.
func (f *File) Fitting(ctx context.Context, catalog store.Catalog, remotes map[string]*upkeep.Remote) (fit Fit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	unfit, loose := map[string]bool{}, map[string]bool{}
	r := &resolver{reader: f.reader, ctx: ctx, catalog: catalog, tables: map[string]*store.TableInfo{}}
	trees := map[string]*tree{}
	for _, s := range f.syncs {
		before := f.reader.failures
		trees[s.name] = r.resolve(s.from, nil)
		loose[s.name] = s.broken || f.reader.failures > before
		unfit[s.name] = loose[s.name]
	}
	f.tables = r.tables
	to := maps.Clone(remotes)
	if to == nil {
		to = map[string]*upkeep.Remote{}
	}
	for _, m := range f.remotes {
		if to[m.name] == nil {
			unopened := m.limits
			to[m.name] = &unopened
		}
	}
	var out []upkeep.Mapping
	for _, s := range f.syncs {
		before := f.reader.failures
		out = append(out, s.mapping(r, trees[s.name], trees, to[s.to]))
		unfit[s.name] = unfit[s.name] || f.reader.failures > before
	}
	for _, s := range f.syncs {
		if unfit[s.name] {
			fit.Unfit = append(fit.Unfit, s.name)
		}
	}
	fit.Mappings = fitting(slices.Clone(out), unfit)
	for _, m := range out {
		if unfit[m.Name] && !loose[m.Name] {
			fit.Others = append(fit.Others, upkeep.Mapping{Name: m.Name, From: m.From, To: m.To, Record: m.Record, ByHand: m.ByHand, Deliver: m.Deliver, Translate: untranslated})
		}
	}
	fit.Doubts = f.reader.doubts
	inOrder(fit.Doubts)
	fit.Problems = f.reader.take().Unwrap()
	return fit
}

// untranslated is for a sync of which only the tables are looked at.
func untranslated(upkeep.Row) (upkeep.Fields, error) {
	return nil, errors.New("the configuration does not fit the tables")
}

// Located is a mapping of the file that can say which places in it no longer
// fit the tables, when these were changed.
func (f *File) Located(m upkeep.Mapping) upkeep.AnySync { return located{m, f} }

// Uses is what the syncs use of a remote. Of those that are not among the
// mappings, since they don't fit the tables, only the names of their fields are
// known.
func (f *File) Uses(remote string, fit []upkeep.Mapping) (uses []connector.Use) {
	for _, s := range f.syncs {
		if s.to != remote {
			continue
		}
		u := connector.Use{Sync: s.name, Type: s.record, Fields: sends(s.fields, s.createFields), Updated: sends(s.fields), Initialized: s.transform != nil}
		for _, m := range fit {
			if m.Name == s.name {
				u.Columns = m.Columns
			}
		}
		uses = append(uses, u)
	}
	return uses
}

// Blame makes an [Error], at its place, of a finding that a sync is to blame for: a
// table that it names, a field at the remote, or with neither its record type. Nil
// if the finding names no sync or table of the file.
func (f *File) Blame(found upkeep.Finding) *Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.syncs {
		switch {
		case found.Sync != "" && s.name != found.Sync:
		case found.Table != "":
			if at := f.named(found.Table, s.from); at != nil {
				return f.reader.problem(*at, found.Message, found.Fix)
			}
		case found.Sync != "":
			return f.reader.problem(s.place(found.Field), found.Message, found.Fix)
		}
	}
	return nil
}

// named is where relations name a table first, as far as it was found in the
// database; nil: nowhere.
func (f *File) named(table string, relations ...*relation) *place {
	for _, rel := range relations {
		if info := f.tables[rel.table]; info != nil && info.Table.String() == table {
			return &rel.tableAt
		}
		if at := f.named(table, rel.members...); at != nil {
			return at
		}
	}
	return nil
}

// AtSource makes an [Error], at its place, of what is wrong with the source.
func (f *File) AtSource(message, help string) *Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reader.problem(f.sourceAt, message, help)
}

// place is where a field of the remote is named first, or without one the record
// type.
func (s *syncDecl) place(field string) place {
	if record := s.declared.get("record"); field == "" && record != nil {
		return record.at
	}
	for _, fields := range []*value{s.declared.get("fields"), s.declared.get("create_fields"),
		s.declared.get("on_delete").get("set"), s.declared.get("when_false").get("set")} {
		if fields == nil {
			continue
		}
		for _, e := range fields.entries {
			if e.key == field {
				return e.at
			}
		}
	}
	return s.at
}

type located struct {
	upkeep.Mapping
	file *File
}

// Misfits names the places of this sync that don't fit the tables.
func (l located) Misfits(ctx context.Context, catalog store.Catalog) error {
	problems, _ := l.fit(ctx, catalog)
	return places(problems)
}

// Outdated names the places of this sync that compare a column with one of these
// texts, which it can't hold. err: it can't be told, as the tables could not be read.
func (l located) Outdated(ctx context.Context, catalog store.Catalog, labels []string) (outdated, err error) {
	problems, doubts := l.fit(ctx, catalog)
	if len(problems) > 0 {
		return nil, places(problems)
	}
	return places(slices.DeleteFunc(doubts, func(e *Error) bool {
		return !slices.ContainsFunc(labels, func(label string) bool { return strings.Contains(e.Message, strconv.Quote(label)) })
	})), nil
}

// places are errors as lines of text; nil if there are none.
func places(all Errors) error {
	var errs []error
	for _, e := range all {
		errs = append(errs, fmt.Errorf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message))
	}
	return errors.Join(errs...)
}

// fit compares this sync with the tables.
func (l located) fit(ctx context.Context, catalog store.Catalog) (problems, doubts Errors) {
	f := l.file
	f.mu.Lock()
	defer f.mu.Unlock()
	r := &resolver{reader: f.reader, ctx: ctx, catalog: catalog, tables: map[string]*store.TableInfo{}}
	trees := map[string]*tree{}
	var own *syncDecl
	for _, s := range f.syncs {
		if s.name == l.Name {
			own = s
			continue
		}
		trees[s.name] = r.resolve(s.from, nil)
	}
	f.reader.take() // what is wrong with the others is theirs to say
	trees[l.Name] = r.resolve(own.from, nil)
	own.mapping(r, trees[l.Name], trees, l.To)
	doubts = f.reader.doubts
	return f.reader.take(), doubts
}

// fitting leaves out the mappings that don't fit, and those that refer to them
// over any number of hops.
func fitting(all []upkeep.Mapping, unfit map[string]bool) []upkeep.Mapping {
	for more := true; more; {
		more = false
		for _, m := range all {
			if !unfit[m.Name] && slices.ContainsFunc(m.RefersTo, func(to string) bool { return unfit[to] }) {
				unfit[m.Name], more = true, true
			}
		}
	}
	return slices.DeleteFunc(all, func(m upkeep.Mapping) bool { return unfit[m.Name] })
}

// Outlines are the syncs as far as they are known without a database: enough to
// ask the registry about them, and not to load or translate anything. remotes
// are those of [File.Open]; a sync without one is left out.
func (f *File) Outlines(remotes map[string]*upkeep.Remote) []upkeep.Mapping {
	var out []upkeep.Mapping
	for _, s := range f.syncs {
		if to := remotes[s.to]; to != nil {
			out = append(out, upkeep.Mapping{Name: s.name, From: &upkeep.Relation{Table: s.from.table}, To: to, Record: s.record, ByHand: s.byHand, Deliver: s.deliver, Translate: untranslated})
		}
	}
	return out
}

// mapping compiles a sync.
func (s *syncDecl) mapping(r *resolver, t *tree, trees map[string]*tree, to *upkeep.Remote) upkeep.Mapping {
	plain := &mapping.Scope{Root: t.table, Literal: r.literal}
	sending := *plain
	sending.Ref = func(sync string, key ...any) any { return upkeep.Ref(sync, key...) }
	sending.Sync = func(name string) ([]store.Column, *mapping.Error) { return keyOf(trees[name]), nil }

	when := r.compile(plain, s.when, mapping.Condition)
	externalID := r.compile(plain, s.externalID, mapping.Name)
	transform := r.compile(&sending, s.transform, mapping.Origin)
	fields := s.fields.compile(r.reader, &sending)
	createFields := s.createFields.compile(r.reader, &sending)

	m := upkeep.Mapping{
		Name: s.name, To: to, Record: s.record, ByHand: s.byHand, Deliver: s.deliver, Version: s.version, MemberLimit: s.memberLimit, DeleteLimit: s.deleteLimit,
		OnDelete: s.onDelete, WhenFalse: s.whenFalse,
		From: t.declaration(), Sends: sends(fields, createFields), Columns: columns(fields, createFields), RefersTo: refersTo(transform, fields, createFields),
		When: condition(s, when), Translate: translate(fields),
	}
	if externalID != nil {
		m.ExternalID = func(row upkeep.Row) (string, error) {
			v, err := externalID.Eval(row)
			if err != nil {
				return "", fmt.Errorf("external_id: %w", err)
			}
			return v.(string), nil
		}
	}
	if createFields != nil {
		m.CreateFields = translate(createFields)
	}
	if transform != nil {
		m.Initialize = func(row upkeep.Row) (upkeep.Reference, error) {
			v, err := transform.Eval(row)
			if err != nil {
				return upkeep.Reference{}, fmt.Errorf("initialize: %w", err)
			}
			ref, ok := v.(upkeep.Reference)
			if !ok {
				return upkeep.Reference{}, errors.New("initialize: the record to make it from is null")
			}
			return ref, nil
		}
	}
	return m
}

// When is the condition of a sync as the file has it, and what it names of a row,
// each as the way to it over relations; empty: there is none.
func (f *File) When(sync string) (source string, reads [][]string) {
	for _, s := range f.syncs {
		switch {
		case s.name != sync:
		case s.when != nil:
			return s.when.source, mapping.Reads(s.when.source)
		case s.whenAlways != nil:
			return strconv.FormatBool(*s.whenAlways), nil
		}
	}
	return "", nil
}

// keyOf is the primary key of a sync's root table; nil when it is not known.
func keyOf(t *tree) []store.Column {
	if t == nil {
		return nil
	}
	var out []store.Column
	for _, name := range t.table.Info.Key {
		if c, ok := t.table.Info.Column(name); ok {
			out = append(out, c)
		}
	}
	return out
}

func condition(s *syncDecl, when *mapping.Expression) func(upkeep.Row) (bool, error) {
	switch {
	case s.whenAlways != nil && !*s.whenAlways:
		return func(upkeep.Row) (bool, error) { return false, nil }
	case when == nil:
		return nil
	}
	return func(row upkeep.Row) (bool, error) {
		v, err := when.Eval(row)
		if err != nil {
			return false, fmt.Errorf("when: %w", err)
		}
		return v.(bool), nil
	}
}

func translate(f *field) func(upkeep.Row) (upkeep.Fields, error) {
	return func(row upkeep.Row) (upkeep.Fields, error) {
		if f == nil {
			return upkeep.Fields{}, nil
		}
		v, err := f.eval(row)
		if err != nil {
			return nil, fmt.Errorf("field %w", err)
		}
		m, _ := v.(map[string]any)
		return m, nil
	}
}

// sends lists the top-level fields.
func sends(fields ...*field) []string {
	names := []string{}
	for _, f := range fields {
		if f != nil {
			names = append(names, f.names...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// columns lists the top-level fields with their types.
func columns(fields, createFields *field) []connector.Column {
	out := []connector.Column{}
	for _, f := range []*field{fields, createFields} {
		if f == nil {
			continue
		}
		for _, c := range f.columns() {
			if !slices.ContainsFunc(out, func(have connector.Column) bool { return have.Name == c.Name }) {
				c.Once = f == createFields
				out = append(out, c)
			}
		}
	}
	return out
}

func refersTo(transform *mapping.Expression, fields ...*field) []string {
	all := map[string]bool{}
	if transform != nil {
		for _, s := range transform.RefersTo() {
			all[s] = true
		}
	}
	for _, f := range fields {
		f.refersTo(all)
	}
	return slices.Sorted(maps.Keys(all))
}
