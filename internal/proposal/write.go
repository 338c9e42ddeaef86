package proposal

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/mapping"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// writer writes the file.
type writer struct {
	survey  *schema
	options Options
	roots   []*table
	sync    map[*table]string // names of the syncs, by root
	b       strings.Builder
}

func (w *writer) nameSyncs() {
	w.sync = map[*table]string{}
	taken := names{}
	for _, t := range w.roots {
		w.sync[t] = taken.take(slug(t.Name, "sync"))
	}
}

// line writes a line, indented by so many steps.
func (w *writer) line(depth int, format string, args ...any) {
	s := strings.Repeat("  ", depth) + fmt.Sprintf(format, args...)
	w.b.WriteString(strings.TrimRight(s, " ") + "\n")
}

const head = `# What Upkeep keeps up to date, proposed from the tables and the foreign keys of
# the database. Edit it: names of records and fields are the remote's, which no
# database knows. Then:
#
#   upkeep check        # examines this file, the database and the remote
#   upkeep run          # installs the triggers, sends everything once, and follows
#
# Every value may hold ${NAME} (from the environment), ${NAME:-default},
# ${file:path} (a file's text), and $$ for a dollar sign.

`

const remotes = `
remotes:
  # The systems to keep up to date, under names of your own. This one is only for
  # trying things out: its records are in the memory of upkeep run and end with
  # it. For NetSuite, put these lines in the place of "connector: memory":
  #
  #   connector: netsuite
  #   account: "123456_SB1"                  # Setup > Company > Company Information: Account ID
  #   concurrency: 5                         # requests at once, of those that the account allows
  #   auth:
  #     oauth2:
  #       client_id: ${NS_CLIENT_ID}         # Setup > Integration > Manage Integrations: Client ID, shown once
  #       certificate_id: ${NS_CERT_ID}      # Setup > Integration > OAuth 2.0 Client Credentials Setup: Certificate ID
  #       private_key: ${NS_PRIVATE_KEY}     # of that certificate, as PEM text; or private_key_file: and its path
  #
  # upkeep sandbox netsuite starts a stand-in on this machine: give it with
  # base_url: http://127.0.0.1:7780
  remote:
    connector: memory
`

const syncsHead = `
# A sync says which rows, taken together, become which record. What its fields
# read is what Upkeep loads and watches: other columns cost nothing, and neither
# does a relation that no field reads.
syncs:
`

func (w *writer) file() string {
	w.b.WriteString(head)
	for _, n := range w.options.SourceNotes {
		w.line(0, "# %s", n)
	}
	w.line(0, "source: %s", w.options.Source)
	w.b.WriteString(remotes)
	w.b.WriteString(syncsHead)
	for i, t := range w.roots {
		if i > 0 {
			w.line(0, "")
		}
		w.writeSync(t, i == 0)
	}
	w.rest()
	return w.b.String()
}

// condition is an example of a when: of a column of which it is known what it can
// be, if there is one.
func condition(t *table) string {
	plain := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	for _, c := range t.Columns {
		if values := t.Values[c.Name]; len(values) > 1 && plain.MatchString(c.Name) && plain.MatchString(values[0]) {
			return fmt.Sprintf("%s != %q", c.Name, values[0])
		}
	}
	return `state != "draft"`
}

// softDeletes is the column that says when a row was deleted, of a table whose rows
// stay then; empty if it has none.
func (t *table) softDeletes() string {
	for _, c := range t.Columns {
		if c.Nullable && discarded.MatchString(c.Name) && (c.Kind == store.Time || c.Kind == store.Date || c.Kind == store.Text) {
			return c.Name
		}
	}
	return ""
}

func (w *writer) writeSync(t *table, first bool) {
	teach := func(s string) string {
		if !first {
			return ""
		}
		return s
	}
	w.line(1, "%s:%s", key(w.sync[t]), teach("  # a name of your own"))
	w.line(2, "from:")
	w.line(3, "table: %s%s", text(t.written), teach("  # every row of it is a record"))
	rels := t.relations(nil)
	notes := map[store.Relation]string{store.BelongsTo: "rows that this table points at", store.HasOne: "rows that point here, at most one each",
		store.HasMany: "rows that point here; where: and order: take SQL over their own columns"}
	for _, kind := range []store.Relation{store.BelongsTo, store.HasOne, store.HasMany} {
		begun := false
		for _, r := range rels {
			if r.kind != kind {
				continue
			}
			if !begun {
				w.line(3, "%s:%s", kind, teach("  # "+notes[kind]))
				begun = true
			}
			w.writeRelation(r)
		}
	}
	switch gone := t.softDeletes(); {
	case gone != "":
		w.line(2, "# The application seems to keep rows that it has deleted. If it does not, take this out. What refers with")
		w.line(2, "# ref(...) to the record of such a row waits until there is one.")
		w.line(2, "when: %s == nil", mapping.Read("", gone))
		w.line(2, "# when_false: delete  # what becomes of the record when its row is; by default it stays, and is kept up to date no more")
	case first:
		w.line(2, "# when: an expression that says which rows are to be at the remote, such as")
		w.line(2, "#   %s; when_false: keep (the default) or delete says what becomes of the others", condition(t))
	}
	w.line(2, "to: remote")
	w.line(2, "record: %s%s", text(w.sync[t]), teach("  # the remote's name for the kind of record: customer, salesOrder, ..."))
	w.line(2, "# external_id: 'an expression'  # the record's key at the remote; by default %s-KEY", w.sync[t])
	w.line(2, "# on_delete: keep  # what becomes of the record of a deleted row; by default it is deleted%s", teach(", or {set: {isInactive: true}}"))
	w.line(2, "fields:%s", teach("  # the remote's field: an expression over the row and its relations"))
	w.writeFields(w.fields(t, rels))
}

// writeRelation writes a relation, with those one hop further as comments.
func (w *writer) writeRelation(r relation) {
	further := r.other.relations(r.link)
	if len(further) == 0 {
		w.line(4, "%s: {%s}", key(r.name), strings.Join(r.declared(), ", "))
		return
	}
	w.line(4, "%s:", key(r.name))
	for _, part := range r.declared() {
		w.line(5, "%s", part)
	}
	var last store.Relation
	for _, f := range further {
		if f.kind != last {
			w.line(5, "# %s:", f.kind)
			last = f.kind
		}
		w.line(5, "#   %s: {%s}", key(f.name), strings.Join(f.declared(), ", "))
	}
}

// declared are the keys of a relation.
func (r relation) declared() []string {
	out := []string{"table: " + text(r.other.written), "via: " + columns(r.link.via)}
	if !slices.Equal(r.link.to, r.link.target.Key) {
		out = append(out, "to: "+columns(r.link.to))
	}
	return out
}

func (w *writer) writeFields(fields []field) {
	for _, f := range fields {
		if !f.off {
			w.line(3, "%s: %s", key(f.name), code(f.code))
		}
	}
	for _, f := range fields {
		if f.off {
			note := ""
			if f.note != "" {
				note = "  # " + f.note
			}
			w.line(3, "# %s: %s%s", key(f.name), code(f.code), note)
		}
	}
}

// rest says what of the database is in no sync.
func (w *writer) rest() {
	used := map[*table]bool{}
	for _, t := range w.roots {
		used[t] = true
		for _, r := range t.relations(nil) {
			used[r.other] = true
		}
	}
	var unfit, unused []string
	for _, t := range w.survey.tables {
		switch {
		case t.unfit != "":
			unfit = append(unfit, fmt.Sprintf("#   %s: %s", shown(t.written), t.unfit))
		case !used[t]:
			unused = append(unused, "#   "+shown(t.written))
		}
	}
	if len(unused) > 0 {
		w.line(0, "\n# Tables that no sync above reads. Propose one as a root: upkeep init --table NAME\n%s", strings.Join(unused, "\n"))
	}
	if len(unfit) > 0 {
		w.line(0, "\n# Tables that no sync can read:\n%s", strings.Join(unfit, "\n"))
	}
}
