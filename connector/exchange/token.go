package exchange

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

const (
	// tokenTimeout is how long a request for a token may take.
	tokenTimeout = 30 * time.Second
	// renewEarly is how long before its end a token is renewed, at most a
	// fifth of its life.
	renewEarly = 5 * time.Minute
)

// Tokens gets access tokens (OAuth 2.0, RFC 6749) and keeps the current one.
// Any number of calls share one request for a token.
type Tokens struct {
	// Client sends the requests.
	Client *Client
	// URL is the token endpoint.
	URL string
	// Form makes what is posted to it.
	Form func(now time.Time) (url.Values, error)
	// Header is added to the request; nil: none.
	Header http.Header
	// Life is how long a token lives whose answer does not say. Zero: an hour.
	Life time.Duration
	// Hint says what a person can check when the endpoint refuses.
	Hint string
	// Accept is shown each answer with a token before the token is used, for
	// what else is in it; its error refuses the token. Nil: nothing.
	Accept func(body []byte) error

	wait  sync.WaitGroup // requests under way
	mu    sync.Mutex
	token string
	renew time.Time // when to ask for the next one
	ask   *asking   // nil: nobody is asking
}

// asking is one request for a token, which any number of calls wait for.
type asking struct {
	done  chan struct{}
	token string
	err   *connector.Error
}

// Bearer returns a token that is good for a while, asking for one if needed.
// Whatever goes wrong, the call that needed the token was not sent.
func (t *Tokens) Bearer(ctx context.Context) (string, *connector.Error) {
	t.mu.Lock()
	if t.token != "" && t.Client.config.Clock().Before(t.renew) {
		defer t.mu.Unlock()
		return t.token, nil
	}
	if err := context.Cause(t.Client.closed); err != nil {
		t.mu.Unlock()
		return "", t.Client.NotSent(err)
	}
	a := t.ask
	if a == nil {
		a = &asking{done: make(chan struct{})}
		t.ask = a
		// Not in the caller's context: others wait for the same token.
		t.wait.Go(func() { t.get(a) })
	}
	t.mu.Unlock()
	select {
	case <-a.done:
		return a.token, a.err
	case <-ctx.Done():
		return "", t.Client.NotSent(context.Cause(ctx))
	}
}

// Drop forgets a token that the remote refused, unless it is replaced already.
func (t *Tokens) Drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}

// Wait returns when no request for a token is under way; call it after the
// client was closed.
func (t *Tokens) Wait() { t.wait.Wait() }

// Authorized makes one attempt with a token. A token that the remote refuses
// with 401 was not applied to anything: another is asked for, and the attempt
// made again, once.
func (t *Tokens) Authorized(ctx context.Context, newRequest func(ctx context.Context, token string) (*http.Request, error)) (*Answer, *connector.Error) {
	return t.Stream(ctx, newRequest, nil)
}

// Stream is Authorized for answers of any length; see [Client.Stream].
func (t *Tokens) Stream(ctx context.Context, newRequest func(ctx context.Context, token string) (*http.Request, error), take func(io.Reader) error) (*Answer, *connector.Error) {
	token, err := t.Bearer(ctx)
	if err != nil {
		return nil, err
	}
	attempt := func(token string) (*Answer, *connector.Error) {
		return t.Client.Stream(ctx, func(ctx context.Context) (*http.Request, error) { return newRequest(ctx, token) }, take)
	}
	a, err := attempt(token)
	if err != nil || a.Status != http.StatusUnauthorized {
		return a, err
	}
	t.Drop(token)
	again, err := t.Bearer(ctx)
	switch {
	case err == nil:
		return attempt(again)
	case err.Kind == connector.Unauthorized:
		return a, nil // the remote's own words say more
	}
	return nil, err
}

func (t *Tokens) get(a *asking) {
	ctx, cancel := context.WithTimeout(t.Client.closed, tokenTimeout)
	defer cancel()
	asked := t.Client.config.Clock()
	token, life, err := t.request(ctx, asked)
	t.mu.Lock()
	defer t.mu.Unlock()
	a.token, a.err = token, err
	if err == nil {
		t.token, t.renew = token, asked.Add(life-min(renewEarly, life/5))
	}
	t.ask = nil
	close(a.done)
}

// request asks for a token once.
func (t *Tokens) request(ctx context.Context, now time.Time) (string, time.Duration, *connector.Error) {
	form, err := t.Form(now)
	if err != nil {
		return "", 0, &connector.Error{Kind: connector.Unauthorized, Message: "no access token could be asked for", Err: err}
	}
	a, fail := t.Client.Do(ctx, func(ctx context.Context) (*http.Request, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		for k, v := range t.Header {
			r.Header[k] = v
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "application/json")
		return r, nil
	})
	if fail != nil {
		return "", 0, &connector.Error{Kind: connector.Unavailable, Status: fail.Status, Message: "no access token: the token endpoint gave no whole answer", Err: fail.Err}
	}
	return t.read(a)
}

// oauthCode is what an error code of RFC 6749 looks like.
var oauthCode = regexp.MustCompile(`^[a-z_]{1,40}$`)

// read reads the token endpoint's answer. Only its error code gets into an
// error, since the rest may hold a token.
func (t *Tokens) read(a *Answer) (string, time.Duration, *connector.Error) {
	var b struct {
		Token string  `json:"access_token"`
		Life  float64 `json:"expires_in"` // seconds
		Error string  `json:"error"`
	}
	bad := json.Unmarshal(a.Body, &b) != nil
	fail := &connector.Error{Kind: connector.Unavailable, Status: a.Status, RetryAfter: a.RetryAfter}
	switch {
	case a.Status == http.StatusOK && !bad && b.Token != "":
		if t.Accept != nil {
			if err := t.Accept(a.Body); err != nil {
				return "", 0, &connector.Error{Kind: connector.Unauthorized, Message: "the access token is not used", Err: err}
			}
		}
		life := time.Duration(min(max(b.Life, 0), 24*3600)) * time.Second
		if life == 0 {
			life = max(t.Life, 0)
		}
		if life == 0 {
			life = time.Hour
		}
		return b.Token, life, nil
	case a.Status == http.StatusTooManyRequests:
		fail.Kind, fail.Message = connector.RateLimited, "the token endpoint asks for fewer requests"
	case !bad && oauthCode.MatchString(b.Error), a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden:
		fail.Kind = connector.Unauthorized
		if oauthCode.MatchString(b.Error) {
			fail.Code = b.Error
		}
		fail.Message = t.Client.config.Remote + " gives no access token: " + t.Hint
	default:
		fail.Message = "no access token: the token endpoint's answer makes no sense; check base_url"
	}
	return "", 0, fail
}
