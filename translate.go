package upkeep

import (
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// translate decides what the record is to be and makes its fields, and adds
// what they refer to. A function of the user's that panics refuses its own
// group and nothing else.
func (j *job) translate() {
	doing := "external id"
	defer func() {
		if p := recover(); p != nil {
			j.refuse(fmt.Sprintf("%s: panic: %v, at %s", doing, p, panicSite()))
		}
	}()
	if j.composite == nil {
		j.rowMissing(store.DeletionUnseen + ", so the record was left alone; if the row was really deleted, run: upkeep resync --deleted " + j.claim.Args())
		return
	}
	if own := j.composite.Key; own != "" {
		j.composite = nil
		j.rowMissing("this is another spelling of " + store.ID{Sync: j.claim.Sync, Key: own}.String() + ", which has the row, so this record was left alone; to delete it, run: upkeep resync --deleted " + j.claim.Args())
		return
	}
	if errors.Is(j.composite.Err, store.ErrLabel) { // what it means is known when the tables were looked at again
		j.finish(store.Result{Outcome: store.Retry, Free: true, After: labelRetry, Reason: "load: " + j.composite.Err.Error()})
		return
	}
	if j.composite.Err != nil {
		j.refuse("load: " + j.composite.Err.Error())
		return
	}
	row := j.composite.Row
	if err := j.identify(row); err != nil {
		j.refuse(err.Error())
		return
	}
	if j.def.When != nil {
		doing = "when"
		pass, err := j.def.When(row)
		if err != nil {
			j.refuse(reasonOf(doing, err))
			return
		}
		if !pass {
			j.end(j.def.WhenFalse)
			return
		}
	}
	doing = "translate"
	if err := j.represent(row); err != nil {
		j.refuse(reasonOf(doing, err))
	}
}

// reasonOf says what went wrong, and in which function, if it was in one.
func reasonOf(doing string, err error) string {
	err = spoken(err)
	if errors.As(err, new(unread)) {
		doing = "load"
	}
	return doing + ": " + err.Error()
}

// spoken is an error of a function of the user's; in the place of a nil pointer,
// whose own text would be a panic or somebody else's, what is wrong with it.
func spoken(err error) error {
	if !isNil(err) {
		return err
	}
	return fmt.Errorf("it returned an error that holds a nil %[1]T, which is not nil in Go: where nothing failed return nil itself, and declare variables for it as error, not as %[1]T", err)
}

// rowMissing: a delete goes out only when the row's deletion was observed.
// "Not visible" is not "deleted".
func (j *job) rowMissing(otherwise string) {
	switch {
	case j.claim.DeleteSeen:
		row, err := keyRow(j.shape, j.claim.Key)
		if err == nil {
			err = j.identify(row)
		}
		if err != nil {
			j.refuse(err.Error())
			return
		}
		j.end(j.def.OnDelete)
	case j.claim.RemoteID == "" && !j.claim.InDoubt && !j.claim.Forced:
		j.finish(store.Result{Outcome: store.Removed})
	default:
		j.refuse(otherwise)
	}
}

func (j *job) end(e Ending) {
	switch e.Action {
	case Delete:
		j.goal = absent
	case Set:
		j.goal, j.fields = ended, e.Fields
	default:
		j.goal = kept
	}
}

// identify fills in the record's type and external id.
func (j *job) identify(row Row) error {
	j.record = connector.Record{Type: j.def.Record, ExternalID: j.def.Name + "-" + j.claim.Key, Version: j.claim.Epoch, Generation: j.claim.Generation, Registry: j.registry}
	if j.command != nil {
		j.record.Command = j.command.Number
	}
	// The record keeps the one that it was made with, or may have been: not one under
	// which it was refused, and surely is not there.
	if j.claim.ExternalID != "" && (j.claim.RemoteID != "" || j.claim.InDoubt || j.claim.Forced || j.restored) {
		j.record.ExternalID = j.claim.ExternalID
		return nil
	}
	if j.def.ExternalID != nil {
		id, err := j.def.ExternalID(row)
		if err != nil {
			return errors.New(reasonOf("external id", err))
		}
		if id == "" {
			return fmt.Errorf("external id: it is empty; it must be made from the row's key")
		}
		if _, err := plainText(id); err != nil {
			return fmt.Errorf("external id: %w", err)
		}
		if !keepable(id) {
			return errors.New("external id: it holds the character NUL, which the registry can't keep; leave it out where the external id is made")
		}
		j.record.ExternalID = id
	}
	return nil
}

// keyRow makes a row of nothing but the primary key: enough for an external
// id, which is a function of the source's identity, when the row is gone.
func keyRow(shape *store.Shape, key string) (Row, error) {
	parts, err := store.SplitKey(key, len(shape.Root.Key))
	if err != nil {
		return nil, err
	}
	row := Row{}
	for i, c := range shape.Root.Key {
		row[c.Name] = parts[i]
		if c.Kind == store.Int {
			n, err := strconv.ParseInt(parts[i], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("key %q: %w", key, err)
			}
			row[c.Name] = n
		}
	}
	return row, nil
}

func (j *job) represent(row Row) error {
	var err error
	if j.fields, err = j.def.Translate(row); err == nil && j.fields == nil {
		err = errors.New("it returned no fields; use When to leave rows out, or return an empty upkeep.Fields{} for a record without any")
	}
	if err == nil {
		j.fields, err = frozen(j.fields)
	}
	if err == nil {
		err = tooLarge(j.fields)
	}
	if err == nil {
		err = j.def.unsaid(slices.Collect(maps.Keys(j.fields)))
	}
	if err != nil {
		return err
	}
	mine := map[store.ID]bool{}
	if err := references(j.fields, mine); err != nil {
		return err
	}
	if j.def.CreateFields != nil {
		if j.create, err = j.def.CreateFields(row); err == nil {
			j.create, err = frozen(j.create)
		}
		if err == nil {
			err = tooLarge(j.create)
		}
		if err != nil {
			return fmt.Errorf("create fields: %w", spoken(err))
		}
		if err := references(j.create, mine); err != nil {
			return err
		}
		if both := inBoth(j.fields, j.create); len(both) > 0 {
			return fmt.Errorf("create fields: Translate makes %s too; what is compared and sent again belongs in Translate, what is sent once in CreateFields, and no field in both", strings.Join(both, ", "))
		}
	}
	if j.def.Initialize != nil {
		from, err := j.def.Initialize(row)
		if err != nil {
			return fmt.Errorf("initialize: %w", spoken(err))
		}
		if from.Sync == "" {
			return fmt.Errorf("initialize: there is no record to make it from: the key is null")
		}
		j.originID = store.ID{Sync: from.Sync, Key: from.Key}
		if j.claim.RemoteID == "" {
			j.origin = &connector.Origin{}
			mine[j.originID] = true
		}
	}
	j.refs = slices.SortedFunc(maps.Keys(mine), compareIDs)
	for id := range mine {
		if !slices.Contains(j.def.RefersTo, id.Sync) {
			return fmt.Errorf("it refers to sync %q, which RefersTo does not name", id.Sync)
		}
	}
	return nil
}

// unsaid is of the fields that an ending sets and that are not made while the row
// is there. The record of a row that comes back would keep what it was ended with,
// and count as up to date. It is said before any record is ended: whether one was
// can't be told from the registry after a crash in the midst of its call, or when
// the registry itself came back from a backup.
func (d *definition) unsaid(made []string) error {
	var left []string
	for _, end := range []Ending{d.OnDelete, d.WhenFalse} {
		for name := range end.Fields {
			if !slices.Contains(made, name) && !slices.Contains(left, name) {
				left = append(left, name)
			}
		}
	}
	if len(left) == 0 {
		return nil
	}
	slices.Sort(left)
	names := strings.Join(left, ", ")
	return fmt.Errorf("nothing says what becomes of %s, which OnDelete or WhenFalse sets, when the row comes back: make %s for rows that are there, too (such as \"isInactive\": false beside an ending with \"isInactive\": true)", names, names)
}

// inBoth are the fields that would be sent with one value when the record is
// made, and compared with the other ever after: it would never be sent, and
// count as up to date.
func inBoth(fields, create Fields) []string {
	var both []string
	for name := range create {
		if _, too := fields[name]; too {
			both = append(both, name)
		}
	}
	slices.Sort(both)
	return both
}

func compareIDs(a, b store.ID) int { return strings.Compare(a.String(), b.String()) }

// panicSite is the first line of the stack that is the user's. The last panic
// in the list came first: libraries pass on what they caught.
func panicSite() string {
	site := "unknown"
	lines := strings.Split(string(debug.Stack()), "\n")
	for i := range lines {
		if strings.HasPrefix(lines[i], "panic(") && i+3 < len(lines) {
			site = strings.TrimSpace(lines[i+3])
		}
	}
	return site
}
