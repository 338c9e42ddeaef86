package upkeep

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// provenance is what an engine knows of where its registry comes from. A
// registry that was restored from a backup, or that a failover took back by
// some commits, says less than is at the remote: it may know nothing of records
// that are there, and of deletes that were undone.
type provenance struct {
	mu       sync.Mutex   // one look at a time: an older one that is compared last would look like a log that went back
	unsure   atomic.Bool  // the database was out of reach: look before anything is claimed
	furthest atomic.Int64 // the highest Place seen
	restored atomic.Bool  // once: a record that is to be made may be there
	since    atomic.Int64 // when it was restored, in microseconds of the database's clock
	examined atomic.Int64 // how often it was looked at
	mark     atomic.Value // store.Origin.Mark, a string
	looked   atomic.Int64 // when, in nanoseconds of the engine's clock
}

// originFor is how long what was found out of the origin is good for: a pool of
// connections may reach another database without an error that tells.
const originFor = 10 * time.Second

// mustExamine says whether to look before the next claim.
func (e *Engine) mustExamine() bool {
	return e.provenance.unsure.Load() || e.cfg.Clock.Now().UnixNano()-e.provenance.looked.Load() > int64(originFor)
}

// moved takes the error of a claim and says whether it is that the registry may
// be another one. Then it is looked at before the next claim.
func (p *provenance) moved(err error) bool {
	if !errors.Is(err, store.ErrMoved) {
		return false
	}
	p.unsure.Store(true)
	return true
}

// lastMark is what a claim is made under.
func (p *provenance) lastMark() string {
	mark, _ := p.mark.Load().(string) // nothing was looked at: empty
	return mark
}

// examineOrigin compares where the registry comes from with what was noted.
// After a restore the remotes are let be for a while, then every record is sent
// again, in full, and no delete goes out until a person allows it.
func (e *Engine) examineOrigin(ctx context.Context) error {
	e.provenance.mu.Lock()
	defer e.provenance.mu.Unlock()
	now, noted, err := e.db.Origin(ctx)
	if err != nil {
		return fmt.Errorf("ask where the database comes from: %w", err)
	}
	why := e.restoredBecause(now, noted)
	if why != "" {
		if err := e.rest(ctx, why); err != nil {
			return err
		}
	}
	if why != "" || noted != now.ID {
		if err := e.db.NoteOrigin(ctx, now.ID, why != "", e.inJobs()); err != nil {
			return err
		}
	}
	if why != "" {
		e.log.Error("the registry is not the one that it was: every record is sent again, in full, and no delete goes out until it is allowed: upkeep deletes", "why", why)
		if err := e.inspect(ctx); err != nil { // it is tried again each minute
			e.log.Error("whether the capture is as it was can't be told; looking again later", "error", err)
		}
	}
	e.provenance.furthest.Store(now.Place)
	at, err := e.db.Restored(ctx)
	if err != nil {
		return err
	}
	e.provenance.restored.Store(!at.IsZero())
	e.provenance.since.Store(at.UnixMicro())
	e.provenance.examined.Add(1)
	e.provenance.mark.Store(now.Mark) // after the count: who sees it sees that too
	e.provenance.unsure.Store(false)
	e.provenance.looked.Store(e.cfg.Clock.Now().UnixNano())
	return nil
}

// registry is [connector.Record.Registry]. It gives nothing of the secret away.
func (e *Engine) registry() string {
	mac := hmac.New(sha256.New, e.learned.Load().secret)
	fmt.Fprintf(mac, "registry %d", e.provenance.since.Load())
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// settles ends the reason of such a pause.
const settles = ": waiting until no request from before can arrive"

// rest lets every remote be for as long as a request may still land that the
// registry has forgotten: one of a claim that was made just before.
func (e *Engine) rest(ctx context.Context, why string) error {
	for _, r := range e.remotes {
		var quiet time.Duration
		for _, d := range e.defs {
			if d.To == r {
				quiet = d.traits.Quiet + stall
			}
		}
		if err := e.db.Pause(ctx, r.Name, e.cfg.Lease+quiet, why+settles); err != nil {
			return fmt.Errorf("pause %s after a restore: %w", r.Name, err)
		}
	}
	return nil
}

// inJobs are the syncs whose records go in jobs of the remote, with the time for
// which one may run that a restored registry has forgotten. What it writes last
// is older than what was sent since.
func (e *Engine) inJobs() map[string]time.Duration {
	later := map[string]time.Duration{}
	for _, d := range e.defs {
		if d.bulk().Most > 0 {
			later[d.Name] = e.jobPatience()
		}
	}
	return later
}

// sweepLater sends everything again once no job runs any more that a restored
// registry has forgotten.
func (e *Engine) sweepLater(ctx context.Context) error {
	syncs, err := e.db.SweepLater(ctx)
	if err != nil {
		return fmt.Errorf("sweep once more after a restore: %w", err)
	}
	for _, s := range syncs {
		e.log.Info("no job of before the restore can run any more: every record is sent once more", "sync", s)
	}
	return nil
}

// restoredBecause says why the registry may be older than what is at the
// remotes; empty if it is not.
func (e *Engine) restoredBecause(now store.Origin, noted string) string {
	switch {
	case now.PutBack:
		return "the registry's rows were put back from a backup"
	case noted == "" || now.ID == "":
		return ""
	case noted == now.ID && now.Place > 0 && now.Place < e.provenance.furthest.Load():
		return "the database's log went back"
	case noted == now.ID:
		return ""
	case failedOver(noted, now.ID) && e.cfg.LosslessFailover:
		return ""
	case failedOver(noted, now.ID):
		return "the database failed over or was recovered to a point in time"
	}
	return "the database was restored from a backup, or copied"
}

// unnoticedRestore says what the next worker will find, and do, first.
func (e *Engine) unnoticedRestore(ctx context.Context) ([]Finding, error) {
	now, noted, err := e.db.Origin(ctx)
	if errors.Is(err, ErrNotInstalled) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask where the database comes from: %w", err)
	}
	why := e.restoredBecause(now, noted)
	if why == "" {
		return nil, nil
	}
	return []Finding{{Severity: Warning, Subject: e.db.Name(),
		Message: why + ", and no upkeep run has looked at it since: what the registry says may be older than what is at the remotes. The first one lets the remotes rest, sends every record again in full, and holds deletes",
		Fix:     "if this is a copy to try something with, start no upkeep run here that has the same remotes, or it writes to them; otherwise nothing has to be done"}}, nil
}

// failedOver says whether two origins differ only in what a failover changes,
// the last of several parts. One that is a file's has no such part.
func failedOver(noted, now string) bool {
	before := func(id string) string { return id[:max(strings.LastIndexByte(id, ':'), 0)] }
	return strings.Count(now, ":") > 1 && before(noted) == before(now)
}

// Restored is when the registry was last found to be restored from a backup,
// copied or failed over; zero: never. See docs/operations.md.
func (e *Engine) Restored(ctx context.Context) (time.Time, error) { return e.db.Restored(ctx) }
