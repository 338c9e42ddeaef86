package upkeep

import (
	"bytes"
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Difference is a field of a remote record that is not what the database says.
type Difference struct {
	Sync, Key string
	Field     string // empty: the whole record
	// Want and Got are JSON, and Got is empty where the remote has none. Of the
	// whole record they are words, "a record" and "nothing"; Want is empty for a
	// record that should not be, and says why there can be none where Got is empty.
	Want, Got string
	// State of the group when it was compared: one that is not clean is known
	// to be behind.
	State State
	// Skipped: a person has left it so; see [Engine.Skip].
	Skipped bool
}

// DifferencesMost is how many differences a [Verification] lists at most.
const DifferencesMost = 10_000

// Verification is what [Engine.Verify] found.
type Verification struct {
	Groups, Records int
	Differences     []Difference
	// More: there are more differences than are listed.
	More bool
	// Changing are groups that differed and were changed or sent each time they
	// were looked at. They are left out of the differences; at most
	// [DifferencesMost] are listed.
	Changing []ID
	// Waiting are groups whose rows refer to a record that is not there, whether
	// they have a record of before or not, and whatever their state: what theirs is
	// to be is not known, so that nothing is compared, nor sent before that one
	// comes. At most [DifferencesMost] are listed.
	Waiting []ID
	// Unreadable are syncs that were left out, as the records of their remotes
	// can't be read back.
	Unreadable []string
}

// ErrUnreadable says that a remote's records can't be read back, as those of a
// webhook, so that nothing can be compared.
var ErrUnreadable = errors.New("records of this remote can't be read back")

// Verify reads the record of every group of a sync (empty for all of them) back
// from the remote and compares it with what the database says now: with keys,
// which are as those of [Engine.Explain], of these groups of the sync only. A key
// without a group is [ErrNoGroup], before anything is read.
// What differs is looked at again, until its group stands still from the load to the read and no touch waits in the log,
// which is folded for it. The reads go through the remote's limits, on what the
// workers leave of them; a remote that is paused by hand or broken is an error.
// Progress, if not nil, is told how many groups were compared. A sync that is
// installed with another declaration is an error: its records are what that one says. A sync whose
// remote can't be read is [ErrUnreadable]; of several, such ones are left out,
// and listed in Unreadable, unless none can be read.
func (e *Engine) Verify(ctx context.Context, sync string, progress func(done int), keys ...string) (*Verification, error) {
	defs, err := e.chosen(sync)
	if err != nil {
		return nil, err
	}
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	if keys, err = e.named(ctx, sync, keys); err != nil {
		return nil, err
	}
	found := &Verification{}
	for _, d := range defs {
		switch err := e.verify(ctx, d, keys, found, progress); {
		case errors.Is(err, ErrUnreadable) && sync == "":
			found.Unreadable = append(found.Unreadable, d.Name)
		case err != nil:
			return nil, err
		}
	}
	if len(found.Unreadable) == len(defs) { // to have compared nothing is not to have found nothing
		return nil, fmt.Errorf("%w: that goes for every sync", ErrUnreadable)
	}
	return found, nil
}

// named are the keys of groups as these are spelled, each once. Those that have
// no group are an error.
func (e *Engine) named(ctx context.Context, sync string, keys []string) ([]string, error) {
	if len(keys) > 0 && sync == "" {
		return nil, errors.New("verify: keys without a sync; name the one whose groups they are")
	}
	var own []string
	var lacking []error
	for _, key := range keys {
		id, err := e.group(ctx, sync, key)
		if err != nil {
			return nil, err
		}
		switch _, err := e.db.Group(ctx, id); {
		case errors.Is(err, store.ErrNoGroup):
			lacking = append(lacking, fmt.Errorf("%w: %s: there is no record to compare; see: upkeep explain %s", store.ErrNoGroup, id, id.Args()))
		case err != nil:
			return nil, err
		case !slices.Contains(own, id.Key):
			own = append(own, id.Key)
		}
	}
	return own, errors.Join(lacking...)
}

// verify compares the records of one sync, with keys those of their groups.
func (e *Engine) verify(ctx context.Context, d *definition, keys []string, found *Verification, progress func(done int)) error {
	reader, ok := d.To.Connection.(connector.Reader)
	if !ok {
		return fmt.Errorf("%w: remote %q", ErrUnreadable, d.To.Name)
	}
	state, err := e.db.Sync(ctx, d.Name)
	if err != nil {
		return err
	}
	if other := uninstalled(d, state); other != nil && state.Version != "" { // what is sent is what that one says
		return fmt.Errorf("sync %q: %w", d.Name, other)
	}
	r := newRunner(e, d.To)
	v := &verifier{runner: r, spare: &spare{Engine: e, remote: d.To, traits: r.traits}, def: d, reader: reader, found: found, waited: map[string]bool{}}
	defer v.spare.close()
	compare := func(groups []Group) error {
		if err := v.batch(ctx, groups); err != nil {
			return err
		}
		v.found.Groups += len(groups)
		if progress != nil {
			progress(v.found.Groups)
		}
		return nil
	}
	for piece := range slices.Chunk(keys, verifyPiece) {
		groups, err := v.groups(ctx, piece)
		if err != nil {
			return err
		}
		if err := compare(groups); err != nil {
			return err
		}
	}
	for after := (ID{}); len(keys) == 0; {
		groups, err := e.db.Groups(ctx, d.Name, "", after, verifyPiece)
		if err != nil || len(groups) == 0 {
			return err
		}
		if err := compare(groups); err != nil {
			return err
		}
		after = groups[len(groups)-1].ID
	}
	return nil
}

// verifyPiece is how many groups are loaded at once: few, so that little time
// goes by between the load and the last read.
const verifyPiece = 32

type verifier struct {
	*runner
	spare  *spare
	def    *definition
	reader connector.Reader

	mu      sync.Mutex
	found   *Verification
	records int // that were read since the last compare began
	loaded  time.Time

	states map[string]State        // of the groups compared
	differ map[string][]Difference // by key
	waited map[string]bool         // keys of those that were noted
}

// batch compares groups, and those that differ until it is sure of them.
func (v *verifier) batch(ctx context.Context, groups []Group) error {
	if err := v.compareAll(ctx, groups); err != nil {
		return err
	}
	v.found.Records += v.records
	if len(v.differ) == 0 {
		return nil
	}
	var suspects []string
	for _, g := range groups {
		if len(v.differ[g.Key]) > 0 {
			suspects = append(suspects, g.Key)
		}
	}
	return v.again(ctx, suspects)
}

// compareAll finds in what the records of groups differ from what the database
// says now.
func (v *verifier) compareAll(ctx context.Context, groups []Group) error {
	v.states, v.differ, v.records = map[string]State{}, map[string][]Difference{}, 0
	shape := v.shape(v.def.Name)
	jobs := make([]*job, len(groups))
	for i, g := range groups {
		v.states[g.Key] = g.State
		jobs[i] = &job{def: v.def, shape: shape, claim: store.Claim{ID: g.ID, RemoteID: g.RemoteID, ExternalID: g.ExternalID, Digests: g.Digests, DeleteSeen: true}}
	}
	return v.loadAll(ctx, shape, jobs, func(jobs []*job) error {
		v.loaded = v.cfg.Clock.Now()
		v.translate(ctx, jobs)
		v.refer(ctx, jobs)
		eg, ctx := errgroup.WithContext(ctx)
		eg.SetLimit(v.traits.Concurrency)
		for _, j := range jobs {
			eg.Go(func() error { return v.one(ctx, j) })
		}
		return eg.Wait()
	})
}

// one compares one group's record.
func (v *verifier) one(ctx context.Context, j *job) error {
	if j.done {
		if j.result.Outcome == store.Waits {
			v.waits(j)
			return nil
		}
		if j.result.Outcome != store.Synced && j.result.Outcome != store.Removed {
			v.differs(j, "", j.result.Reason, "")
		}
		return nil
	}
	id := j.claim.RemoteID
	if j.goal == kept || (j.goal != present && id == "") {
		return nil
	}
	if id == "" {
		v.differs(j, "", "a record", "nothing")
		return nil
	}
	var got connector.Fields
	err := v.patiently(ctx, func(ctx context.Context) (err error) {
		got, err = v.reader.Read(ctx, j.record.Type, id, j.record.Fields)
		return err
	})
	gone := err != nil && connector.KindOf(err) == connector.NotFound
	switch {
	case err != nil && !gone:
		return fmt.Errorf("read %s %s: %w", j.claim.Sync, j.claim.Key, err)
	case j.goal == absent && !gone:
		v.differs(j, "", "", "a record")
		return nil
	case j.goal == absent:
		return nil
	case gone:
		v.differs(j, "", "a record", "nothing")
		return nil
	}
	v.mu.Lock()
	v.records++
	v.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(j.record.Fields)) {
		if want := j.record.Fields[name]; !bytes.Equal(want, got[name]) {
			v.differs(j, name, string(want), string(got[name]))
		}
	}
	return nil
}

func (v *verifier) differs(j *job, field, want, got string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := j.claim.Key
	v.differ[key] = append(v.differ[key], Difference{Sync: j.claim.Sync, Key: key, Field: field, Want: want, Got: got, State: v.states[key], Skipped: j.isLeft(field)})
}

// waits notes a group that waits, once however often it is looked at.
func (v *verifier) waits(j *job) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.found.Waiting) < DifferencesMost && !v.waited[j.claim.Key] {
		v.waited[j.claim.Key] = true
		v.found.Waiting = append(v.found.Waiting, j.claim.ID)
	}
}

// isLeft: a person has left the field, or with none the record, as it is.
func (j *job) isLeft(field string) bool {
	known, _ := parseDigests(j.claim.Digests)
	if field == "" {
		return known.Stays && j.goal == absent
	}
	return slices.Contains(known.Left, field) && hmac.Equal(known.Fields[field], j.digests.Fields[field])
}

// patiently repeats a read that the remote had no time for.
func (v *verifier) patiently(ctx context.Context, read func(context.Context) error) error {
	for failures := 1; ; failures++ {
		began, err := v.spare.enter(ctx)
		if err != nil {
			return err
		}
		within, cancel := context.WithTimeout(ctx, v.traits.Timeout)
		err = read(within)
		cancel()
		v.spare.leave(ctx, began, err)
		if err == nil || failures > 8 || ctx.Err() != nil {
			return err
		}
		e := connector.AsError(err)
		if e.Kind != connector.RateLimited && e.Kind != connector.Unavailable && e.Kind != connector.Unknown {
			return err
		}
		if err := v.cfg.Clock.Sleep(ctx, max(e.RetryAfter, v.backoffUpTo(failures, 5*time.Second)/10)); err != nil {
			return err
		}
	}
}

// Fix sends the records again that a [Verification] found to differ: their
// groups are touched and forced, and a running engine does the rest. It returns
// how many groups that are. One that the remote refuses is refused again; what a
// person has left as it is ([Difference].Skipped) is no reason to send, and one
// without a group no error.
func (e *Engine) Fix(ctx context.Context, differences []Difference) (int, error) {
	var touches []store.Touch
	seen := map[store.ID]bool{}
	for _, d := range differences {
		if d.Skipped {
			continue
		}
		id, err := e.group(ctx, d.Sync, d.Key)
		if err != nil {
			return 0, err
		}
		if !seen[id] {
			seen[id] = true
			touches = append(touches, store.Touch{ID: id, Force: true})
		}
	}
	if len(touches) > 0 {
		if err := e.intervene(ctx, fixed(touches)); err != nil {
			return 0, err
		}
	}
	for piece := range slices.Chunk(touches, fixPiece) {
		if err := e.db.Append(ctx, nil, piece); err != nil {
			return 0, fmt.Errorf("touch what differs: %w", err)
		}
	}
	return len(touches), nil
}

// fixed is that these groups are sent again, for the list of what was done by hand.
func fixed(touches []store.Touch) Intervention {
	i := Intervention{Did: "fix", Sync: touches[0].ID.Sync, Detail: some(len(touches), "group")}
	for _, t := range touches {
		if t.ID.Sync != i.Sync {
			i.Sync = ""
		}
	}
	if len(touches) == 1 {
		i.Key, i.Detail = touches[0].ID.Key, ""
	}
	return i
}

const fixPiece = 500 // touches in one statement
