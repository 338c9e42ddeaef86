package provetest

import (
	"context"
	"log/slog"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/prove/oracle"
	"github.com/upkeep-sync/upkeep/internal/prove/worker"
)

// Say does what a person does about the groups that are parked where nothing can be
// looked up: they look at the remote and say what is there. Then all is brought to
// rest and judged once more.
func (p *Place) Say(ctx context.Context) (*oracle.Verdict, error) {
	e, end, err := worker.Engine(ctx, p.Worker, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer end()
	_, groups, err := p.known(ctx)
	if err != nil {
		return nil, err
	}
	there := map[string]string{}
	for _, r := range p.Remote.Records() {
		there[r.Type+"/"+r.ExternalID] = r.ID
	}
	for record, g := range groups {
		if g.State != upkeep.Parked {
			continue
		}
		if id := there[record]; id != "" {
			err = e.Adopt(ctx, g.Sync, g.Key, id)
		} else {
			err = e.NotThere(ctx, g.Sync, g.Key)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := p.Heal(ctx); err != nil {
		return nil, err
	}
	return p.Judge(ctx)
}

// Parked tells why groups are parked.
func (p *Place) Parked(ctx context.Context) (why []string) {
	_, groups, err := p.known(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	for record, g := range groups {
		if g.State == upkeep.Parked {
			why = append(why, record+": "+g.Reason)
		}
	}
	return why
}
