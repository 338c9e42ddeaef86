package exchange

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Calls at once whose token is refused ask for one token together; those that
// learn of it later, when there is a new one, ask for none.
func TestOneTokenForAllLanes(t *testing.T) {
	t.Parallel()
	const lanes = 20
	var mu sync.Mutex
	issued, together := 0, 0
	met, renewed := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			mu.Lock()
			defer mu.Unlock()
			if issued++; issued == 2 {
				defer close(renewed)
			}
			fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":3600}`, issued)
			return
		}
		if r.Header.Get("Authorization") != "token-1" {
			fmt.Fprint(w, "{}")
			return
		}
		mu.Lock()
		if together++; together == lanes {
			close(met)
		}
		late := together%2 == 0
		mu.Unlock()
		for _, until := range map[bool][]chan struct{}{false: {met}, true: {met, renewed}}[late] {
			select {
			case <-until:
			case <-r.Context().Done():
				return
			}
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	c := Open(Config{Remote: "Acme", Base: server.URL})
	t.Cleanup(c.Close)
	tokens := &Tokens{Client: c, URL: server.URL + "/token", Form: func(time.Time) (url.Values, error) { return url.Values{}, nil }}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var calls sync.WaitGroup
	for range lanes {
		calls.Go(func() {
			a, err := tokens.Authorized(ctx, func(ctx context.Context, token string) (*http.Request, error) {
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/record", nil)
				if err == nil {
					r.Header.Set("Authorization", token)
				}
				return r, err
			})
			if err != nil || a.Status != http.StatusOK {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	calls.Wait()
	if issued != 2 {
		t.Errorf("%d tokens were asked for, want 2", issued)
	}
}
