package main

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/postgres"
)

// inStages is a database with connections of its own for each stage.
type inStages struct {
	*postgres.DB
	fold, claim, load, record *postgres.DB
}

func (s *inStages) Fold(ctx context.Context, shapes []*store.Shape, plan string, limit int) (store.Folded, error) {
	return s.fold.Fold(ctx, shapes, plan, limit)
}

func (s *inStages) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claim, error) {
	return s.claim.Claim(ctx, r)
}

func (s *inStages) Load(ctx context.Context, shape *store.Shape, keys []string) (map[string]store.Composite, []string, error) {
	return s.load.Load(ctx, shape, keys)
}

func (s *inStages) Record(ctx context.Context, results []store.Result, byHand []string) ([]store.ID, error) {
	return s.record.Record(ctx, results, byHand)
}

// stagePrefix begins the name of a stage's connections.
const stagePrefix = "stage-"

// apart opens the connections of the stages, which end with the process.
func apart(ctx context.Context, at string, db *postgres.DB) (*inStages, error) {
	s := &inStages{DB: db}
	for name, to := range map[string]**postgres.DB{"fold": &s.fold, "claim": &s.claim, "load": &s.load, "record": &s.record} {
		u, err := url.Parse(at)
		if err != nil {
			return nil, err
		}
		q := u.Query()
		q.Set("application_name", stagePrefix+name)
		u.RawQuery = q.Encode()
		if *to, err = postgres.Open(ctx, u.String()); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// stages is what each stage's connections used, of those that m has met.
func (p *place) stages(s *shop, m *meter) (map[string]time.Duration, error) {
	used := map[string]time.Duration{}
	rows, err := s.pool.Query(p.ctx, "SELECT pid, application_name FROM pg_stat_activity WHERE starts_with(application_name, $1)", stagePrefix)
	if err != nil {
		return nil, err
	}
	var pid int
	var name string
	_, err = pgx.ForEachRow(rows, []any{&pid, &name}, func() error {
		used[strings.TrimPrefix(name, stagePrefix)] += m.seen[pid] - m.first[pid]
		return nil
	})
	return used, err
}
