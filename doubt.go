package upkeep

import (
	"maps"
	"slices"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// A request whose outcome is unknown may have written the fields that it carried,
// or may still: while its group is in doubt, and once more when that is over, these
// go again. Their digests are left out of what the group goes by until then. All
// others are at the remote as they were acknowledged, and go only if they changed:
// a remote may take some of them no more, such as the lines of an order that was
// fulfilled.
//
// That holds if all is known of what the calls of the doubt sent. A worker that
// lost its lease tells nobody, so the note is of the claim before, or it is none,
// and the record goes whole. So it does if something else than the end of the doubt
// has forced it: then what is at the remote is in question.

// writes are what the calls of a try may have written.
type writes struct {
	fields   []string // by updates
	anything bool     // there is no telling
}

// wrote notes a call by what the remote said to it. Of a row of a job it is not
// known what was sent, and an update that may have made a record anew left it
// without all other fields.
func (j *job) wrote(action string, fields connector.Fields, err error) {
	remaker, _ := j.def.To.Connection.(connector.Remaker)
	remakes := remaker != nil && remaker.Remakes(j.record.Type)
	switch {
	case action == "find", err != nil && !isKind(err, connector.Unknown) && !(remakes && isKind(err, connector.NotFound)):
	case action != connector.Update.String(), fields == nil, remakes:
		j.writes.anything = true
	default:
		j.writes.fields = slices.AppendSeq(j.writes.fields, maps.Keys(fields))
	}
}

// inDoubt: an older request may still land, or may have landed over what was
// acknowledged.
func (j *job) inDoubt() bool { return j.claim.InDoubt || j.claim.Forced }

// traced says whether it is known what the calls of the doubt sent: the fields that
// known lacks. After a restore of the registry that may be wrong, as all that it
// knows; then a sweep forces every record.
func (j *job) traced(known digests) bool {
	return known.Doubt != 0 && known.Doubt == j.claim.Before
}

// isTold says whether the remote surely has what the group goes by, known, of a
// record that is in doubt or forced.
func (j *job) isTold(known digests) bool {
	return j.traced(known) && !j.claim.Whole && j.command == nil
}

// goesBy is what the group goes by after a result. Nil: what it goes by already,
// unless the record was written or is not there.
func (j *job) goesBy(res store.Result) []byte {
	switch res.Outcome {
	case store.Synced, store.Removed, store.Partial:
		return j.result.Digests
	}
	known, any := parseDigests(j.claim.Digests)
	w := j.writes
	w.anything = w.anything || res.Doubt > 0 && len(w.fields) == 0 // there is no telling what
	switch {
	case !any || j.inDoubt() && !j.traced(known):
		return nil // nobody knows what the remote has
	case !j.inDoubt() && !w.anything && len(w.fields) == 0:
		return nil // nothing was written
	case w.anything:
		known.Fields = nil
	}
	for _, name := range w.fields {
		delete(known.Fields, name)
	}
	known.Doubt = j.claim.Epoch
	return known.bytes()
}

// acknowledged is what the group goes by once its record is as translated. While it
// is in doubt a late request may still undo that, for the fields that one may carry.
func (j *job) acknowledged() digests {
	d := j.digests
	known, _ := parseDigests(j.claim.Digests)
	if !j.claim.InDoubt || !j.traced(known) {
		return d
	}
	d.Fields, d.Doubt = maps.Clone(d.Fields), j.claim.Epoch
	maps.DeleteFunc(d.Fields, func(name string, _ []byte) bool { return known.Fields[name] == nil })
	return d
}
