package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// held is what the registry has of a group whose claim is recorded.
type held struct {
	Epoch, Generation, Synced int64
	Forced, Deleted           int64
	Remote                    string
	External                  string
	Digests                   []byte
	Refs                      string
	Doubt                     sql.NullInt64
	Touched                   sql.NullInt64
	Since                     sql.NullInt64
	SyncedAt                  sql.NullInt64
	Attempts, Clashes         int
	Backfill, Waiting, Parked bool
	Skip                      []byte
	Skipped                   bool
	Reason                    string
}

// after is a group's row once its result is applied.
type after struct {
	Sync, Key                 string
	Synced, Forced, Deleted   int64
	Remote, External          *string
	Digests                   *string // hex
	Refs                      string
	Doubt, Due, Since, Was    *int64
	Attempts, Clashes         int
	Backfill, Waiting, Parked bool
	Granted, Skipped          bool
	Skip                      *string // hex
	Reason                    *string
}

// Record applies results in one transaction.
// It implements [store.Registry].
func (d *DB) Record(ctx context.Context, results []store.Result, byHand []string) ([]store.ID, error) {
	if len(results) == 0 {
		return nil, nil
	}
	var stale []store.ID
	err := d.update(ctx, "record results", func(tx *sql.Tx) error {
		stale = nil
		now := d.now()
		have, err := readHeld(ctx, tx, results)
		if err != nil {
			return err
		}
		w := &writing{now: now}
		for _, r := range results {
			g, ok := have[r.ID]
			if !ok || g.Epoch != r.Epoch {
				stale = append(stale, r.ID)
				continue
			}
			delete(have, r.ID) // the second result of one claim is stale
			w.apply(r, g)
			w.wakes = append(w.wakes, r.Wakes...)
		}
		return w.write(ctx, tx, byHand)
	})
	if ofResult(err) {
		err = fmt.Errorf("%w: %w", store.ErrResult, err)
	}
	if err != nil {
		return nil, err
	}
	return stale, nil
}

// ofResult says whether SQLite does not take what was to be written: it is too
// long, or a constraint is against it.
func ofResult(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && slices.Contains([]int{sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH}, e.Code()&0xff)
}

// readHeld reads the groups of the results that somebody holds.
func readHeld(ctx context.Context, tx *sql.Tx, results []store.Result) (map[store.ID]*held, error) {
	ids := make([]store.ID, len(results))
	for i, r := range results {
		ids[i] = r.ID
	}
	rows, err := tx.QueryContext(ctx, `SELECT sync, g.key, epoch, generation, synced_generation, forced_generation, deleted_generation, coalesce(remote_id, ''),
			coalesce(external_id, ''), digests, coalesce(refs, ''), in_doubt_until, touched_at, dirty_since, synced_at, attempts,
			clashes, backfill, waiting, parked, skip, skipped, coalesce(reason, '')
		FROM json_each(?1) AS j CROSS JOIN upkeep_groups AS g ON g.sync = j.value->>0 AND g.key = j.value->>1
		WHERE holder IS NOT NULL`, idsJSON(ids))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	have := map[store.ID]*held{}
	for rows.Next() {
		var id store.ID
		var g held
		if err := rows.Scan(&id.Sync, &id.Key, &g.Epoch, &g.Generation, &g.Synced, &g.Forced, &g.Deleted, &g.Remote, &g.External, &g.Digests, &g.Refs,
			&g.Doubt, &g.Touched, &g.Since, &g.SyncedAt, &g.Attempts, &g.Clashes, &g.Backfill, &g.Waiting, &g.Parked, &g.Skip, &g.Skipped, &g.Reason); err != nil {
			return nil, err
		}
		have[id] = &g
	}
	return have, rows.Err()
}

// writing gathers what a Record writes.
type writing struct {
	now      int64
	groups   []after
	unwait   []store.ID // whose waits are replaced
	waits    [][]string // on sync, on key, sync, key
	unref    []store.ID // whose references are replaced
	refs     [][]string
	sent     [][]string // sync, key, and a reference's sync, key and remote id as sent
	changed  []store.ID // have another remote id than before
	wakes    []store.ID // that are to look again
	attempts []attemptRow
	calls    map[string]int64
	saved    map[string]int64

	delivered []int64 // numbers of commands
	passed    []passedCommand
	refused   []refusedCommand
}

// attemptRow is one row of the history.
type attemptRow struct {
	Sync, Key                string
	At, Epoch                int64
	Action, Outcome, Message string
	Status                   int
	Fields                   []string
	Took                     int64
}

// apply works out the group's row after r.
func (w *writing) apply(r store.Result, g *held) {
	a := after{Sync: r.Sync, Key: r.Key, Synced: g.Synced, Forced: g.Forced, Deleted: g.Deleted, Remote: text(g.Remote), External: text(g.External),
		Digests: hexText(g.Digests), Refs: g.Refs, Doubt: number(g.Doubt), Since: number(g.Since), Was: number(g.SyncedAt),
		Attempts: g.Attempts, Clashes: g.Clashes, Backfill: g.Backfill, Reason: text(r.Reason), Skip: hexText(g.Skip), Skipped: g.Skipped,
		Granted: r.Granted && r.Outcome != store.Synced && r.Outcome != store.Removed}
	if r.ExternalID != "" {
		a.External = &r.ExternalID
	}
	if r.Digests != nil {
		a.Digests = hexText(r.Digests)
	}
	if r.Present && g.Deleted > 0 && g.Deleted <= r.Generation {
		a.Deleted = 0
	}
	if r.Outcome == store.Doubtful || r.Outcome == store.Refused && r.Doubt > 0 {
		until := w.now + r.Doubt.Microseconds()
		if a.Doubt == nil || *a.Doubt < until {
			a.Doubt = &until
		}
	}
	due := w.now + r.After.Microseconds()
	touched := g.Generation > r.Generation
	waits := false
	switch r.Outcome {
	case store.Released:
		if r.PassedOver != "" {
			w.passed = append(w.passed, passedCommand{r.Command, r.PassedOver})
		}
		waits = g.Waiting && !touched
		a.Reason = text(g.Reason)
		a.Waiting = waits
	case store.Synced, store.Removed:
		w.done(&a, r, g)
		if r.Command != 0 { // another command follows, or the state
			a.Synced = g.Synced
			w.delivered = append(w.delivered, r.Command)
			due = w.now
			break
		}
		if a.Synced == g.Generation {
			a.Due, a.Since, a.Backfill = a.Doubt, nil, false
			w.add(r, g, a, false)
			return
		}
		a.Since = number(g.Touched)
		due = w.now
	case store.Retry, store.Doubtful:
		if !r.Free {
			a.Attempts++
		}
	case store.Waits, store.Partial:
		if r.Outcome == store.Partial {
			w.made(&a, r, g)
		}
		// Woken by the last record that it waits for; what was touched
		// meanwhile may not refer to them any more.
		if waits = !touched && len(r.WaitsFor) > 0; waits {
			a.Waiting = true
			w.wait(r)
		} else if touched {
			due = w.now
		}
	case store.Refused:
		waits = w.refuse(&a, r, touched)
		due = w.now
	}
	if !a.Parked {
		a.Due = &due
	}
	w.add(r, g, a, waits)
}

// refuse parks a group that was not touched since the claim.
func (w *writing) refuse(a *after, r store.Result, touched bool) (waits bool) {
	if r.Command != 0 {
		w.refused = append(w.refused, refusedCommand{r.Command, r.Reason, r.Version})
	}
	if touched {
		a.Reason, a.Attempts = nil, 0
		return false
	}
	a.Parked, a.Skip = true, nil
	if a.Clashes++; !r.Clash {
		a.Clashes = 0
	}
	a.Clashes = min(a.Clashes, store.ClashesMost)
	if waits = len(r.WaitsFor) > 0; waits {
		a.Waiting = true
		w.wait(r)
	}
	return waits
}

// done fills in what a success leaves: the claimed generation, never now's.
func (w *writing) done(a *after, r store.Result, g *held) {
	a.Synced = max(g.Synced, r.Generation)
	if r.Unsettled {
		a.Forced = max(g.Forced, r.Generation+1)
	}
	a.Was, a.Skip = &w.now, nil
	if !r.Skipped {
		a.Reason = nil
	}
	w.made(a, r, g)
}

// made fills in what is known of the record, and what it refers to.
func (w *writing) made(a *after, r store.Result, g *held) {
	a.Attempts, a.Clashes = 0, 0
	a.Remote, a.Digests, a.Refs, a.Skipped = nil, nil, "", false
	var refs []store.ID
	if r.Outcome != store.Removed {
		a.Remote, a.Digests, a.Skipped, refs = text(r.RemoteID), hexText(r.Digests), r.Skipped, r.Refs
		if r.RemoteID != "" && g.Remote != r.RemoteID {
			w.changed = append(w.changed, r.ID)
		}
		for on, remoteID := range r.Sent {
			w.sent = append(w.sent, []string{r.Sync, r.Key, on.Sync, on.Key, remoteID})
		}
	}
	if len(refs) > 0 {
		a.Refs = idsJSON(refs)
	}
	if a.Refs != g.Refs {
		w.unref = append(w.unref, r.ID)
		for _, ref := range refs {
			w.refs = append(w.refs, []string{ref.Sync, ref.Key, r.Sync, r.Key})
		}
	}
}

// wait notes what a group waits for.
func (w *writing) wait(r store.Result) {
	for _, on := range r.WaitsFor {
		w.waits = append(w.waits, []string{on.Sync, on.Key, r.Sync, r.Key})
	}
}

// add takes a row, its history and its counters.
func (w *writing) add(r store.Result, g *held, a after, waits bool) {
	w.groups = append(w.groups, a)
	if g.Waiting && !(r.Outcome == store.Released && waits) {
		w.unwait = append(w.unwait, r.ID)
	}
	if w.calls == nil {
		w.calls, w.saved = map[string]int64{}, map[string]int64{}
	}
	w.calls[r.Sync] += int64(r.Calls)
	if r.Outcome == store.Synced && r.Attempt == nil {
		w.saved[r.Sync]++
	}
	if t := r.Attempt; t != nil {
		at := w.now
		if !t.At.IsZero() {
			at = t.At.UnixMicro()
		}
		w.attempts = append(w.attempts, attemptRow{r.Sync, r.Key, at, t.Epoch, t.Action, t.Outcome, t.Message, t.Status,
			append([]string{}, t.Fields...), t.Took.Microseconds()})
	}
}

// recordSQL writes the rows of the groups.
const recordSQL = `UPDATE upkeep_groups SET synced_generation = j.v->>'Synced', forced_generation = j.v->>'Forced',
		deleted_generation = j.v->>'Deleted', remote_id = j.v->>'Remote',
		external_id = j.v->>'External', digests = unhex(j.v->>'Digests'), refs = nullif(j.v->>'Refs', ''),
		in_doubt_until = j.v->>'Doubt', due_at = j.v->>'Due', dirty_since = j.v->>'Since', synced_at = j.v->>'Was',
		attempts = j.v->>'Attempts', clashes = j.v->>'Clashes', backfill = j.v->>'Backfill', waiting = j.v->>'Waiting', parked = j.v->>'Parked',
		reason = j.v->>'Reason', granted = j.v->>'Granted',
		skip = unhex(j.v->>'Skip'), skipped = j.v->>'Skipped', holder = NULL, lease_until = NULL
	FROM (SELECT value AS v FROM json_each(?1)) AS j WHERE sync = j.v->>'Sync' AND key = j.v->>'Key'`

// write writes all that was gathered.
func (w *writing) write(ctx context.Context, tx *sql.Tx, byHand []string) error {
	if len(w.groups) == 0 {
		return nil
	}
	cause := causeJSON(store.Cause{Op: "reference", At: time.UnixMicro(w.now).UTC()})
	for _, step := range []struct {
		n    int
		sql  string
		list any
		args []any
	}{
		{len(w.groups), recordSQL, w.groups, nil},
		{len(w.sent), `UPDATE upkeep_groups SET generation = generation + 1, waiting = 0, cause = ?3, touched_at = ?2,
				dirty_since = coalesce(dirty_since, ?2), due_at = ?2
			WHERE (sync, key) IN (SELECT j.value->>0, j.value->>1 FROM json_each(?1) AS j CROSS JOIN upkeep_groups AS t
				ON t.sync = j.value->>2 AND t.key = j.value->>3 WHERE coalesce(t.remote_id, '') <> j.value->>4)`, w.sent, []any{w.now, cause}},
		{len(w.unwait), `DELETE FROM upkeep_edges WHERE kind = 'wait' AND (sync, key) IN (SELECT value->>0, value->>1 FROM json_each(?1))`, pairs(w.unwait), nil},
		{len(w.unref), `DELETE FROM upkeep_edges WHERE kind = 'ref' AND (sync, key) IN (SELECT value->>0, value->>1 FROM json_each(?1))`, pairs(w.unref), nil},
		{len(w.refs), `INSERT INTO upkeep_edges (on_sync, on_key, kind, sync, key)
			SELECT value->>0, value->>1, 'ref', value->>2, value->>3 FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING`, w.refs, nil},
		{len(w.waits), `INSERT INTO upkeep_edges (on_sync, on_key, kind, sync, key)
			SELECT value->>0, value->>1, 'wait', value->>2, value->>3 FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING`, w.waits, nil},
		{len(w.waits), `INSERT INTO upkeep_groups (sync, key, generation, due_at, cause, touched_at, dirty_since)
			SELECT DISTINCT value->>0, value->>1, 1, ?2, ?3, ?2, ?2 FROM json_each(?1)
			WHERE value->>0 NOT IN (SELECT value FROM json_each(?4)) ON CONFLICT DO NOTHING`, w.waits,
			[]any{w.now, cause, texts(byHand)}},
		{len(w.attempts), `INSERT INTO upkeep_attempts (sync, key, at, epoch, action, outcome, status, message, fields, took)
			SELECT value->>'Sync', value->>'Key', value->>'At', value->>'Epoch', value->>'Action', value->>'Outcome', value->>'Status',
				value->>'Message', value->>'Fields', value->>'Took' FROM json_each(?1) ORDER BY key`, w.attempts, nil},
		{len(w.delivered), `DELETE FROM upkeep_commands WHERE number IN (SELECT value FROM json_each(?1))`, w.delivered, nil},
		{len(w.passed), `INSERT INTO upkeep_command_gaps (sync, key, at, reason)
			SELECT c.sync, c.key, ?2, j.value->>'Why' FROM json_each(?1) AS j JOIN upkeep_commands AS c ON c.number = j.value->>'Number'`,
			w.passed, []any{w.now}},
		{len(w.passed), `DELETE FROM upkeep_commands WHERE number IN (SELECT value->>'Number' FROM json_each(?1))`, w.passed, nil},
		{len(w.refused), `UPDATE upkeep_commands SET refused = j.v->>'Refused', refused_version = j.v->>'Version'
			FROM (SELECT value AS v FROM json_each(?1)) AS j WHERE number = j.v->>'Number'`, w.refused, nil},
	} {
		if step.n == 0 {
			continue
		}
		arg, err := json.Marshal(step.list)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, step.sql, append([]any{string(arg)}, step.args...)...); err != nil {
			return err
		}
	}
	if err := w.wake(ctx, tx); err != nil {
		return err
	}
	return count(ctx, tx, nil, w.calls, w.saved)
}

// pairs are the names of groups as JSON arrays.
func pairs(ids []store.ID) [][2]string {
	list := make([][2]string, len(ids))
	for i, id := range ids {
		list[i] = [2]string{id.Sync, id.Key}
	}
	return list
}

// texts is a JSON array of texts.
func texts(list []string) string {
	b, _ := json.Marshal(append([]string{}, list...)) // strings can always be encoded
	return string(b)
}

// text is nil for the empty string.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// hexText is the hex of bytes, nil for none.
func hexText(b []byte) *string {
	if b == nil {
		return nil
	}
	s := hex.EncodeToString(b)
	return &s
}

func number(n sql.NullInt64) *int64 {
	if !n.Valid {
		return nil
	}
	return &n.Int64
}
