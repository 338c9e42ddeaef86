package upkeep

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Records that refer to each other can't all wait. One of the circle is made
// without the fields that refer to those that wait for it; these are then
// made in full, and wake it, and what was left out goes out as an update.

const (
	// circleNet is how long a group of a sync whose references can go in a
	// circle sleeps at most before it looks again whether it waits for itself: two
	// that began to wait at one moment have not seen each other. After that it
	// sleeps for as long as it has waited.
	circleNet = 2 * time.Second
	// circleMost is how many groups are followed to find a circle.
	circleMost = 10_000
)

// waits is who waits for whom.
type waits map[store.ID][]store.ID

// waits reads what those wait for that jobs must wait for. Where references
// can't lead back there is nothing to read.
func (r *runner) waits(ctx context.Context, jobs []*job, found map[store.ID]store.RecordState) (waits, error) {
	ask := map[store.ID]bool{}
	for _, j := range jobs {
		if j.done || !j.def.circular {
			continue
		}
		for _, id := range j.missing(found) {
			ask[id] = true
		}
		if j.origin != nil && found[j.originID].Behind {
			ask[j.originID] = true
		}
	}
	if len(ask) == 0 {
		return waits{}, nil
	}
	r.mu.Lock()
	begun := maps.Clone(r.begun) // before the look at the database, where they move to
	r.mu.Unlock()
	for _, ids := range begun {
		for _, id := range ids {
			ask[id] = true
		}
	}
	known, err := r.db.Waits(ctx, slices.Collect(maps.Keys(ask)), len(ask)+circleMost)
	if err != nil {
		return waits{}, err
	}
	maps.Copy(known, begun)
	for _, j := range jobs { // each decides anew
		delete(known, j.claim.ID)
	}
	return known, nil
}

// before returns who waits for a group, at the end of the waits that lead to
// it from another one (itself, if that is the same); false if none do.
func (w waits) before(to, from store.ID) (store.ID, bool) {
	if from == to {
		return from, true
	}
	seen := map[store.ID]bool{from: true}
	for queue := []store.ID{from}; len(queue) > 0; queue = queue[1:] {
		for _, next := range w[queue[0]] {
			if next == to {
				return queue[0], true
			}
			if !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	return store.ID{}, false
}

// missing are the references whose records are not there.
func (j *job) missing(found map[store.ID]store.RecordState) []store.ID {
	var missing []store.ID
	for _, id := range j.refs {
		if found[id].RemoteID == "" {
			missing = append(missing, id)
		}
	}
	return missing
}

// await lets a job wait for records that are not there, or, if all of them
// wait for it in turn, go on without the fields that refer to them.
func (j *job) await(missing []store.ID, known waits) {
	var circle, others []store.ID
	for _, id := range missing {
		last, turned := known.before(j.claim.ID, id)
		if !j.def.circular || !turned {
			others = append(others, id)
			continue
		}
		circle = append(circle, id)
		if last != j.claim.ID && !slices.Contains(j.wakes, last) {
			j.wakes = append(j.wakes, last)
		}
	}
	if len(others) > 0 {
		known[j.claim.ID] = others // for the jobs that come after this one
		net := waitNet
		if j.def.circular { // soon, and then later and later: the other may be under way each time
			net = min(waitNet, max(circleNet, j.since))
		}
		j.finish(store.Result{Outcome: store.Waits, WaitsFor: others, After: net, Reason: "waits for " + others[0].String()})
		return
	}
	j.lacks, j.leftOut = circle, referring(j.fields, circle)
	if never := referring(j.create, circle); len(never) > 0 {
		j.finish(j.refusedInPart("it can't be made without " + strings.Join(never, ", ") + ", which is sent only when it is made"))
	} else if j.origin != nil && slices.Contains(circle, j.originID) {
		j.finish(j.refusedInPart("it is made from " + j.originID.String()))
	}
}

// inCircleWithOrigin parks a job whose origin can't come up to date, since it
// waits for what is made from it.
func (j *job) inCircleWithOrigin(known waits) bool {
	if _, turned := known.before(j.claim.ID, j.originID); !j.def.circular || !turned {
		return false
	}
	j.refuse("it is made from one that refers to it in turn, and so is never up to date before: " + j.originID.String() + "; drop one of the two references")
	return true
}

// partial completes a job whose record was made without what refers to those
// that wait for it.
func (j *job) partial() {
	j.result.Refs = slices.DeleteFunc(slices.Clone(j.refs), func(id store.ID) bool { return slices.Contains(j.lacks, id) })
	j.finish(store.Result{Outcome: store.Partial, WaitsFor: j.lacks, After: waitNet,
		Reason: fmt.Sprintf("made without %s, which waits for %s", strings.Join(j.leftOut, ", "), joinIDs(j.lacks))})
}

// refusedInPart is the result of a job that can't be made without those that
// wait for it: it is parked until one of them is there, and the one that waits
// for it gets its try. That one may be parked too, and then nobody is left.
func (j *job) refusedInPart(reason string) store.Result {
	return store.Result{Outcome: store.Refused, WaitsFor: j.lacks, Wakes: j.wakes,
		Reason: fmt.Sprintf("records refer to each other, and one has to be made first: it and %s refer to each other; make %s optional at the remote and then run upkeep retry %s, or leave a reference out; %s",
			joinIDs(j.lacks), orElse(strings.Join(j.leftOut, ", "), "the reference"), j.claim.Args(), reason)}
}

// referring names, sorted, the top-level fields that refer to one of ids.
func referring(f Fields, ids []store.ID) []string {
	var names []string
	for name, v := range f {
		into := map[store.ID]bool{}
		_ = references(v, into) // an error was returned before
		if slices.ContainsFunc(ids, func(id store.ID) bool { return into[id] }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// without is f without some fields.
func without(f Fields, names []string) Fields {
	if len(names) == 0 {
		return f
	}
	out := maps.Clone(f)
	for _, n := range names {
		delete(out, n)
	}
	return out
}

// circular says of each sync whether its references can lead back to it.
func circular(defs []*definition, byName map[string]*definition) {
	for _, d := range defs {
		d.circular = leads(byName, d, d.Name, map[string]bool{})
	}
}

// leads says whether the references of a sync lead to one.
func leads(byName map[string]*definition, from *definition, to string, seen map[string]bool) bool {
	for _, name := range from.RefersTo {
		if name == to {
			return true
		}
		if next := byName[name]; next != nil && !seen[name] {
			seen[name] = true
			if leads(byName, next, to, seen) {
				return true
			}
		}
	}
	return false
}

// initializeCircle returns a sync that d's records are initialized from and
// whose references lead back to d. Which sync that is only shows where all that
// d refers to lead back; a circle that is not seen here parks its groups.
func (d *definition) initializeCircle(byName map[string]*definition) string {
	if d.Initialize == nil || len(d.RefersTo) == 0 {
		return ""
	}
	for _, name := range d.RefersTo {
		if from := byName[name]; from == nil || from != d && !leads(byName, from, d.Name, map[string]bool{}) {
			return ""
		}
	}
	return d.RefersTo[0]
}

// leaveSelfOut is for a record that is to be made again: what refers to itself
// would refer to the one that is gone.
func (j *job) leaveSelfOut() {
	self := []store.ID{j.claim.ID}
	if !slices.Contains(j.refs, self[0]) {
		return
	}
	j.lacks, j.leftOut = self, referring(j.fields, self)
	for _, name := range j.leftOut {
		delete(j.record.Fields, name)
		delete(j.digests.Fields, name)
	}
}
