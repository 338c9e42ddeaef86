package main

import (
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// claimedAtOnce are numbers of groups in one claim: a lone change, what a remote
// of 50 ms with 8 slots is given at once, and what a fast one is.
var claimedAtOnce = []int{1, 4, 32}

// calls is what the database does for each call at the remote: claim, load and
// record, while folds raise groups.
func (p *place) calls() ([]result, error) {
	s, err := p.watched()
	if err != nil {
		return nil, err
	}
	db, pool, err := p.installed(s.url, "")
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	if err := p.exec(s, `UPDATE upkeep.groups SET generation = generation + 1, due_at = now(), dirty_since = now()`); err != nil {
		return nil, err
	}
	c, err := pool.Acquire(p.ctx)
	if err != nil {
		return nil, err
	}
	pid := int(c.Conn().PgConn().PID())
	c.Release()
	var out []result
	for _, n := range claimedAtOnce {
		var cost [3][]time.Duration
		for range p.size.calls {
			if _, err := p.folding(s, pool, 50, "SELECT", func() error {
				_, err := db.Fold(p.ctx, db.shapes, db.plan, 5_000)
				return err
			}); err != nil {
				return nil, err
			}
			took, err := db.call(p, pid, n)
			if err != nil {
				return nil, err
			}
			for i, d := range took {
				cost[i] = append(cost[i], d/time.Duration(n))
			}
		}
		a, b, c := median(cost[0]), median(cost[1]), median(cost[2])
		out = append(out, result{fmt.Sprintf("claim, load and record of %d groups at once: the server's CPU for each", n), "-", us(a + b + c),
			fmt.Sprintf("claim %s, load %s, record %s", us(a), us(b), us(c))})
	}
	return out, nil
}

// call does what the engine does for n groups, and returns how long the claim, the
// load and the record kept the server on a core.
func (db *planned) call(p *place, pid, n int) (took [3]time.Duration, err error) {
	var at [4]time.Duration
	at[0] = onCore(pid)
	claims, err := db.Claim(p.ctx, store.ClaimRequest{Holder: "bench", Lease: time.Minute, Limit: n,
		Syncs: []store.ClaimSync{{Sync: "sales_order", Quiet: time.Second, Lane: store.BothLanes}}})
	if err == nil && len(claims) != n {
		err = errNothing
	}
	if err != nil {
		return took, err
	}
	at[1] = onCore(pid)
	keys := make([]string, n)
	results := make([]store.Result, n)
	for i, c := range claims {
		keys[i] = c.Key
		results[i] = store.Result{ID: c.ID, Epoch: c.Epoch, Generation: c.Generation, Outcome: store.Synced, RemoteID: c.RemoteID,
			ExternalID: c.ExternalID, Digests: c.Digests, Refs: c.Refs, Calls: 1,
			Attempt: &store.Attempt{At: time.Now(), Action: "update", Outcome: "ok", Fields: []string{"item"}, Took: 50 * time.Millisecond}}
	}
	if _, _, err := db.Load(p.ctx, db.shapes[0], keys); err != nil {
		return took, err
	}
	at[2] = onCore(pid)
	if _, err := db.Record(p.ctx, results, nil); err != nil {
		return took, err
	}
	at[3] = onCore(pid)
	for i := range took {
		took[i] = at[i+1] - at[i]
	}
	return took, nil
}
