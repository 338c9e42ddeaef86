package salesforce

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// reserve is what is left to others of the daily requests.
type reserve struct {
	calls   int64
	percent float64
}

var reserveForm = regexp.MustCompile(`^(\d{1,12})$|^(\d{1,2}(?:\.\d{1,3})?)\s*%$`)

func parseReserve(s string) (reserve, error) {
	if strings.TrimSpace(s) == "" {
		s = defaultReserve
	}
	m := reserveForm.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return reserve{}, fmt.Errorf("%q is neither a number of requests, such as 5000, nor a part below 100%%, such as 10%%", s)
	}
	if m[1] != "" {
		n, err := strconv.ParseInt(m[1], 10, 64)
		return reserve{calls: n}, err
	}
	p, err := strconv.ParseFloat(m[2], 64)
	return reserve{percent: p}, err
}

// of is the reserve in requests.
func (r reserve) of(limit int64) int64 { return r.calls + int64(float64(limit)*r.percent/100) }

// look is how long to wait for requests to come free: they do so one by one,
// 24 hours after they were made.
const look = 10 * time.Minute

// quota watches the org's daily requests, as its answers tell of them. The
// zero value with a clock knows nothing, and lets everything pass until it
// does.
type quota struct {
	reserve reserve
	clock   func() time.Time

	mu          sync.Mutex
	known       bool
	used, limit int64
	flying      int64 // requests of this connection under way: not in used yet
	stopped     bool
	until       time.Time // when stopped: the next look
	looking     bool
}

// usageForm is an element of Sforce-Limit-Info: "api-usage=18/5000", beside
// which there may be "per-app-api-usage=17/250(appName=x)".
var usageForm = regexp.MustCompile(`(?:^|[,;\s])api-usage\s*=\s*(\d{1,15})\s*/\s*(\d{1,15})(?:$|[,;\s])`)

// usage reads the header; not ok when it says nothing of the org's requests.
func usage(header string) (used, limit int64, ok bool) {
	m := usageForm.FindStringSubmatch(header)
	if m == nil {
		return 0, 0, false
	}
	used, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, 0, false
	}
	limit, err = strconv.ParseInt(m[2], 10, 64)
	return used, limit, err == nil && limit > 0
}

// saw takes note of what an answer tells.
func (q *quota) saw(h http.Header) {
	for _, v := range h.Values("Sforce-Limit-Info") {
		if used, limit, ok := usage(v); ok {
			q.set(used, limit)
		}
	}
}

func (q *quota) set(used, limit int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.known, q.used, q.limit = true, used, limit
}

// exceeded: the org itself refused a request for its daily limit.
func (q *quota) exceeded() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped, q.until = true, q.clock().Add(look)
}

// enter lets one request pass, or says until when none may. Once it stopped,
// it is ask that tells how things are before anything else goes out. leave
// must be called when there is no error.
func (q *quota) enter(ctx context.Context, ask func(context.Context) *connector.Error) *connector.Error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		now := q.clock()
		switch {
		case now.Before(q.until):
			return q.refusal(q.until.Sub(now))
		case q.looking:
			return q.refusal(time.Second)
		}
		q.looking = true
		q.mu.Unlock()
		err := ask(ctx)
		q.mu.Lock()
		q.looking = false
		if err != nil {
			return err
		}
	}
	if q.known && q.limit-q.used-q.flying <= q.reserve.of(q.limit) {
		q.stopped, q.until = true, q.clock().Add(look)
		return q.refusal(look)
	}
	q.stopped = false
	q.flying++
	return nil
}

func (q *quota) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flying--
}

// refusal says why nothing goes out; the lock is held.
func (q *quota) refusal(after time.Duration) *connector.Error {
	return &connector.Error{Kind: connector.RateLimited, RetryAfter: after, Message: fmt.Sprintf(
		"nothing was sent: %d of the org's %d requests in 24 hours are used, and %d are left to others (reserve); Upkeep looks again in %s",
		q.used, q.limit, q.reserve.of(q.limit), after.Round(time.Second))}
}

// Quota is how many of the org's requests in 24 hours are used, by all its
// integrations, and how many there are. Not known before the first answer.
func (c *Connection) Quota() (used, limit int64, known bool) {
	c.quota.mu.Lock()
	defer c.quota.mu.Unlock()
	return c.quota.used, c.quota.limit, c.quota.known
}

// limits asks for the daily requests. Every answer also tells them in its
// header, a refusal included: a user who may not see the limits gets to know
// them too.
func (c *Connection) limits(ctx context.Context) *connector.Error {
	a, err := c.send(ctx, request{verb: examine, method: http.MethodGet, path: "/limits"})
	if err != nil {
		if err.Kind == connector.Rejected {
			return nil // the header of the refusal told, or else the next answer does
		}
		if err.Kind == connector.Unknown {
			err.Kind = connector.Unavailable // it is a question: nothing can have been applied
		}
		return err
	}
	var got struct {
		Daily *struct{ Max, Remaining int64 } `json:"DailyApiRequests"`
	}
	if json.Unmarshal(a.Body, &got) != nil || got.Daily == nil || got.Daily.Max <= 0 {
		e := unexpected(a)
		e.Kind = connector.Unavailable
		return e
	}
	c.quota.set(got.Daily.Max-got.Daily.Remaining, got.Daily.Max)
	return nil
}
