package salesforce

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][2]int64{
		"api-usage=18/5000": {18, 5000}, "api-usage=25/5000; per-app-api-usage=17/250(appName=x)": {25, 5000},
		"per-app-api-usage=17/250(appName=x), api-usage=1/2": {1, 2}, " api-usage = 3 / 4 ": {3, 4},
		"per-app-api-usage=17/250": {}, "api-usage=18": {}, "": {}, "api-usage=-1/5": {}, "api-usage=1/0": {}, "api-usage=99999999999999999999/1": {}, "api-usage=1/5x": {},
	} {
		used, limit, ok := usage(header)
		if [2]int64{used, limit} != want && ok || ok != (want[1] != 0) {
			t.Errorf("%q: %d/%d, %v", header, used, limit, ok)
		}
	}
}

func TestReserve(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"": 1500, "0": 0, "500": 500, "20%": 3000, "2.5 %": 375, " 7 ": 7} {
		r, err := parseReserve(text)
		if err != nil || r.of(15000) != want {
			t.Errorf("%q: %d, %v; want %d", text, r.of(15000), err, want)
		}
	}
	for _, text := range []string{"100%", "-1", "x", "%", "1e3"} {
		if _, err := parseReserve(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func FuzzUsage(f *testing.F) {
	f.Add("api-usage=18/5000")
	f.Add("api-usage=18/5000; per-app-api-usage=17/250(appName=sample)")
	f.Fuzz(func(t *testing.T, header string) {
		if used, limit, ok := usage(header); ok && (used < 0 || limit <= 0) {
			t.Errorf("%q: %d/%d", header, used, limit)
		}
	})
}

// The part that is left to others is not touched, not even by requests that
// are under way at once; then one question is asked when it is time.
func TestQuota(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	q := &quota{reserve: reserve{calls: 100}, clock: func() time.Time { return now }}
	asked := 0
	used, limit := int64(0), int64(1000)
	ask := func(context.Context) *connector.Error { asked++; q.set(used, limit); return nil }
	enter := func() *connector.Error { return q.enter(t.Context(), ask) }

	if err := enter(); err != nil {
		t.Fatalf("nothing is known yet: %v", err)
	}
	q.saw(http.Header{"Sforce-Limit-Info": {"api-usage=897/1000"}})
	q.leave()
	for range 3 { // 103 are left
		if err := enter(); err != nil {
			t.Fatal(err)
		}
	}
	err := enter()
	if err == nil || err.Kind != connector.RateLimited || err.RetryAfter != look || !strings.Contains(err.Message, "897 of the org's 1000") || !strings.Contains(err.Message, "100 are left to others") {
		t.Errorf("the reserve: %v", err)
	}
	for range 3 {
		q.leave()
	}
	q.saw(http.Header{"Sforce-Limit-Info": {"api-usage=900/1000"}})
	now = now.Add(look - time.Second)
	if err := enter(); err == nil || err.RetryAfter != time.Second || asked != 0 {
		t.Errorf("too early: %v, asked %d", err, asked)
	}
	now = now.Add(time.Second)
	used = 950
	if err := enter(); err == nil || err.RetryAfter != look || asked != 1 {
		t.Errorf("nothing came free: %v, asked %d", err, asked)
	}
	now = now.Add(look)
	used = 500
	if err := enter(); err != nil || asked != 2 {
		t.Errorf("some came free: %v, asked %d", err, asked)
	}
	if err := enter(); err != nil || asked != 2 {
		t.Errorf("it is known now: %v, asked %d", err, asked)
	}
	q.exceeded()
	now = now.Add(look)
	failed := &connector.Error{Kind: connector.Unavailable}
	if err := q.enter(t.Context(), func(context.Context) *connector.Error { return failed }); err != failed {
		t.Errorf("the question failed: %v", err)
	}
	if err := enter(); err != nil {
		t.Errorf("and the next is asked again: %v", err)
	}
}

// While one asks, others don't.
func TestOneAsks(t *testing.T) {
	t.Parallel()
	q := &quota{clock: func() time.Time { return time.Unix(1e9, 0) }, stopped: true}
	err := q.enter(t.Context(), func(ctx context.Context) *connector.Error {
		other := q.enter(ctx, func(context.Context) *connector.Error { t.Error("asked twice"); return nil })
		if other == nil || other.Kind != connector.RateLimited {
			t.Errorf("meanwhile: %v", other)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
