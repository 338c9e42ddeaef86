package proposal

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/mapping"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// field is a line of fields.
type field struct {
	name, code string
	off        bool   // stands as a comment
	note       string // why
}

const (
	columnsMost = 12 // of the root that are sent
	nestedMost  = 6  // of a relation
	listsMost   = 3  // has_many relations whose rows are sent
)

var (
	secretive = regexp.MustCompile(`(?i)pass(word|wort|wd|phrase|code)|pwd|(^|_)pw($|_)|kennwort|secret|token|credential|(api|private|access|auth|encryption)_?key|jwt|` +
		`(^|_)salt($|_)|(^|_)hash|hash(ed)?($|_)|digest|otp($|_)|mfa_|cv[vc]($|_|\d)|credit_?card|card_?(number|no)|(^|_)iban|(^|_)ssn|social_?security|(^|_)pin(_?(code|hash))?$`)
	discarded = regexp.MustCompile(`(?i)^(deleted|discarded|removed)_?(at|on|time)$`)
	household = regexp.MustCompile(`(?i)^(created|updated|modified|inserted|deleted|last_?(seen|login|sign_?in|used|modified))(_?(at|on|by|time|date|ip))?$|^(lock_?)?version$|^search_?(vector|index)$|^(views|hits)$`)
)

// reason is why a column is not sent unless somebody wants it; empty: send it.
func (t *table) reason(c store.Column) string {
	switch {
	case t.pointer(c.Name):
		return "a foreign key"
	case slices.Equal(t.Key, []string{c.Name}):
		return "the key, which the external id has already"
	case c.Kind == store.Bytes:
		return "bytes"
	case secretive.MatchString(c.Name):
		return "looks like a secret"
	case household.MatchString(c.Name):
		return "changes by itself"
	}
	return ""
}

// value is the expression of a column of a row. An array goes as a list; the text
// that the database has for it would be a surprise.
func value(row string, c store.Column) string {
	read := mapping.Read(row, c.Name)
	switch base, isArray := strings.CutSuffix(c.Type, "[]"); {
	case !isArray:
		return read
	case base == "smallint", base == "integer", base == "bigint":
		return "map(array(" + read + "), int(#))"
	default:
		return "array(" + read + ")"
	}
}

// fields are the proposed fields of a root.
func (w *writer) fields(t *table, rels []relation) []field {
	taken := names{}
	var out []field
	sent := 0
	for i, c := range t.Columns {
		f := field{name: taken.take(slug(c.Name, "field_"+strconv.Itoa(i+1))), code: value("", c), note: t.reason(c)}
		if f.off = f.note != ""; !f.off {
			sent++
			f.off = sent > columnsMost
		}
		out = append(out, f)
	}
	lists := 0
	for _, r := range rels {
		switch base := slug(r.name, "row"); {
		case r.kind == store.BelongsTo:
			out = append(out, w.pointed(r, base, taken))
		case r.kind == store.HasOne && w.sync[r.other] == "":
			for _, c := range r.sendable(nestedMost) {
				out = append(out, field{name: taken.take(base + "_" + slug(c.Name, "field")), code: value(r.name, c)})
			}
			for _, c := range r.withheld() {
				out = append(out, field{name: taken.take(base + "_" + slug(c.Name, "field")), code: value(r.name, c), off: true, note: r.other.reason(c)})
			}
		case r.kind == store.HasMany:
			f := field{name: taken.take(base), code: r.rows()}
			if lists++; w.sync[r.other] != "" || lists > listsMost || f.code == "" {
				f = field{name: taken.take(base + "_count"), code: "len(" + r.name + ")", off: true, note: "counted by the database"}
			}
			out = append(out, f)
			if !f.off {
				for _, c := range r.withheld() {
					out = append(out, field{name: taken.take(base + "_" + slug(c.Name, "field")), code: "map(" + r.name + ", " + value("#", c) + ")", off: true, note: r.other.reason(c)})
				}
			}
		}
	}
	if !slices.ContainsFunc(out, func(f field) bool { return !f.off }) { // a key and nothing else
		for i, c := range t.Columns {
			if slices.Contains(t.Key, c.Name) {
				out[i].off, out[i].note = false, ""
			}
		}
	}
	return out
}

// pointed is the field of a belongs_to: a reference where the row has a record
// of its own, or else a column that names it.
func (w *writer) pointed(r relation, base string, taken names) field {
	if to := w.sync[r.other]; to != "" {
		if key, ok := r.link.key(); ok {
			return field{name: taken.take(base), code: "ref(" + strconv.Quote(to) + ", " + strings.Join(key, ", ") + ")"}
		}
	}
	for _, c := range r.sendable(len(r.other.Columns)) {
		if c.Kind == store.Text {
			return field{name: taken.take(base + "_" + slug(c.Name, "field")), code: value(r.name, c), off: w.sync[r.other] != ""}
		}
	}
	c := r.other.Key[0]
	return field{name: taken.take(base + "_" + slug(c, "key")), code: mapping.Read(r.name, c), off: true}
}

// key is how the child's columns are read in the order of the target's primary
// key; false when the foreign key points at other columns.
func (l *link) key() ([]string, bool) {
	var out []string
	for _, k := range l.target.Key {
		i := slices.Index(l.to, k)
		if i < 0 {
			return nil, false
		}
		a, _ := l.child.Column(l.via[i])
		b, _ := l.target.Column(k)
		if a.Kind != b.Kind {
			return nil, false
		}
		out = append(out, mapping.Read("", l.via[i]))
	}
	return out, len(out) == len(l.to)
}

// sendable are the first columns of a relation that are worth sending.
func (r relation) sendable(most int) []store.Column {
	var out []store.Column
	for _, c := range r.other.Columns {
		if r.other.reason(c) == "" && len(out) < most {
			out = append(out, c)
		}
	}
	return out
}

// withheld are the columns of a relation that its rows are sent without, and
// that somebody might miss: keys are not among them.
func (r relation) withheld() []store.Column {
	var out []store.Column
	for _, c := range r.other.Columns {
		if r.other.reason(c) != "" && !r.other.pointer(c.Name) && !slices.Contains(r.other.Key, c.Name) {
			out = append(out, c)
		}
	}
	return out
}

// rows is the expression that makes a list of a has_many's rows; empty when
// they have nothing to send.
func (r relation) rows() string {
	taken := names{}
	var parts []string
	for _, c := range r.sendable(nestedMost) {
		name := taken.take(slug(c.Name, "field"))
		if !mapping.IsName(name) {
			name = strconv.Quote(name)
		}
		parts = append(parts, name+": "+value("#", c))
	}
	if len(parts) == 0 {
		return ""
	}
	return "map(" + r.name + ", {{" + strings.Join(parts, ", ") + "}})"
}
