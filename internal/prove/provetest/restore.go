package provetest

import (
	"context"
	"log/slog"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/prove/oracle"
	"github.com/upkeep-sync/upkeep/internal/prove/shop"
	"github.com/upkeep-sync/upkeep/internal/prove/worker"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Rewind is for a database that lost commits: what was deleted in these was not
// deleted. No write may be under way.
func (p *Place) Rewind(ctx context.Context) error {
	rows, groups, err := p.known(ctx)
	if err != nil {
		return err
	}
	ended := map[string]bool{}
	for key := range groups {
		ended[key] = rows[key] == nil
	}
	p.Ended.Undo(ended)
	return nil
}

// Restored is called when the registry was put back and nothing was written since:
// all rows that are there now, and stay, are to be looked at.
func (p *Place) Restored(ctx context.Context) (err error) {
	p.Ended.Mark()
	p.present, err = shop.Expect(ctx, p.App, p.Worker.Edition)
	return err
}

// cameBack: the row of a record was not there when the registry was put back, or
// went since; it may be there again.
func (p *Place) cameBack(key string) bool { return p.present[key] == nil || p.Ended.Lately(key) }

// Forget notes what a restored registry can know nothing of: the records at the
// remote that have neither a row nor a group with a remote id. Where none can be
// looked up, a row that came back since everything was looked at is of no help:
// no sweep has forced its group. From here on deletes are judged. No request may
// be under way.
func (p *Place) Forget(ctx context.Context) error {
	rows, groups, err := p.known(ctx)
	if err != nil {
		return err
	}
	if p.Forgotten == nil {
		p.Forgotten = map[string]bool{}
	}
	for _, r := range p.Remote.Records() {
		key := r.Type + "/" + r.ExternalID
		g := groups[key]
		unseen := rows[key] == nil || p.Worker.Class == connector.Blind && g.ForcedGeneration == 0 && p.cameBack(key)
		if unseen && g.RemoteID == "" && g.InDoubtUntil.IsZero() {
			p.Forgotten[key] = true
		}
	}
	p.judged = len(p.Remote.Applied(0))
	return nil
}

// known is what is to be at the remote, and the groups, by [shop.Want]'s keys.
func (p *Place) known(ctx context.Context) (shop.Want, map[string]store.Group, error) {
	db, err := worker.Open(ctx, p.Worker, &worker.Points{})
	if err != nil {
		return nil, nil, err
	}
	defer db.Close()
	rows, err := shop.Expect(ctx, p.App, p.Worker.Edition)
	if err != nil {
		return nil, nil, err
	}
	list, err := oracle.Groups(ctx, db)
	if err != nil {
		return nil, nil, err
	}
	groups := map[string]store.Group{}
	for _, g := range list {
		groups[g.Sync+"/"+g.Sync+"-"+g.Key] = g
	}
	return rows, groups, nil
}

// AllowDeletes does what a person does who has looked at the deletes that are
// held. It returns how many were applied since Forget.
func (p *Place) AllowDeletes(ctx context.Context) (went int, err error) {
	for _, e := range p.Remote.Applied(p.judged) {
		if e.Verb == "delete" {
			went++
		}
	}
	e, end, err := worker.Engine(ctx, p.Worker, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return went, err
	}
	defer end()
	for _, sync := range []string{"customer", "order", "label"} {
		if _, err := e.AllowDeletes(ctx, sync, 1_000_000); err != nil {
			return went, err
		}
	}
	return went, nil
}
