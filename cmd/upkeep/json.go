package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep"
)

// The forms are what --json prints: stable names, durations in seconds, times
// as RFC 3339, and nothing for what there is not.

type statusJSON struct {
	Database    string            `json:"database"`
	Pending     int               `json:"pending"`
	OldestTouch float64           `json:"oldest_touch_seconds"`
	Processes   []string          `json:"processes"` // at work
	Syncs       []syncForm        `json:"syncs"`
	Remotes     []remoteForm      `json:"remotes"`
	HeldDeletes []heldDeletesForm `json:"held_deletes"`
	Pauses      []pauseForm       `json:"pauses"`
	Jobs        []jobForm         `json:"jobs"`
	Failures    []failureForm     `json:"failures"` // what processes can't do as things are
	Capture     []findingForm     `json:"capture"`  // what keeps changes from being noticed
	Absent      []absentForm      `json:"absent"`   // processes that seem to have died
	// Transactions that make commits of the application take longer.
	HeldTurns   []findingForm `json:"held_turns,omitempty"`
	Uninstalled []findingForm `json:"uninstalled,omitempty"` // syncs that are not installed as they are declared
}

type syncForm struct {
	Sync     string        `json:"sync"`
	Groups   int64         `json:"groups"`
	Clean    int64         `json:"clean"`
	Dirty    int64         `json:"dirty"`
	Claimed  int64         `json:"claimed"`
	InDoubt  int64         `json:"in_doubt"`
	Waiting  int64         `json:"waiting"`
	Parked   int64         `json:"parked"`
	Gone     int64         `json:"gone"`
	Skipped  int64         `json:"skipped"`
	Lag      float64       `json:"lag_seconds"`
	Waits    float64       `json:"oldest_waiting_seconds"`
	Touches  int64         `json:"touches"`
	Calls    int64         `json:"calls"`
	Saved    int64         `json:"saved"`
	Backfill *backfillForm `json:"backfill,omitempty"`
	// Of a sync that delivers every version.
	Commands      int64   `json:"commands,omitempty"`
	OldestCommand float64 `json:"oldest_command_seconds,omitempty"`
	Gaps          int64   `json:"gaps,omitempty"`
	// Why its groups can't be loaded.
	Held string `json:"held,omitempty"`
}

type backfillForm struct {
	Done    int64  `json:"done"`
	Total   int64  `json:"total"`
	Failure string `json:"failure,omitempty"`
}

type remoteForm struct {
	Remote      string  `json:"remote"`
	InUse       int     `json:"in_use"`
	Concurrency int     `json:"concurrency"`
	Calls       int     `json:"calls_under_way"`
	OldestCall  float64 `json:"oldest_call_seconds"`
	LostCalls   int     `json:"lost_calls,omitempty"` // of processes that are gone
	Broken      bool    `json:"broken"`
	Breaks      int     `json:"breaks,omitempty"`
	ProbeIn     float64 `json:"probe_in_seconds,omitempty"`
	Paused      float64 `json:"paused_seconds,omitempty"`
	Reason      string  `json:"reason,omitempty"`
	// What the remote says of the requests that it allows in a while.
	Quota *quotaForm `json:"quota,omitempty"`
}

type quotaForm struct {
	Used  int64     `json:"used"`
	Limit int64     `json:"limit"`
	Left  int64     `json:"left"`
	At    time.Time `json:"at"`
}

type absentForm struct {
	Process     string      `json:"process"`
	Unseen      float64     `json:"unseen_seconds,omitempty"`
	Slots       []slotsForm `json:"slots"`
	Groups      int         `json:"groups"`
	GroupsUntil *time.Time  `json:"groups_until,omitempty"`
}

type failureForm struct {
	Stage  string    `json:"stage"`
	Holder string    `json:"process"`
	Since  time.Time `json:"since"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

type slotsForm struct {
	Remote string    `json:"remote"`
	Slots  int       `json:"slots"`
	Until  time.Time `json:"until"`
}

func absentForms(all []upkeep.Absent) []absentForm {
	out := []absentForm{}
	for _, a := range all {
		f := absentForm{Process: a.Process, Unseen: a.Unseen.Seconds(), Slots: []slotsForm{}, Groups: a.Groups}
		for _, s := range a.Slots {
			f.Slots = append(f.Slots, slotsForm(s))
		}
		if a.Groups > 0 {
			f.GroupsUntil = &a.GroupsUntil
		}
		out = append(out, f)
	}
	return out
}

func statusForm(database string, st *upkeep.Status) statusJSON {
	f := statusJSON{Database: database, Pending: st.Pending, OldestTouch: st.OldestTouch.Seconds(), Processes: append([]string{}, st.Processes...), Syncs: []syncForm{}, Remotes: []remoteForm{}, HeldDeletes: heldDeletesForms(st.HeldDeletes), Pauses: pauseForms(st.Pauses), Jobs: jobForms(st.Jobs), Failures: []failureForm{}}
	for _, x := range st.Failures {
		f.Failures = append(f.Failures, failureForm(x))
	}
	for _, c := range st.Syncs {
		s := syncForm{Sync: c.Sync, Groups: c.Groups, Clean: c.Clean, Dirty: c.Dirty, Claimed: c.Claimed, InDoubt: c.InDoubt,
			Waiting: c.Waiting, Parked: c.Parked, Gone: c.Gone, Skipped: c.Skipped, Lag: c.Oldest.Seconds(), Waits: c.OldestWaiting.Seconds(), Touches: c.Touches, Calls: c.Calls, Saved: c.Saved,
			Commands: c.Commands, OldestCommand: c.OldestCommand.Seconds(), Gaps: c.Gaps, Held: c.Held}
		if c.Backfill.Running {
			s.Backfill = &backfillForm{c.Backfill.Done, c.Backfill.Total, c.Backfill.Failure}
		}
		f.Syncs = append(f.Syncs, s)
	}
	for _, r := range st.Remotes {
		form := remoteForm{r.Name, r.InUse, r.Concurrency, r.Calls, r.OldestCall.Seconds(), r.LostCalls, r.Broken, r.Breaks, r.ProbeIn.Seconds(), r.PausedFor.Seconds(), r.Reason, nil}
		if q := r.Quota; q != (upkeep.Quota{}) {
			form.Quota = &quotaForm{q.Used, q.Limit, q.Left(), q.At}
		}
		f.Remotes = append(f.Remotes, form)
	}
	return f
}

type groupForm struct {
	Sync             string     `json:"sync"`
	Key              string     `json:"key"`
	State            string     `json:"state"`
	Generation       int64      `json:"generation"`
	SyncedGeneration int64      `json:"synced_generation"`
	ForcedGeneration int64      `json:"forced_generation,omitempty"`
	TouchedAt        time.Time  `json:"touched_at,omitzero"`
	SyncedAt         time.Time  `json:"synced_at,omitzero"`
	DueAt            time.Time  `json:"due_at,omitzero"`
	InDoubtUntil     time.Time  `json:"in_doubt_until,omitzero"`
	Holder           string     `json:"holder,omitempty"`
	LeaseUntil       time.Time  `json:"lease_until,omitzero"`
	RemoteID         string     `json:"remote_id,omitempty"`
	ExternalID       string     `json:"external_id,omitempty"`
	Attempts         int        `json:"attempts"`
	Reason           string     `json:"reason,omitempty"`
	WaitsFor         []string   `json:"waits_for,omitempty"`
	Refs             []string   `json:"refs,omitempty"`
	Cause            *causeForm `json:"cause,omitempty"`
}

type causeForm struct {
	Op      string    `json:"op"`
	Table   string    `json:"table,omitempty"`
	Key     string    `json:"key,omitempty"`
	Columns []string  `json:"columns,omitempty"`
	Tx      string    `json:"tx,omitempty"`
	At      time.Time `json:"at,omitzero"`
}

func formOfGroup(g *upkeep.Group) groupForm {
	f := groupForm{Sync: g.Sync, Key: g.Key, State: string(g.State), Generation: g.Generation, SyncedGeneration: g.SyncedGeneration,
		ForcedGeneration: g.ForcedGeneration, TouchedAt: g.TouchedAt, SyncedAt: g.SyncedAt, DueAt: g.DueAt, InDoubtUntil: g.InDoubtUntil,
		Holder: g.Holder, LeaseUntil: g.LeaseUntil, RemoteID: g.RemoteID, ExternalID: g.ExternalID, Attempts: g.Attempts, Reason: g.Reason,
		WaitsFor: names(g.WaitsFor), Refs: names(g.Refs)}
	if g.Cause.Op != "" {
		f.Cause = &causeForm{g.Cause.Op, g.Cause.Table, g.Cause.Key, g.Cause.Columns, g.Cause.Tx, g.Cause.At}
	}
	return f
}

type attemptForm struct {
	At      time.Time `json:"at"`
	Action  string    `json:"action"`
	Outcome string    `json:"outcome"`
	Status  int       `json:"status,omitempty"`
	Took    float64   `json:"took_seconds"`
	Fields  []string  `json:"fields,omitempty"`
	Message string    `json:"message,omitempty"`
}

type explainJSON struct {
	Sync      string             `json:"sync"`
	Key       string             `json:"key"`
	Why       string             `json:"why"`
	Group     *groupForm         `json:"group"`
	Composite json.RawMessage    `json:"composite"`
	Record    *recordForm        `json:"record"`
	Send      string             `json:"send"`
	LookFirst bool               `json:"look_first,omitempty"`
	Changed   []string           `json:"changed,omitempty"`
	Left      []string           `json:"left,omitempty"` // fields that upkeep skip has left as they are
	Missing   []string           `json:"missing,omitempty"`
	When      string             `json:"when,omitempty"` // the condition that leaves the row out
	Attempts  []attemptForm      `json:"attempts"`
	ByHand    []interventionForm `json:"interventions,omitempty"`
	Chain     []linkForm         `json:"chain,omitempty"`
	Blocks    []string           `json:"blocks"`
	Direct    int                `json:"blocks_direct"`
	All       int                `json:"blocks_all"`
	Paused    *pauseForm         `json:"paused,omitempty"`
	Job       *jobForm           `json:"job,omitempty"`
	// Of a sync that delivers every version.
	Commands []commandForm `json:"commands,omitempty"`
	Gaps     []gapForm     `json:"gaps,omitempty"`
}

type commandForm struct {
	Number    int64     `json:"number"`
	At        time.Time `json:"at"`
	Tx        string    `json:"tx,omitempty"`
	Deleted   bool      `json:"deleted,omitempty"`
	Unordered string    `json:"unordered,omitempty"`
	Refused   string    `json:"refused,omitempty"`
}

func formOfCommand(c upkeep.Command) commandForm {
	return commandForm{c.Number, c.At, c.Tx, c.Deleted, c.Unordered, c.Refused}
}

type gapForm struct {
	Key    string    `json:"key,omitempty"`
	At     time.Time `json:"at"`
	Tx     string    `json:"tx,omitempty"`
	Reason string    `json:"reason"`
}

// linkForm is a group that another one waits for.
type linkForm struct {
	Sync     string   `json:"sync"`
	Key      string   `json:"key"`
	State    string   `json:"state"`
	Reason   string   `json:"reason,omitempty"`
	WaitsFor []string `json:"waits_for,omitempty"`
}

type recordForm struct {
	Type       string                     `json:"type"`
	ExternalID string                     `json:"external_id"`
	Fields     map[string]json.RawMessage `json:"fields"`
}

func explainForm(x *upkeep.Explanation) (*explainJSON, error) {
	f := &explainJSON{Sync: x.ID.Sync, Key: x.ID.Key, Why: x.Why, Send: x.Send, LookFirst: x.LookFirst, Changed: x.Changed, Left: x.Left, Attempts: []attemptForm{}, Blocks: append([]string{}, x.Blocks...), Direct: x.BlocksDirect, All: x.BlocksAll}
	if len(x.Missing) > 0 {
		f.Missing = names(x.Missing)
	}
	for _, l := range x.Chain {
		f.Chain = append(f.Chain, linkForm{l.Sync, l.Key, string(l.State), l.Reason, names(l.WaitsFor)})
	}
	for _, c := range x.Commands {
		f.Commands = append(f.Commands, formOfCommand(c))
	}
	for _, g := range x.Gaps {
		f.Gaps = append(f.Gaps, gapForm{g.Key, g.At, g.Tx, g.Reason})
	}
	whole, err := json.Marshal(x)
	if err != nil {
		return nil, err
	}
	var part struct{ Composite json.RawMessage }
	if err := json.Unmarshal(whole, &part); err != nil {
		return nil, err
	}
	f.Composite = part.Composite
	if x.Group != nil {
		g := formOfGroup(x.Group)
		f.Group = &g
	}
	if x.Paused != nil {
		f.Paused = (*pauseForm)(x.Paused)
	}
	if x.Job != nil {
		job := formOfJob(*x.Job)
		f.Job = &job
	}
	if x.Record != nil {
		f.Record = &recordForm{x.Record.Type, x.Record.ExternalID, x.Record.Fields}
	}
	if len(x.Interventions) > 0 {
		f.ByHand = interventionForms(x.Interventions)
	}
	for _, a := range x.Attempts {
		f.Attempts = append(f.Attempts, attemptForm{a.At, a.Action, a.Outcome, a.Status, a.Took.Seconds(), a.Fields, a.Message})
	}
	return f, nil
}

// names are the texts of group ids: "customer/7".
func names[T fmt.Stringer](ids []T) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}

func joined[T fmt.Stringer](ids []T) string { return strings.Join(names(ids), ", ") }
