package httpapi

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// verb is what the engine asked for: one answer means different things for
// different verbs.
type verb int

const (
	creating verb = iota
	updating
	deleting
	finding
	reading
)

// String is the word that configurations have for it.
func (v verb) String() string { return [...]string{"create", "update", "delete", "find", "read"}[v] }

// past is the word for $event.
func (v verb) past() string { return [...]string{"created", "updated", "deleted", "", ""}[v] }

// recordAPI is a compiled Record.
type recordAPI struct {
	external  bool // the remote knows the record by our key
	repeats   bool // create is an upsert
	byUpsert  bool // update is the upsert
	made      pointer
	clear     *string
	keys      *regexp.Regexp // nil: all
	quotes    string         // that a key must not have, as they stand around it
	reference node
	create    *request
	update    *request
	remove    *request
	find      *finder
	read      *reader
	batch     *batch
}

// finder is a compiled Find.
type finder struct {
	*request
	list pointer // nil: the answer is the record
	key  pointer // nil: not looked at
}

// reader is a compiled Read.
type reader struct {
	*request
	fields pointer
}

func (c *compiler) record(path at, r Record) *recordAPI {
	id := c.idSource(path.of("id"), r.ID)
	if r.Event != nil {
		return c.events(path, r)
	}
	out := &recordAPI{external: id.external, clear: r.Clear, made: c.pointerOr(path.of("new"), r.New, "")}
	out.reference, out.keys = c.referenceOf(path, r), c.keys(path.of("keys"), r.Keys)
	if r.Create != nil && r.Upsert != nil {
		c.fail(path.of("upsert"), "give create or upsert, not both")
	}
	out.create = c.request(path.of("create"), creating, r.Create, "POST", id, ofRecord)
	if r.Upsert != nil {
		out.create, out.repeats = c.request(path.of("upsert"), creating, r.Upsert, "PUT", id, ofRecord), true
	}
	out.update = c.request(path.of("update"), updating, r.Update, "PATCH", id, ofUpdate)
	if r.Upsert != nil && r.Update == nil {
		out.byUpsert = true
		q := *out.create
		q.verb = updating
		out.update = &q
	}
	out.remove = c.request(path.of("delete"), deleting, r.Delete, "DELETE", id, ofDelete)
	if r.Find != nil {
		path := path.of("find")
		out.find = &finder{request: c.request(path, finding, &r.Find.Request, "GET", id, ofFind),
			list: c.pointerOr(path.of("list"), r.Find.List, ""), key: c.pointerOr(path.of("key"), r.Find.Key, "")}
		out.find.empty = false
	}
	if r.Read != nil {
		path := path.of("read")
		allowed := ofRead
		if id.external {
			allowed = slices.Concat(ofRead, []string{externalID})
		}
		out.read = &reader{request: c.request(path, reading, &r.Read.Request, "GET", id, allowed), fields: c.pointer(path.of("fields"), r.Read.Fields)}
		out.read.empty = false
	}
	out.batch = c.batch(path.of("batch"), r, id, out)
	for _, q := range []*request{out.create, out.update, out.remove} {
		out.quotes += quotesAround(q)
	}
	if out.find != nil {
		out.quotes += quotesAround(out.find.request) + quotesIn(out.find.body)
	}
	return out
}

// quotesAround are the quotes around our key in the path and the query of a
// request.
func quotesAround(q *request) (quotes string) {
	if q == nil {
		return ""
	}
	quotes = quotesIn(q.path)
	for _, p := range q.query {
		quotes += quotesIn(p.value)
	}
	return quotes
}

// quotesIn are the quotes around our key in the texts of a tree: the language of
// the query, whichever it is, ends the text at the next one.
func quotesIn(n node) (quotes string) {
	switch n := n.(type) {
	case members:
		quotes = quotesIn(n.spread)
		for _, m := range n.nodes {
			quotes += quotesIn(m)
		}
	case list:
		for _, m := range n {
			quotes += quotesIn(m)
		}
	case text:
		open, named := rune(0), false // the quote that began last, and whether our key stands behind it
		for _, p := range n {
			named = named || open != 0 && p.name == externalID
			for _, r := range p.literal {
				switch {
				case open == 0 && (r == '\'' || r == '"'):
					open, named = r, false
				case r == open:
					if named {
						quotes += string(r)
					}
					open = 0
				}
			}
		}
	}
	return quotes
}

// events compiles a record that is told of by events.
func (c *compiler) events(path at, r Record) *recordAPI {
	for name, given := range map[string]bool{"create": r.Create != nil, "upsert": r.Upsert != nil, "update": r.Update != nil, "delete": r.Delete != nil,
		"find": r.Find != nil, "read": r.Read != nil, "batch": r.Batch != nil, "new": r.New != ""} {
		if given {
			c.fail(path.of(name), "event stands for all that is sent: drop %s", name)
		}
	}
	if r.ID != "" && r.ID != externalID {
		c.fail(path.of("id"), "the receiver of events knows records by our key: drop id")
	}
	q := c.request(path.of("event"), creating, r.Event, "POST", idSource{external: true}, ofRecord)
	q.event, q.id, q.empty = true, idSource{external: true}, true
	q.any = q.any || r.Event.Answer == ""
	update, remove := *q, *q
	update.verb, remove.verb = updating, deleting
	return &recordAPI{external: true, repeats: true, clear: r.Clear, keys: c.keys(path.of("keys"), r.Keys),
		reference: c.referenceOf(path, r), create: q, update: &update, remove: &remove}
}

func (c *compiler) keys(path at, pattern string) *regexp.Regexp {
	if pattern == "" {
		return nil
	}
	re, err := regexp.Compile(`^(?:` + pattern + `)$`)
	if err != nil {
		c.fail(path, "keys is not a regular expression: %v", err)
	}
	return re
}

// nameable refuses an external id with which the remote can't be asked for the
// record.
func (r *recordAPI) nameable(rec connector.Record) error {
	if r.quotes != "" && strings.ContainsAny(rec.ExternalID, r.quotes+`\`) {
		return rejected(fmt.Errorf("the external id %q has a quote or a backslash, and stands between quotes where the remote is asked for it: make it of other characters, such as letters, digits, - and _",
			exchange.Cut(rec.ExternalID, 80)))
	}
	if r.keys == nil || r.keys.MatchString(rec.ExternalID) {
		return nil
	}
	return rejected(fmt.Errorf("the external id %q does not match keys, which says what the remote can be asked for", exchange.Cut(rec.ExternalID, 80)))
}

func (c *compiler) referenceOf(path at, r Record) node {
	if r.Reference == nil {
		return text{{name: remoteID}}
	}
	return c.tree(path.of("reference"), r.Reference, ofRef)
}

// records compiles all, and derives the class.
func (c *compiler) records() map[string]*recordAPI {
	out := map[string]*recordAPI{}
	if len(c.config.Records) == 0 {
		c.fail(at{"records"}, "records is missing: give the requests of each record type, or of \"*\" for all")
	}
	for _, name := range slices.Sorted(maps.Keys(c.config.Records)) {
		path := at{"records", name}
		r := c.record(path, c.config.Records[name])
		out[name] = r
		if r.create == nil && r.update == nil && r.remove == nil {
			c.fail(path, "record type %s has no request: give create or upsert, and update and delete, or event", name)
		}
	}
	return out
}

// class is how creates can be repeated: as the weakest of them.
func (c *compiler) class(records map[string]*recordAPI) class {
	derived := upsert
	var without []string // a look-up
	for _, name := range slices.Sorted(maps.Keys(records)) {
		r := records[name]
		if r.create == nil {
			continue
		}
		if !r.repeats {
			derived = max(derived, lookup)
		}
		if !r.repeats && r.find == nil {
			derived = blind
		}
		if r.find == nil && !r.external {
			without = append(without, name)
		}
	}
	said := derived
	if c.config.Class != "" {
		i := slices.Index(classNames, c.config.Class)
		if i < 0 {
			c.fail(at{"class"}, "%q is not a class: write upsert, lookup or blind", c.config.Class)
			return derived
		}
		said = class(i)
	}
	if said == lookup && len(without) > 0 {
		c.fail(at{"records", without[0]}, "record type %s has no find, which every type of a remote of class lookup needs: add it, or give the type to a remote of its own", strings.Join(without, ", "))
	}
	return said
}

type class int

const (
	upsert class = iota
	lookup
	blind
)

var classNames = []string{"upsert", "lookup", "blind"}

// of is the record type's API.
func (c *Connection) of(recordType string) (*recordAPI, error) {
	if r := c.records[recordType]; r != nil {
		return r, nil
	}
	if r := c.records["*"]; r != nil {
		return r, nil
	}
	return nil, rejected(fmt.Errorf("the configuration of %s has no record type %q: add it to records, or \"*\"", c.name, recordType))
}
