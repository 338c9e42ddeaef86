package postgres

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// wake is how many groups a record wakes or touches at once. More of them
// than that go through the log.
const wake = 1000

// recorded is a result as the database gets it.
type recorded struct {
	Sync     string   `json:"sync"`
	Key      string   `json:"key"`
	Epoch    int64    `json:"epoch"`
	Gen      int64    `json:"gen"`
	Outcome  string   `json:"outcome"`
	RemoteID string   `json:"remote_id"`
	External string   `json:"external_id"`
	Digests  *string  `json:"digests"`
	Refs     []string `json:"refs"`
	WaitsFor []string `json:"waits_for"`
	AfterUS  int64    `json:"after_us"`
	DoubtUS  int64    `json:"doubt_us"`
	Reason   string   `json:"reason"`
	Attempt  bool     `json:"attempt"` // costs one
	Command  bool     `json:"command"` // of one, and not of the current state
	Granted  bool     `json:"granted"`
	Skipped  bool     `json:"skipped"`
	Unsure   bool     `json:"unsettled"`
	Clash    bool     `json:"clash"`
	Present  bool     `json:"present"`
	Mark     string   `json:"mark"`
}

func record(r store.Result) recorded {
	words := map[store.Outcome]string{store.Released: "released", store.Synced: "synced", store.Removed: "removed",
		store.Retry: "retry", store.Waits: "waits", store.Partial: "partial", store.Refused: "refused", store.Doubtful: "doubtful"}
	w := recorded{Sync: r.Sync, Key: r.Key, Epoch: r.Epoch, Gen: r.Generation, Outcome: words[r.Outcome],
		RemoteID: clean(r.RemoteID), External: clean(r.ExternalID), Refs: textOf(r.Refs), WaitsFor: textOf(r.WaitsFor),
		AfterUS: r.After.Microseconds(), DoubtUS: r.Doubt.Microseconds(), Reason: clean(r.Reason),
		Attempt: !r.Free && (r.Outcome == store.Retry || r.Outcome == store.Doubtful),
		Command: r.Command != 0, Granted: r.Granted, Skipped: r.Skipped, Unsure: r.Unsettled, Clash: r.Clash, Present: r.Present, Mark: r.Mark}
	if r.Digests != nil {
		d := `\x` + hex.EncodeToString(r.Digests)
		w.Digests = &d
	}
	return w
}

// given is the parameter $1, JSON of recorded, as rows.
const given = `given AS MATERIALIZED (
	SELECT * FROM jsonb_to_recordset($1::jsonb) AS r(sync text, key text, epoch bigint, gen bigint, outcome text,
		remote_id text, external_id text, digests bytea, refs text[], waits_for text[], after_us bigint,
		doubt_us bigint, reason text, attempt boolean, command boolean, granted boolean, skipped boolean, unsettled boolean, clash boolean, present boolean, mark text))`

// Record implements [store.Registry]. Everything that one call writes or
// depends on is locked first, in the order of (sync, key): the groups of the
// results, those that a result waits for, and those that it refers to for the
// first time. So either the wait is there
// when the other's success looks for waiters, or the success is there when
// the wait is recorded.
func (db *DB) Record(ctx context.Context, results []store.Result, byHand []string) (stale []store.ID, err error) {
	if len(results) == 0 {
		return nil, nil
	}
	rows := make([]recorded, len(results))
	var waitsFor, wakes []store.ID
	for i, r := range results {
		rows[i] = record(r)
		waitsFor = append(waitsFor, r.WaitsFor...)
		wakes = append(wakes, r.Wakes...)
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return nil, err
	}
	err = installed(db.again(ctx, func() error {
		return db.converse(ctx, givenKeys, func(c *conversation) error {
			batch := c.batch()
			lockForRecord(batch, results, waitsFor, wakes, byHand)
			applied, news := map[store.ID]bool{}, []store.ID(nil)
			apply(batch, string(text), func(id store.ID, isNew bool) {
				applied[id] = true
				if isNew {
					news = append(news, id)
				}
			})
			raiseOutdated(batch, results)
			if err := history(batch, results); err != nil {
				return err
			}
			if err := c.send(ctx, batch); err != nil {
				return err
			}
			if err := wakeDependents(ctx, c, news); err != nil {
				return err
			}
			if err := wakeNamed(ctx, c, wakes); err != nil {
				return err
			}
			stale = nil
			var fresh []store.Result
			for _, r := range results {
				if applied[r.ID] {
					fresh = append(fresh, r)
				} else {
					stale = append(stale, r.ID)
				}
			}
			if err := finishCommands(ctx, c, fresh); err != nil {
				return err
			}
			end := c.batch()
			count(end, results, fresh)
			return c.last(ctx, end)
		})
	}))
	if ofClass(code(err), "22", "23", "54") {
		err = fmt.Errorf("%w: %w", store.ErrResult, err)
	}
	if err != nil {
		return nil, fmt.Errorf("record results: %w", err)
	}
	return stale, nil
}

// lockForRecord adds the groups that are waited for and not there, and locks.
func lockForRecord(batch *pgx.Batch, results []store.Result, waitsFor, wakes []store.ID, byHand []string) {
	if len(waitsFor) > 0 {
		add := slices.DeleteFunc(slices.Clone(waitsFor), func(id store.ID) bool { return slices.Contains(byHand, id.Sync) })
		syncs, keys := splitIDs(add)
		batch.Queue(`
			INSERT INTO upkeep.groups (sync, key, due_at, cause, touched_at, dirty_since)
			SELECT DISTINCT a.sync, a.key, now, `+causeOf("'reference'", "now")+`, now, now
			FROM unnest($1::text[], $2::text[]) AS a(sync, key), (SELECT upkeep.clock() AS now) c
			ORDER BY 1, 2 ON CONFLICT DO NOTHING`, syncs, keys)
	}
	all := slices.Concat(waitsFor, wakes)
	for _, r := range results {
		all = append(all, r.ID)
		all = slices.AppendSeq(all, maps.Keys(r.Sent))
	}
	syncs, keys := splitIDs(all)
	batch.Queue(`
		SELECT FROM upkeep.groups g
		WHERE (g.sync, g.key) IN (SELECT a.sync, a.key FROM unnest($1::text[], $2::text[]) AS a(sync, key))
		ORDER BY g.sync, g.key FOR UPDATE`, syncs, keys)
}

// apply writes the results whose epoch is still the group's, and tells which:
// isNew says that the remote id is another than before.
func apply(batch *pgx.Batch, text string, applied func(id store.ID, isNew bool)) {
	batch.Queue(`
	WITH clock AS MATERIALIZED (SELECT upkeep.clock() AS now), `+given+`,
	known AS MATERIALIZED (
		SELECT r.*, g.remote_id AS old_remote_id,
			-- A delivered command is followed by another one, or by the state.
			g.generation > r.gen OR r.command AND r.outcome IN ('synced', 'removed') AS newer,
			r.outcome IN ('synced', 'removed') AS done,
			r.outcome IN ('synced', 'removed', 'partial') AS made,
			-- What it waits for came in the meantime.
			EXISTS (
				SELECT FROM unnest(r.waits_for) AS w(ref) JOIN upkeep.groups t
				ON t.sync = replace(replace(split_part(w.ref, '/', 1), '%2F', '/'), '%25', '%')
					AND t.key = substr(w.ref, strpos(w.ref, '/') + 1)
				WHERE t.remote_id <> '') AS came,
			CASE WHEN r.doubt_us > 0 AND r.outcome IN ('doubtful', 'refused')
				THEN greatest(g.in_doubt_until, clock.now + r.doubt_us * interval '1 microsecond')
				ELSE g.in_doubt_until END AS doubt_until
		FROM given r JOIN upkeep.groups g USING (sync, key) CROSS JOIN clock
		WHERE g.epoch = r.epoch AND g.holder IS NOT NULL),
	decided AS MATERIALIZED (
		SELECT k.*,
			-- A touch during the call is news enough to try again at once.
			k.outcome = 'refused' AND NOT k.newer AND NOT k.came AS park,
			k.outcome IN ('waits', 'partial') AND NOT k.newer AND NOT k.came AS wait
		FROM known k),
	written AS (
		UPDATE upkeep.groups g SET
			holder = NULL, lease_until = NULL,
			synced_generation = CASE WHEN d.done AND NOT d.command THEN d.gen ELSE g.synced_generation END,
			forced_generation = CASE WHEN d.done AND d.unsettled THEN greatest(g.forced_generation, d.gen + 1) ELSE g.forced_generation END,
			deleted_generation = CASE WHEN d.present AND g.deleted_generation BETWEEN 1 AND d.gen
				AND (d.mark = '' OR d.mark = (SELECT `+mark+` FROM upkeep.settings WHERE one)) THEN 0 ELSE g.deleted_generation END,
			synced_at = CASE WHEN d.done THEN clock.now ELSE g.synced_at END,
			remote_id = CASE WHEN d.outcome = 'removed' THEN '' WHEN d.made THEN d.remote_id ELSE g.remote_id END,
			external_id = CASE WHEN d.external_id <> '' THEN d.external_id ELSE g.external_id END,
			digests = CASE WHEN d.outcome = 'removed' THEN NULL WHEN d.made THEN d.digests ELSE coalesce(d.digests, g.digests) END,
			refs = CASE WHEN d.outcome = 'removed' THEN '{}' WHEN d.made THEN d.refs ELSE g.refs END,
			in_doubt_until = d.doubt_until,
			granted = d.granted AND NOT d.done,
			skip = CASE WHEN NOT d.done AND NOT d.park THEN g.skip END,
			skipped = CASE WHEN d.outcome = 'removed' THEN false WHEN d.made THEN d.skipped ELSE g.skipped END,
			parked = d.park,
			clashes = CASE WHEN d.park AND d.clash THEN least(g.clashes + 1, `+mostClashes+`) WHEN d.park OR d.made THEN 0 ELSE g.clashes END,
			waits_for = CASE WHEN d.wait OR d.park THEN d.waits_for ELSE '{}' END,
			reason = CASE WHEN d.done AND NOT d.skipped THEN '' WHEN d.outcome = 'released' THEN g.reason ELSE d.reason END,
			attempts = CASE
				WHEN d.made OR d.outcome IN ('refused', 'waits') AND d.newer THEN 0
				ELSE g.attempts + d.attempt::int END,
			dirty_since = CASE WHEN NOT d.done OR d.command THEN g.dirty_since WHEN d.newer THEN g.touched_at END,
			backfill = g.backfill AND NOT d.done,
			due_at = CASE
				WHEN d.park THEN NULL
				WHEN d.outcome IN ('released', 'retry', 'doubtful') OR d.wait
					THEN CASE WHEN d.wait AND d.after_us = 0 THEN NULL ELSE clock.now + d.after_us * interval '1 microsecond' END
				WHEN NOT d.done OR d.newer THEN clock.now
				ELSE d.doubt_until END
		FROM decided d, clock
		WHERE g.sync = d.sync AND g.key = d.key
		RETURNING g.sync, g.key, g.remote_id <> '' AND g.remote_id <> d.old_remote_id AS news)
	SELECT sync, key, news FROM written ORDER BY sync, key`, text).Query(func(rows pgx.Rows) error {
		var id store.ID
		var isNew bool
		_, err := pgx.ForEachRow(rows, []any{&id.Sync, &id.Key, &isNew}, func() error {
			applied(id, isNew)
			return nil
		})
		return err
	})
}

// raiseOutdated raises the groups that were sent with a reference to a record
// that was made anew meanwhile, and whose own record did not know of them yet.
func raiseOutdated(batch *pgx.Batch, results []store.Result) {
	var from, to []store.ID
	var epochs []int64
	var sent []string
	for _, r := range results {
		if r.Outcome != store.Synced && r.Outcome != store.Partial {
			continue
		}
		for id, remoteID := range r.Sent {
			from, to, epochs, sent = append(from, r.ID), append(to, id), append(epochs, r.Epoch), append(sent, clean(remoteID))
		}
	}
	if len(from) == 0 {
		return
	}
	syncs, keys := splitIDs(from)
	toSyncs, toKeys := splitIDs(to)
	batch.Queue(`
		WITH clock AS MATERIALIZED (SELECT upkeep.clock() AS now),
		outdated AS (
			SELECT DISTINCT a.sync, a.key, a.epoch
			FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[]) AS a(sync, key, epoch, to_sync, to_key, sent)
			JOIN upkeep.groups t ON t.sync = a.to_sync AND t.key = a.to_key
			WHERE t.remote_id <> a.sent)
		UPDATE upkeep.groups g SET generation = g.generation + 1, waits_for = '{}',
			cause = `+causeOf("'reference'", "clock.now")+`, touched_at = clock.now,
			dirty_since = coalesce(g.dirty_since, clock.now), due_at = clock.now
		FROM outdated o, clock
		WHERE g.sync = o.sync AND g.key = o.key AND g.epoch = o.epoch AND g.holder IS NULL`,
		syncs, keys, epochs, toSyncs, toKeys, sent)
}

// wakeDependents makes due what waits for groups that have a new remote id,
// and raises what refers to them under the old one.
func wakeDependents(ctx context.Context, tx runner, news []store.ID) error {
	for part := range slices.Chunk(news, 500) {
		texts := textOf(part)
		// A touch wakes the waiting too: one statement for both.
		var n int
		err := tx.QueryRow(ctx, `
			WITH clock AS MATERIALIZED (SELECT upkeep.clock() AS now),
			-- Apart from the locking, whose order would tempt the planner to walk
			-- all groups in that order.
			found AS MATERIALIZED (
				SELECT g.sync, g.key FROM upkeep.groups g WHERE g.waits_for <> '{}' AND g.waits_for && $1
				UNION SELECT g.sync, g.key FROM upkeep.groups g WHERE g.refs <> '{}' AND g.refs && $1),
			page AS MATERIALIZED (
				SELECT g.sync, g.key, g.waits_for && $1 AS waiting, g.refs && $1 AS referring
				FROM found f JOIN upkeep.groups g USING (sync, key)
				WHERE g.waits_for && $1 OR g.refs && $1
				ORDER BY g.sync, g.key LIMIT $2 FOR UPDATE OF g),
			woken AS (
				UPDATE upkeep.groups g SET
					waits_for = CASE WHEN p.waiting THEN '{}' ELSE g.waits_for END,
					reason = CASE WHEN p.waiting THEN '' ELSE g.reason END,
					attempts = CASE WHEN p.waiting THEN 0 ELSE g.attempts END,
					generation = g.generation + p.referring::int,
					parked = g.parked AND NOT p.referring AND NOT p.waiting,
					cause = CASE WHEN p.referring THEN `+causeOf("'reference'", "clock.now")+` ELSE g.cause END,
					touched_at = CASE WHEN p.referring THEN clock.now ELSE g.touched_at END,
					-- Late from now on, and not since it began to wait.
					dirty_since = CASE WHEN p.waiting THEN clock.now ELSE coalesce(g.dirty_since, clock.now) END,
					due_at = CASE WHEN g.holder IS NOT NULL THEN g.due_at
						WHEN p.waiting OR p.referring AND NOT `+queued+` THEN clock.now ELSE g.due_at END
				FROM page p, clock WHERE g.sync = p.sync AND g.key = p.key
				RETURNING 1)
			SELECT count(*) FROM woken`, texts, wake).Scan(&n)
		if err != nil {
			return fmt.Errorf("wake what waits: %w", err)
		}
		if n < wake {
			continue
		}
		syncs, keys := splitIDs(part)
		_, err = tx.Exec(ctx, `INSERT INTO upkeep.touch (op, sync, key)
			SELECT 'reference', * FROM unnest($1::text[], $2::text[])`, syncs, keys)
		if err != nil {
			return err
		}
	}
	return nil
}

// wakeNamed makes due what waits, and is not parked, of groups that are locked.
func wakeNamed(ctx context.Context, tx runner, ids []store.ID) error {
	if len(ids) == 0 {
		return nil
	}
	syncs, keys := splitIDs(ids)
	_, err := tx.Exec(ctx, `
		UPDATE upkeep.groups g SET waits_for = '{}', due_at = c.now
		FROM unnest($1::text[], $2::text[]) AS a(sync, key), (SELECT upkeep.clock() AS now) c
		WHERE g.sync = a.sync AND g.key = a.key AND g.waits_for <> '{}' AND NOT g.parked AND g.holder IS NULL`, syncs, keys)
	return err
}

// history writes the attempts of all results, since those of a stale one were
// made as well.
func history(batch *pgx.Batch, results []store.Result) error {
	type attempt struct {
		Sync    string   `json:"sync"`
		Key     string   `json:"key"`
		At      *string  `json:"at"`
		Epoch   int64    `json:"epoch"`
		Action  string   `json:"action"`
		Outcome string   `json:"outcome"`
		Status  int      `json:"status"`
		Message string   `json:"message"`
		Fields  []string `json:"fields"`
		TookUS  int64    `json:"took_us"`
	}
	var attempts []attempt
	for _, r := range results {
		if r.Attempt == nil {
			continue
		}
		a := attempt{Sync: r.Sync, Key: r.Key, Epoch: r.Epoch, Action: clean(r.Attempt.Action),
			Outcome: clean(r.Attempt.Outcome), Status: r.Attempt.Status, Message: clean(r.Attempt.Message),
			Fields: append([]string{}, r.Attempt.Fields...), TookUS: r.Attempt.Took.Microseconds()}
		for i := range a.Fields {
			a.Fields[i] = clean(a.Fields[i])
		}
		if !r.Attempt.At.IsZero() {
			at := r.Attempt.At.UTC().Format("2006-01-02 15:04:05.999999Z")
			a.At = &at
		}
		attempts = append(attempts, a)
	}
	if len(attempts) == 0 {
		return nil
	}
	text, err := json.Marshal(attempts)
	if err != nil {
		return err
	}
	batch.Queue(`
		INSERT INTO upkeep.attempts (sync, key, at, epoch, action, outcome, status, message, fields, took_us)
		SELECT sync, key, coalesce(at, upkeep.clock()), epoch, action, outcome, status, message, fields, took_us
		FROM jsonb_to_recordset($1::jsonb) AS a(sync text, key text, at timestamptz, epoch bigint, action text,
			outcome text, status integer, message text, fields text[], took_us bigint)`, string(text))
	return nil
}

// count adds to the counters of status. Other processes wait for their rows:
// last, so that they wait but shortly.
func count(batch *pgx.Batch, results, fresh []store.Result) {
	calls, saved := map[string]int64{}, map[string]int64{}
	for _, r := range results {
		calls[r.Sync] += int64(r.Calls)
	}
	for _, r := range fresh {
		if r.Outcome == store.Synced && r.Attempt == nil {
			saved[r.Sync]++
		}
	}
	var syncs []string
	var c, s []int64
	for sync := range calls {
		if calls[sync] != 0 || saved[sync] != 0 {
			syncs, c, s = append(syncs, sync), append(c, calls[sync]), append(s, saved[sync])
		}
	}
	if len(syncs) == 0 {
		return
	}
	batch.Queue(`
		INSERT INTO upkeep.syncs AS s (sync, calls, saved)
		SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS n(sync, calls, saved) ORDER BY 1
		ON CONFLICT (sync) DO UPDATE SET calls = s.calls + excluded.calls, saved = s.saved + excluded.saved`, syncs, c, s)
}
