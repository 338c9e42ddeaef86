package netsuitetest

import (
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// record is one record. A stored record never changes: a change makes a copy
// and stores that, so a reader may keep what it found.
type record struct {
	kind   *recordType
	id     string
	fields map[string]any // by the field's own name
	lists  map[string][]*row
	// lastLine is the highest line number ever given, by sublist: numbers
	// are not used again, which leaves gaps as in an account.
	lastLine map[string]int
}

// row is one line of a sublist.
type row struct {
	key    int
	fields map[string]any
}

func (r *record) clone() *record {
	c := &record{kind: r.kind, id: r.id, fields: maps.Clone(r.fields), lastLine: maps.Clone(r.lastLine),
		lists: make(map[string][]*row, len(r.lists))}
	for name, rows := range r.lists {
		copied := make([]*row, len(rows))
		for i, l := range rows {
			copied[i] = &row{l.key, maps.Clone(l.fields)}
		}
		c.lists[name] = copied
	}
	return c
}

func newRecord(t *recordType) *record {
	return &record{kind: t, fields: map[string]any{}, lists: map[string][]*row{}, lastLine: map[string]int{}}
}

func (r *record) text(name string) string {
	t, _ := r.fields[name].(string)
	return t
}

// title is the refName of a reference to the record.
func (r *record) title() string {
	t := r.text(r.kind.title)
	if r.kind.transaction() {
		return r.kind.label + " #" + t
	}
	return t
}

// shelf holds the records of one type.
type shelf struct {
	byID       map[string]*record
	byExternal map[string]string // external id -> id
	byUnique   map[string]string // value of the type's unique field, lower case -> id
	ids        []int             // ascending
}

func (s *Server) shelf(t *recordType) *shelf {
	sh := s.shelves[t.name]
	if sh == nil {
		sh = &shelf{byID: map[string]*record{}, byExternal: map[string]string{}, byUnique: map[string]string{}}
		s.shelves[t.name] = sh
	}
	return sh
}

func (s *Server) find(typ, id string) *record {
	if sh := s.shelves[s.schema[strings.ToLower(typ)].name]; sh != nil {
		return sh.byID[id]
	}
	return nil
}

func (s *Server) findExternal(typ, ext string) *record {
	if sh := s.shelves[s.schema[strings.ToLower(typ)].name]; sh != nil {
		if id, ok := sh.byExternal[ext]; ok {
			return sh.byID[id]
		}
	}
	return nil
}

// records lists a type in the order of internal ids.
func (s *Server) records(t *recordType) []*record {
	sh := s.shelf(t)
	out := make([]*record, 0, len(sh.ids))
	for _, id := range sh.ids {
		out = append(out, sh.byID[strconv.Itoa(id)])
	}
	return out
}

// save stores a finished record, new (id empty) or changed, and returns
// whether anything but the time of the last change differs.
func (s *Server) save(r *record) (changed bool, err *apiError) {
	sh := s.shelf(r.kind)
	old := sh.byID[r.id]
	ext := r.text("externalId")
	if id, taken := sh.byExternal[ext]; ext != "" && taken && id != r.id {
		return false, errDuplicate()
	}
	unique := ""
	if r.kind.unique != "" {
		unique = strings.ToLower(r.text(r.kind.unique))
		if id, taken := sh.byUnique[unique]; unique != "" && taken && id != r.id {
			return false, errDuplicate()
		}
	}
	now := s.now().UTC().Format(time.RFC3339)
	if old == nil {
		s.lastID[r.kind.space]++
		n := s.lastID[r.kind.space]
		r.id = strconv.Itoa(n)
		r.fields["createdDate"] = now
		sh.ids = append(sh.ids, n)
		changed = true
	} else {
		changed = !same(old, r)
		s.unlink(old, sh)
	}
	r.fields["lastModifiedDate"] = now
	if r.kind.transaction() && r.text("tranId") == "" {
		r.fields["tranId"] = r.kind.prefix + r.id
	}
	sh.byID[r.id] = r
	if ext != "" {
		sh.byExternal[ext] = r.id
	}
	if unique != "" {
		sh.byUnique[unique] = r.id
	}
	for target := range references(r) {
		s.users[target]++
	}
	if from, ok := r.fields["createdFrom"].(reference); ok {
		s.made[from] = insertID(s.made[from], reference{r.kind.name, r.id})
		s.settleOrder(from)
	}
	return changed, nil
}

func insertID(list []reference, r reference) []reference {
	if slices.Contains(list, r) {
		return list
	}
	return append(slices.Clone(list), r)
}

// unlink takes a stored record out of the indexes.
func (s *Server) unlink(old *record, sh *shelf) {
	delete(sh.byExternal, old.text("externalId"))
	if old.kind.unique != "" {
		delete(sh.byUnique, strings.ToLower(old.text(old.kind.unique)))
	}
	for target := range references(old) {
		if s.users[target]--; s.users[target] <= 0 {
			delete(s.users, target)
		}
	}
	if from, ok := old.fields["createdFrom"].(reference); ok {
		me := reference{old.kind.name, old.id}
		s.made[from] = slices.DeleteFunc(slices.Clone(s.made[from]), func(r reference) bool { return r == me })
	}
}

// remove deletes a record that nothing refers to.
func (s *Server) remove(r *record) *apiError {
	if s.users[reference{r.kind.name, r.id}] > 0 {
		return errUser("This record cannot be deleted because it has dependent records.")
	}
	sh := s.shelf(r.kind)
	s.unlink(r, sh)
	delete(sh.byID, r.id)
	n, _ := strconv.Atoi(r.id)
	if i := sort.SearchInts(sh.ids, n); i < len(sh.ids) && sh.ids[i] == n {
		sh.ids = slices.Delete(sh.ids, i, i+1)
	}
	if from, ok := r.fields["createdFrom"].(reference); ok {
		s.settleOrder(from)
	}
	return nil
}

// references are the records that r points to, each once, itself excepted.
func references(r *record) map[reference]bool {
	out := map[reference]bool{}
	add := func(fields map[string]any) {
		for _, v := range fields {
			if ref, ok := v.(reference); ok && ref != (reference{r.kind.name, r.id}) {
				out[ref] = true
			}
		}
	}
	add(r.fields)
	for _, rows := range r.lists {
		for _, l := range rows {
			add(l.fields)
		}
	}
	return out
}

// same compares what a user of the account sees of two versions of a record.
// Line keys do not count: a line that was replaced by an equal one is the
// same line to everybody but the database.
func same(a, b *record) bool {
	skip := func(name string) bool {
		return name == "lastModifiedDate" || name == "line" || name == "lineUniqueKey" || name == "id"
	}
	equal := func(x, y map[string]any) bool {
		for name, v := range x {
			if !skip(name) && !equalValue(v, y[name]) {
				return false
			}
		}
		for name := range y {
			if _, ok := x[name]; !ok && !skip(name) {
				return false
			}
		}
		return true
	}
	if !equal(a.fields, b.fields) {
		return false
	}
	for _, l := range a.kind.lists {
		if !slices.EqualFunc(a.lists[l.name], b.lists[l.name], func(x, y *row) bool { return equal(x.fields, y.fields) }) {
			return false
		}
	}
	return true
}

func equalValue(a, b any) bool {
	x, ok := a.(subrecord)
	if !ok {
		if _, isGroup := b.(subrecord); isGroup {
			return false
		}
		return a == b
	}
	y, ok := b.(subrecord)
	return ok && maps.EqualFunc(x, y, equalValue)
}
