package httpapi

import (
	"net/http"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

func answerOf(status int, media, body string) *exchange.Answer {
	h := http.Header{}
	if media != "" {
		h.Set("Content-Type", media)
	}
	return &exchange.Answer{Status: status, Header: h, Body: []byte(body)}
}

// Without a rule, the kinds are those of docs/writing-a-connector.md.
func TestDefaultKinds(t *testing.T) {
	t.Parallel()
	c := &Connection{}
	const own, page = `{"message":"no"}`, "<html>no</html>"
	for _, tt := range []struct {
		status int
		verb   verb
		media  string
		body   string
		want   connector.Kind
	}{
		{429, updating, "text/html", page, connector.RateLimited},
		{401, updating, "", "", connector.Unauthorized},
		{403, updating, "application/json", own, connector.Unauthorized},
		{500, updating, "application/json", own, connector.Unknown},
		{503, creating, "text/html", page, connector.Unknown},
		{408, updating, "", "", connector.Unknown},
		{425, updating, "", "", connector.Unknown},
		{302, updating, "text/html", page, connector.Unavailable},
		{404, updating, "application/json", own, connector.NotFound},
		{410, deleting, "application/json", own, connector.NotFound},
		{404, updating, "text/html", page, connector.Unavailable},
		{404, updating, "", "", connector.Unavailable},
		{404, updating, "application/json", `{"mess`, connector.Unavailable},
		{404, creating, "application/json", own, connector.Rejected},
		{405, updating, "application/json", own, connector.Unavailable},
		{407, updating, "application/json", own, connector.Unavailable},
		{409, creating, "application/json", own, connector.Exists},
		{409, updating, "application/json", own, connector.Busy},
		{423, updating, "application/json", own, connector.Busy},
		{400, updating, "application/json", own, connector.Rejected},
		{422, updating, "", "", connector.Rejected},
		{400, updating, "text/plain", "no", connector.Rejected},
		{400, updating, "text/html", page, connector.Unavailable},
		{200, creating, "text/html", page, connector.Unknown},
		{200, creating, "", "", connector.Unknown},
		{200, updating, "application/json", `{"a":`, connector.Unknown},
	} {
		e := c.judge(&request{verb: tt.verb, empty: tt.verb != creating}, c.read(answerOf(tt.status, tt.media, tt.body)))
		if e == nil || e.Kind != tt.want {
			t.Errorf("%d %s %q of a %v: %v, want %v", tt.status, tt.media, tt.body, tt.verb, e, tt.want)
		}
	}
	for _, q := range []*request{{verb: updating, empty: true}, {any: true}} {
		if e := c.judge(q, c.read(answerOf(204, "", ""))); e != nil {
			t.Errorf("an empty 204: %v", e)
		}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	config := &Config{Errors: Errors{Code: "/code", Rules: []Rule{
		{Status: []int{200}, At: "/ok", Value: "false", Is: "rejected"},
		{Code: []string{"LOCKED", "BUSY"}, Is: "busy"},
		{Says: "Already There", On: []string{"create"}, Is: "exists"},
		{Status: []int{400}, Header: "X-Retry", Value: "TRUE", Is: "rate_limited"},
		{Status: []int{404}, Is: "not_found"},
		{Status: []int{412}, Is: "success"},
		{At: "/gone", Is: "not_found"},
	}}}
	x := &compiler{config: config}
	c := &Connection{errors: errorPlaces{code: pointer{"code"}, rules: x.rules(nil, config.Errors.Rules)}}
	if len(x.problems) > 0 {
		t.Fatal(x.problems)
	}
	for _, tt := range []struct {
		status int
		verb   verb
		body   string
		header string
		want   string
	}{
		{200, updating, `{"ok":false,"message":"no"}`, "", "rejected"},
		{200, updating, `{"ok":true}`, "", ""},
		{500, updating, `{"code":"BUSY"}`, "", "busy"},
		{200, updating, `{"code":"BUSY"}`, "", ""}, // a rule without a status is not for successes
		{400, creating, `{"message":"it is ALREADY there"}`, "", "exists"},
		{400, updating, `{"message":"it is already there"}`, "", "rejected"},
		{400, updating, `{}`, "true", "rate limited"},
		{404, deleting, ``, "", "not found"},
		{404, deleting, `<html>`, "", "unavailable"}, // nothing is believed of a page
		{412, updating, ``, "", ""},
		{400, updating, `{"gone":1}`, "", "not found"},
		{400, updating, `{"gone":null}`, "", "rejected"},
	} {
		a := answerOf(tt.status, "", tt.body)
		a.Header.Set("X-Retry", tt.header)
		got := ""
		if e := c.judge(&request{verb: tt.verb, empty: true}, c.read(a)); e != nil {
			got = e.Kind.String()
		}
		if got != tt.want {
			t.Errorf("%d %s of a %v: %q, want %q", tt.status, tt.body, tt.verb, got, tt.want)
		}
	}
}
