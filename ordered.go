package upkeep

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Delivery says which versions of a group's data a sync sends.
type Delivery string

// The deliveries.
const (
	// Latest sends the current state: changes that come close together are one
	// call. The zero value means the same.
	Latest Delivery = "latest"
	// Every sends each committed version of a group, in the order of the
	// commits, none left out. Each is kept with its data until the remote has
	// it. One that is refused stops its group until a person decides
	// ([Engine.Retry], [Engine.Skip]). PostgreSQL captures them; with ByHand,
	// and on SQLite, the program appends them ([Engine.Command]).
	Every Delivery = "every"
)

// The ordered lane goes the same way as the state lane, and differs in what is
// loaded: a group's oldest command, and the state only when none waits. What
// was delivered last is then compared with the state, which closes every gap.
// A group in doubt rests until no earlier request can land any more: a late one
// would land over the version that came after it.
// No state overtakes a command: the state is loaded first, and a command that
// came meanwhile goes before it.

// takeCommands gives the jobs of ordered syncs their oldest commands, and
// returns those that have none.
func (r *runner) takeCommands(ctx context.Context, jobs []*job) (rest []*job) {
	var ids []store.ID
	for _, j := range jobs {
		if j.def.Deliver == Every && !j.done {
			ids = append(ids, j.claim.ID)
		}
	}
	if len(ids) == 0 {
		return jobs
	}
	found, err := r.db.NextCommands(ctx, ids)
	for _, j := range jobs {
		c, there := found[j.claim.ID]
		switch {
		case j.done || j.def.Deliver != Every:
			rest = append(rest, j)
		case err != nil:
			j.finish(store.Result{Outcome: store.Retry, Free: true, After: r.backoff(1), Reason: "look for commands: " + err.Error()})
		case there:
			j.take(c)
		default:
			rest = append(rest, j)
		}
	}
	return rest
}

// take makes a command be what the job delivers.
func (j *job) take(c store.Command) {
	j.command = &c
	j.result.Command, j.result.Version = c.Number, j.def.version
	j.composite = nil
	if c.Late {
		j.finish(store.Result{Outcome: store.Released, PassedOver: fmt.Sprintf(
			"command %d of %s was committed when a newer one had ended the record: it was passed over", c.Number, moment.Of(c.At))})
		return
	}
	if !c.Deleted {
		composite := store.DecodePayload(j.shape, c.Payload)
		j.composite = &composite
	}
	if c.Refused != "" && c.RefusedVersion == j.def.version {
		// A touch, or a later command, is no reason to try again.
		j.finish(store.Result{Outcome: store.Refused, Reason: c.Refused, Clash: strings.HasSuffix(c.Refused, triedAgain)})
		return
	}
	j.claim.DeleteSeen = j.claim.DeleteSeen || c.Deleted
}

// refusal names the command in the reason why it was refused.
func refusal(c *store.Command, reason string) string {
	head := fmt.Sprintf("command %d of %s: ", c.Number, moment.Of(c.At))
	if strings.HasPrefix(reason, head) {
		return reason
	}
	return head + reason
}

// Command makes the version that a group has in tx a command, which is
// delivered after those before it and before those after it: for a sync that
// delivers [Every] version and is ByHand. It registers the group too. tx and
// key are as in [Engine.Touch]. On PostgreSQL the version is the one at tx's
// commit, and a transaction is one version however often it calls this. On
// SQLite it is the one at the call, so make it the last thing that the
// transaction does to the group's rows; and begin the transaction with a
// write, since SQLite refuses to let a reader write once another has.
func (e *Engine) Command(ctx context.Context, tx any, sync string, key ...any) error {
	d, err := e.definition(sync)
	if err != nil {
		return err
	}
	if d.Deliver != Every || !d.ByHand {
		return fmt.Errorf("sync %q does not take commands by hand: it needs Deliver: Every and ByHand (deliver: every, register: hand)", sync)
	}
	if err := transaction(tx); err != nil {
		return fmt.Errorf("command of %s: %w", sync, err)
	}
	if err := e.readyBeside(ctx, tx); err != nil {
		return fmt.Errorf("command of %s: %w", sync, err)
	}
	k, err := e.keyOf(ctx, tx, sync, key)
	if err != nil {
		return fmt.Errorf("command of %s: %w", sync, err)
	}
	if err = e.command(ctx, tx, sync, k); err == nil {
		return nil
	}
	within, cancel := beside(ctx, tx)
	defer cancel()
	if e.relearned(within) && e.command(ctx, tx, sync, k) == nil {
		return nil
	}
	return err
}

func (e *Engine) command(ctx context.Context, tx any, sync, key string) error {
	key, err := e.spelled(ctx, tx, sync, key)
	if err != nil {
		return fmt.Errorf("command of %s: %w", sync, err)
	}
	return e.db.AppendCommand(ctx, tx, e.shape(sync), key)
}

// lane fills in what waits of the group in the ordered lane.
func (x *Explanation) lane(ctx context.Context, e *Engine, d *definition, id store.ID) (err error) {
	if d.Deliver != Every {
		return nil
	}
	if x.Commands, err = e.db.WaitingCommands(ctx, id, 100); err != nil {
		return err
	}
	x.Gaps, err = e.db.Gaps(ctx, id.Sync, id.Key, 20)
	return err
}

// laneFindings are what a person should know of a sync's ordered lane: versions
// that will be dropped if nobody acts, and those that are missing.
func (e *Engine) laneFindings(ctx context.Context, c Counts) ([]Finding, error) {
	var found []Finding
	add := func(s Severity, message, fix string) {
		found = append(found, Finding{Severity: s, Subject: c.Sync, Message: message, Fix: fix})
	}
	unblock := "see what they wait for with upkeep status " + c.Sync + " --state parked, then upkeep retry or upkeep skip"
	switch {
	case c.OldestCommand > e.cfg.History/2:
		add(Problem, fmt.Sprintf("versions to be delivered: %d; the oldest waits for %s, and at %s it is dropped", c.Commands,
			moment.Span(c.OldestCommand), moment.Span(e.cfg.History)), unblock)
	case c.Commands > store.MostCommands/2:
		add(Warning, fmt.Sprintf("versions to be delivered: %d; of one group at most %d are kept", c.Commands, store.MostCommands), unblock)
	case c.OldestCommand > oldGroup:
		add(Warning, fmt.Sprintf("versions to be delivered: %d; the oldest waits for %s", c.Commands, moment.Span(c.OldestCommand)), unblock)
	}
	if c.Gaps == 0 {
		return found, nil
	}
	gaps, err := e.db.Gaps(ctx, c.Sync, "", gapsListed)
	if err != nil {
		return nil, err
	}
	for _, g := range gaps {
		what := "versions of its groups"
		if g.Key != "" {
			what = "versions of " + c.Sync + "/" + g.Key
		}
		add(Warning, fmt.Sprintf("%s may not have been delivered one by one: %s, at %s", what, g.Reason, moment.Of(g.At)),
			"the state after it was sent or will be; tell whoever reads the versions at the remote")
	}
	return found, nil
}

// gapsListed is how many gaps of a sync [Engine.Doctor] tells.
const gapsListed = 5

// HeldTurns tells of transactions that keep the turn of groups, in syncs that
// deliver every version, so that commits of the application take longer: one that
// is prepared and not ended, say. It changes nothing.
func (e *Engine) HeldTurns(ctx context.Context) ([]Finding, error) {
	if !slices.ContainsFunc(e.defs, func(d *definition) bool { return d.Deliver == Every }) {
		return nil, nil
	}
	holders, err := e.db.TurnHolders(ctx)
	var found []Finding
	for _, h := range holders {
		if d := e.byName[h.Sync]; d == nil || d.Deliver != Every {
			continue
		}
		which := "one of its groups"
		if h.Whole {
			which = "a group of the sync"
		}
		found = append(found, Finding{Severity: Problem, Subject: h.Sync,
			Message: fmt.Sprintf("%s: until it ends, each commit that changes %s takes two seconds longer, and the order of that version is not certain", h.String(), which),
			Fix:     "end it: " + h.End})
	}
	return found, err
}
