package upkeep

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// ErrPublished: Upkeep is not installed yet, and a publication of the database
// would publish its own tables: subscribers that do not have them would stop.
// Nothing is changed; the text says what to do. Config.Published lets it go on.
var ErrPublished = errors.New("a publication would publish Upkeep's own tables")

// published is an [ErrPublished] and what [Engine.Check] tells of it.
type published struct {
	names     []string
	installed bool
}

// published finds the publications that have Upkeep's own tables, or would have
// them; nil: there are none.
func (e *Engine) published(ctx context.Context) (*published, error) {
	p, ok := e.db.(store.Publisher)
	if !ok {
		return nil, nil
	}
	names, installed, err := p.Publications(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for publications: %w", err)
	}
	if len(names) == 0 {
		return nil, nil
	}
	return &published{names, installed}, nil
}

// unpublished is an error where Upkeep's tables would be made and published. Once
// they are there the harm is done, and Upkeep goes on.
func (e *Engine) unpublished(ctx context.Context) error {
	if e.cfg.Published {
		return nil
	}
	found, err := e.published(ctx)
	if err != nil || found == nil || found.installed {
		return err
	}
	return found
}

func (p *published) Error() string { return p.subject() + ": " + p.what() + "; " + p.fix() }

func (p *published) Is(target error) bool { return target == ErrPublished }

func (p *published) subject() string {
	if len(p.names) == 1 {
		return "publication " + p.names[0]
	}
	return "publications " + strings.Join(p.names, ", ")
}

const subscriberStops = `a subscriber that does not have them stops (logical replication target relation "upkeep.migrations" does not exist): the application's rows arrive there no more, and its slot keeps the WAL`

func (p *published) what() string {
	if p.installed {
		return "Upkeep's own tables are published; " + subscriberStops
	}
	return "Upkeep's own tables would be published; " + subscriberStops
}

func (p *published) fix() string {
	const list = "publish a list of tables, or tables in schemas other than upkeep: make another publication for it, let each subscriber go over to it (ALTER SUBSCRIPTION ... SET PUBLICATION), and drop this one"
	if p.installed {
		return list + "; a subscriber that has stopped needs Upkeep's tables first, empty ones do: see logical replication in the operations page. One that passes over tables that it does not know needs nothing"
	}
	return list + ". If all subscribers pass over tables that they do not know, or have these: upkeep apply --published (in Go Config.Published)"
}

// findings tell it to [Engine.Check].
func (p *published) findings(allowed bool) []Finding {
	f := Finding{Severity: Problem, Subject: p.subject(), Message: p.what(), Fix: p.fix()}
	if p.installed || allowed {
		f.Severity = Warning
	}
	return []Finding{f}
}
