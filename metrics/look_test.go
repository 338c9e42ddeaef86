package metrics

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/upkeep-sync/upkeep"
)

// counting is a status that takes a while and counts how often it was asked.
type counting struct {
	takes time.Duration
	asked int
	fails error
}

func (c *counting) status(ctx context.Context) (*upkeep.Status, error) {
	c.asked++
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(c.takes):
		return &upkeep.Status{Pending: c.asked}, c.fails
	}
}

func TestScrapesShareOneLook(t *testing.T) {
	t.Parallel()
	asked, answer := 0, make(chan struct{})
	now := time.Now()
	l := &look{now: func() time.Time { return now }, status: func(context.Context) (*upkeep.Status, error) {
		asked++
		<-answer
		return &upkeep.Status{Pending: asked}, nil
	}}
	var scrapes sync.WaitGroup
	for range 50 {
		scrapes.Go(func() {
			if s, err := l.take(); err != nil || s.Pending != 1 {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	close(answer)
	scrapes.Wait()
	if asked != 1 {
		t.Errorf("50 scrapes looked %d times", asked)
	}
	now = now.Add(fresh)
	if s, _ := l.take(); s.Pending != 2 {
		t.Errorf("look %d after %s", s.Pending, fresh)
	}
}

// A database that is slow is asked less often, and one that does not answer not
// for long.
func TestLooksTakeAShareOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := &counting{takes: 2 * time.Second}
		l := &look{status: asked.status, now: time.Now}
		for began := time.Now(); time.Since(began) < 10*time.Minute; time.Sleep(15 * time.Second) {
			if _, err := l.take(); err != nil {
				t.Fatal(err)
			}
		}
		if asked.asked > 30 { // two seconds of looking, then twenty of none
			t.Errorf("looked %d times in ten minutes", asked.asked)
		}
		asked.takes = time.Hour
		time.Sleep(oldest)
		began := time.Now()
		if _, err := l.take(); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != longest {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if _, err := l.take(); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != longest {
			t.Errorf("a scrape beside it waited %s: %v", time.Since(began), err)
		}
		asked.takes = 0
		time.Sleep(oldest + time.Second)
		if _, err := l.take(); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
}

func TestBuildOf(t *testing.T) {
	t.Parallel()
	own := &debug.BuildInfo{Main: debug.Module{Path: module, Version: "v1.2.3"}, Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}}}
	if version, revision := buildOf(own); version != "v1.2.3" || revision != "abc" {
		t.Errorf("%q %q", version, revision)
	}
	using := &debug.BuildInfo{Main: debug.Module{Path: "example.com/shop", Version: "v9"}, Settings: own.Settings, Deps: []*debug.Module{{Path: module, Version: "v1.2.3"}}}
	if version, revision := buildOf(using); version != "v1.2.3" || revision != "" {
		t.Errorf("in another program: %q %q", version, revision)
	}
}

// What few databases have: jobs, held deletes, a quota, failures.
func TestViewOf(t *testing.T) {
	t.Parallel()
	s := &upkeep.Status{
		Syncs:       []upkeep.Counts{{Sync: "user"}, {Sync: "order", Held: "no right"}},
		Remotes:     []upkeep.RemoteStatus{{Name: "crm", Quota: upkeep.Quota{Used: 7, Limit: 100}}, {Name: "erp", PausedFor: time.Minute}},
		HeldDeletes: []upkeep.HeldDeletes{{Sync: "order", Held: 12}},
		Pauses:      []upkeep.Pause{{Remote: "crm"}, {Sync: "gone"}},
		Jobs:        []upkeep.Job{{Remote: "crm", State: "running", Left: 5, Age: time.Minute}, {Remote: "crm", State: "running", Left: 6, Age: time.Hour}, {Remote: "gone", State: "open"}},
		Failures:    []upkeep.Failure{{Stage: "fold", Holder: "a"}, {Stage: "fold", Holder: "b"}},
	}
	got := map[string]float64{}
	for _, f := range families() {
		f.read(viewOf(s), func(v float64, labels ...string) {
			name := f.name
			for _, l := range labels {
				name += " " + l
			}
			got[name] = v
		})
	}
	for name, want := range map[string]float64{
		"upkeep_deletes_stopped order": 1, "upkeep_held_deletes order": 12, "upkeep_deletes_stopped user": 0, "upkeep_sync_held order": 1, "upkeep_sync_held user": 0,
		"upkeep_remote_paused crm": 1, "upkeep_remote_paused erp": 0, "upkeep_remote_rest_seconds erp": 60, "upkeep_sync_paused user": 0,
		"upkeep_remote_quota_requests crm": 100, "upkeep_remote_quota_used_requests crm": 7,
		"upkeep_jobs crm running": 2, "upkeep_jobs crm open": 0, "upkeep_job_groups crm": 11, "upkeep_oldest_job_seconds crm": 3600, "upkeep_oldest_job_seconds erp": 0,
		"upkeep_failing_processes fold": 2, "upkeep_failing_processes care": 0, "upkeep_failing_processes work for erp": 0,
	} {
		if v, shown := got[name]; !shown || v != want {
			t.Errorf("%s is %v (shown: %v), want %v", name, v, shown, want)
		}
	}
	if _, shown := got["upkeep_remote_quota_requests erp"]; shown {
		t.Error("a remote that tells no quota has one")
	}
}
