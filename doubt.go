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

// unknown is what the calls of a try sent whose outcomes are unknown.
type unknown struct {
	fields   []string // of updates
	anything bool     // there is no telling
}

// note notes a call. Of a row of a job it is not known what was sent.
func (u *unknown) note(action string, fields connector.Fields) {
	if action != connector.Update.String() || fields == nil {
		u.anything = true
		return
	}
	u.fields = slices.AppendSeq(u.fields, maps.Keys(fields))
}

// inDoubt: an older request may still land, or may have landed over what was
// acknowledged.
func (j *job) inDoubt() bool { return j.claim.InDoubt || j.claim.Forced }

// traced says whether it is known what the calls of the doubt sent: the fields that
// known lacks.
func (j *job) traced(known digests) bool {
	return known.Doubt != 0 && known.Doubt == j.claim.Before && !j.restored
}

// surely is what the remote surely has of a record that is in doubt or forced:
// known is what the group goes by.
func (j *job) surely(known digests) digests {
	if !j.traced(known) || j.claim.Whole || j.command != nil || j.claim.RemoteID == "" {
		return digests{}
	}
	return known
}

// goesBy is what the group goes by after a result. Nil: what it goes by already,
// unless the record was written or is not there.
func (j *job) goesBy(outcome store.Outcome) []byte {
	switch outcome {
	case store.Synced, store.Removed, store.Partial:
		return j.result.Digests
	}
	known, any := parseDigests(j.claim.Digests)
	lost := outcome == store.Doubtful && len(j.unknown.fields) == 0 // there is no telling what
	switch {
	case !any || lost || j.unknown.anything || j.inDoubt() && !j.traced(known):
		return nil
	case !j.inDoubt() && len(j.unknown.fields) == 0:
		return nil // there is no doubt
	}
	for _, name := range j.unknown.fields {
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
