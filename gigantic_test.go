package upkeep_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// A record that is too large to be sent is refused, with how large it is, and so is
// one whose function fails with as long a text; the others go on.
func TestGiganticValuesHitOneGroup(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(9)
		long, longer := strings.Repeat("x", 66<<20), strings.Repeat("y", 80<<20)
		words := "no\x00 \xff" + strings.Repeat("é", 2<<20)
		sync := customerSync(s.to)
		plain := sync.Translate
		sync.Translate = func(u User) (upkeep.Fields, error) {
			f, err := plain(u)
			switch u.ID {
			case 1:
				f["notes"] = longer
			case 2:
				f["notes"] = slices.Repeat([]any{long}, 4) // one text, four times
			case 3:
				f["notes"] = map[string]any{"a": []string{long, "b"}}
			case 4:
				return nil, errors.New(words)
			case 5:
				panic(words)
			}
			return f, err
		}
		e := s.engine(sync)
		s.run(e)
		s.quiet(e)
		for i, says := range []string{"80 MB", "field notes has 264 MB", "66 MB", "translate: no", "panic: no"} {
			x := s.state(e, "customer", fmt.Sprint(i+1), upkeep.Parked)
			if !strings.Contains(x.Why, says) || len(x.Why) > 10_000 || !utf8.ValidString(x.Why) {
				t.Errorf("user %d: %d bytes, %.300q", i+1, len(x.Why), x.Why)
			}
		}
		for _, q := range s.remote.Requests() {
			if slices.Contains([]string{"customer-1", "customer-2", "customer-3"}, q.ExternalID) {
				t.Errorf("%s of %s went out", q.Verb, q.ExternalID)
			}
		}
		if n := len(s.remote.Records("customer")); n != 4 {
			t.Errorf("%d of the others are there", n)
		}
	})
}

// Whatever a remote says in its errors is kept, short and as text, and leads to the
// same as if it had said it in plain words.
func TestWildWordsOfARemote(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{Concurrency: 2})
		texts := []string{"no\x00no", "no \xff\xfe\xed\xa0\x80", "no " + strings.Repeat("é", 2<<20), "no \u2028\x1b[2J\r\n</script>", `no \u0000 {"a":`, ""}
		kinds := []connector.Kind{connector.Rejected, connector.Unknown, connector.RateLimited, connector.Unavailable, connector.Busy, connector.Unauthorized}
		users := len(texts) * len(kinds)
		s.users(users)
		for i := range users {
			id := fmt.Sprint("customer-", i+1)
			s.remote.Fail(memory.Fault{ExternalID: id, Err: &connector.Error{Kind: kinds[i%len(kinds)], Status: 400, Code: texts[i/len(kinds)], Message: texts[i/len(kinds)], Err: errors.New(texts[i/len(kinds)])}})
		}
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.until("all others to be sent", func() bool {
			st, err := e.Status(s.ctx)
			if err != nil || st.Syncs[0].Parked < int64(len(texts)) {
				return false
			}
			calm, _ := s.calm(e)
			return calm
		})
		s.advance(10 * time.Minute) // the doubts are settled
		s.quiet(e)
		for i := range users {
			key, want := fmt.Sprint(i+1), upkeep.Clean
			if kinds[i%len(kinds)] == connector.Rejected {
				want = upkeep.Parked
			}
			x := s.state(e, "customer", key, want)
			for _, a := range x.Attempts {
				if len(a.Message) > 10_000 || !utf8.ValidString(a.Message) || strings.Contains(a.Message, "\x00") {
					t.Errorf("user %s: %s has %d bytes: %.100q", key, a.Outcome, len(a.Message), a.Message)
				}
			}
			if len(x.Why) > 10_000 || !utf8.ValidString(x.Why) || strings.Contains(x.Why, "\x00") {
				t.Errorf("user %s: %d bytes, %.100q", key, len(x.Why), x.Why)
			}
		}
		if n, err := e.Retry(s.ctx, "customer", ""); n != int64(len(texts)) || err != nil {
			t.Errorf("retry: %d, %v", n, err)
		}
		s.quiet(e)
		s.inSync(e, "customer")
	})
}
