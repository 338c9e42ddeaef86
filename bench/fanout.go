package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/upkeep-sync/upkeep"
)

// priced is the composite of the row with a fan-out: articles that all hang on
// one row.
type priced struct {
	ID   int64  `db:"id,key"`
	Name string `db:"name"`
	List *list  `belongs_to:"lists.list_id"`
}

type list struct {
	Currency string `db:"currency"`
}

func article(to *upkeep.Remote) upkeep.Sync[priced] {
	return upkeep.Sync[priced]{
		Name: "article", Table: "articles", To: to, Record: "inventoryItem",
		Translate: func(a priced) (upkeep.Fields, error) {
			return upkeep.Fields{"name": a.Name, "currency": a.List.Currency}, nil
		},
	}
}

const articles = `
CREATE TABLE lists (id bigint PRIMARY KEY, currency text NOT NULL);
CREATE TABLE articles (id bigint PRIMARY KEY, list_id bigint NOT NULL, name text NOT NULL);
CREATE INDEX articles_list ON articles (list_id);
INSERT INTO lists VALUES (1, 'EUR');
INSERT INTO articles VALUES (1, 1, 'a')`

// known makes articles whose records are at the remote, without calls.
const known = `
INSERT INTO articles SELECT n, 1, 'article ' || n FROM generate_series(2, %[1]d) n;
TRUNCATE upkeep.touch;
DELETE FROM upkeep.groups;
INSERT INTO upkeep.groups (sync, key, generation, synced_generation, remote_id, external_id, touched_at, synced_at)
	SELECT 'article', n::text, 1, 1, 'id-article-' || n, 'article-' || n, now(), now() FROM generate_series(1, %[1]d) n;
ANALYZE`

// fanout changes one row that all groups depend on, and watches the application
// and the follower until all records are sent.
func (p *place) fanout() ([]result, error) {
	const name = "fanout"
	n := p.size.backfill
	s, err := p.shop(name, 1)
	if err != nil {
		return nil, err
	}
	if err := p.exec(s, articles); err != nil {
		return nil, err
	}
	w, err := p.start(following{URL: s.url, Kind: byList, Concurrency: 32})
	if err != nil {
		return nil, err
	}
	defer w.kill()
	if err := p.settle(s, time.Minute); err != nil {
		return nil, err
	}
	if err := w.stop(); err != nil {
		return nil, err
	}
	p.say("making %d groups", n)
	for _, sql := range []string{fmt.Sprintf(known, n), "VACUUM (ANALYZE) upkeep.groups", "VACUUM (ANALYZE) articles", "CHECKPOINT"} {
		if err := p.exec(s, sql); err != nil {
			return nil, err
		}
	}
	if w, err = p.start(following{URL: s.url, Kind: byList, Concurrency: 32}); err != nil {
		return nil, err
	}
	defer func() { w.kill() }()
	return p.fanOut(s, w, n)
}

func (p *place) fanOut(s *shop, w *follower, n int) ([]result, error) {
	p.say("the application before")
	before, err := p.commits(s, func(context.Context) error { time.Sleep(2 * p.size.load); return nil })
	if err != nil {
		return nil, err
	}
	var statement, folded, drained, longest time.Duration
	done := false
	p.say("%d groups to be sent, for at most %s", n, p.size.filling)
	during, err := p.commits(s, func(ctx context.Context) (err error) {
		if statement, _, err = p.statement(s, "UPDATE lists SET currency = 'USD'"); err != nil {
			return err
		}
		began := time.Now()
		for !done && time.Since(began) < p.size.filling {
			var logged, few bool
			var oldest float64
			// What the application adds to the log is of the other table.
			err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM upkeep.touch WHERE tbl LIKE '%lists%'),
				coalesce((SELECT max(extract(epoch FROM clock_timestamp() - xact_start)) FROM pg_stat_activity
					WHERE datname = current_database() AND application_name = 'upkeep' AND xact_start IS NOT NULL), 0)::float8,
				(SELECT count(*) < 500 FROM (SELECT FROM upkeep.groups WHERE due_at IS NOT NULL LIMIT 500) due)`).Scan(&logged, &oldest, &few)
			if err != nil {
				return err
			}
			longest = max(longest, time.Duration(oldest*float64(time.Second)))
			if drained = time.Since(began); !logged && folded == 0 {
				folded = drained
			}
			done = few && folded > 0 // but for what the application changes
			time.Sleep(50 * time.Millisecond)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	f, err := w.figures()
	if err == nil {
		err = w.stop()
	}
	if err != nil {
		return nil, err
	}
	detail := fmt.Sprintf("%d calls in %.0f s", f.Calls, drained.Seconds())
	if !done {
		detail += ", not all of them"
	}
	raised := fmt.Sprintf("%.1f s", folded.Seconds())
	if folded == 0 {
		raised = fmt.Sprintf("not within %.0f s", drained.Seconds())
	}
	return []result{
		{fmt.Sprintf("a row that %d groups depend on: the application's statement", n), "O(1)", ms(statement), "one row in the log"},
		{"the same: until all groups are raised", "-", raised, detail},
		{"the same: longest transaction of Upkeep's", "1 s", ms(longest), ""},
		{"the same: resident memory at most", "64 MB", fmt.Sprintf("%.0f MB", float64(f.Peak)/(1<<20)), ""},
		{"the same: the application's commits meanwhile, p50 / p99", "-", ms(percentile(during, 0.5)) + " / " + ms(percentile(during, 0.99)),
			fmt.Sprintf("before: %s / %s; %d and %d single changes of watched rows, 200 a second", ms(percentile(before, 0.5)), ms(percentile(before, 0.99)), len(during), len(before))},
	}, p.drop("fanout")
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }

// commits lets an application change one article after the other, 200 a second,
// while something goes on, and returns how long each took.
func (p *place) commits(s *shop, during func(context.Context) error) (took []time.Duration, err error) {
	var mu sync.Mutex
	over := make(chan struct{})
	g, ctx := errgroup.WithContext(p.ctx)
	for range 4 {
		g.Go(func() error {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-over:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				case <-tick.C:
				}
				began := time.Now()
				_, err := s.pool.Exec(ctx, "UPDATE articles SET name = name || 'x' WHERE id = $1", 1+rand.IntN(p.size.backfill))
				if err != nil {
					return err
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	g.Go(func() error {
		defer close(over)
		return during(ctx)
	})
	err = g.Wait()
	return took, err
}
