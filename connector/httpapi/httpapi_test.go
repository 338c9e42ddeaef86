package httpapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/httpapi"
	"github.com/upkeep-sync/upkeep/connector/httpapi/httpapitest"
)

// answering opens a connection to a server that answers all alike, and
// returns what the last request was.
func answering(t *testing.T, text string, change func(*httpapi.Config), h http.HandlerFunc) (connector.Connection, func() *http.Request) {
	t.Helper()
	seen := make(chan *http.Request, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		seen <- r
		h(w, r)
	}))
	t.Cleanup(server.Close)
	c := configured(t, text, server.URL+"/api")
	if change != nil {
		change(&c)
	}
	return open(t, c), func() *http.Request { return <-seen }
}

func ok(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"id": 7, "message": "fine"}`)
}

const simple = `
headers: {X-Source: upkeep $type, X-Key: $idempotency_key}
records:
  "*": {upsert: {path: "/r/$external_id", query: {q: "$fields.name", none: $fields.nonesuch}, body: {t: $type, "...": $fields}}}
`

func simpleRecord() connector.Record {
	return connector.Record{Type: "thing", ExternalID: "a/b c?", Generation: 1, Fields: connector.Fields{"name": json.RawMessage(`"x&y=%"`)}}
}

func TestARequest(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		auth          httpapi.Auth
		header, value string
		query         string
	}{
		"bearer":             {httpapi.Auth{Bearer: "t"}, "Authorization", "Bearer t", ""},
		"basic":              {httpapi.Auth{Basic: &httpapi.Basic{User: "u", Password: "p"}}, "Authorization", "Basic dTpw", ""},
		"a key in a header":  {httpapi.Auth{APIKey: &httpapi.APIKey{Header: "X-Api-Key", Secret: "k"}}, "X-Api-Key", "k", ""},
		"a key in the query": {httpapi.Auth{APIKey: &httpapi.APIKey{Query: "key", Secret: "k&"}}, "Authorization", "", "key=k%26&"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, seen := answering(t, simple, func(c *httpapi.Config) { c.Auth = tt.auth }, ok)
			id, err := conn.Create(t.Context(), simpleRecord())
			if err != nil || id != "7" {
				t.Fatalf("%q, %v", id, err)
			}
			r := seen()
			body, _ := io.ReadAll(r.Body)
			if r.Method != "PUT" || r.RequestURI != "/api/r/a%2Fb%20c%3F?"+tt.query+"q=x%26y%3D%25" || string(body) != `{"name":"x&y=%","t":"thing"}` {
				t.Errorf("%s %s %s", r.Method, r.RequestURI, body)
			}
			if r.Header.Get(tt.header) != tt.value || r.Header.Get("X-Source") != "upkeep thing" || !strings.HasPrefix(r.Header.Get("X-Key"), "upkeep-") ||
				r.Header.Get("Content-Type") != "application/json" || r.Header.Get("User-Agent") != "upkeep" {
				t.Errorf("headers %v", r.Header)
			}
		})
	}
}

// No error says a secret, also when the remote repeats what it got.
func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	const canary = "canary+secret/1"
	for name, change := range map[string]func(*httpapi.Config){
		"bearer": func(c *httpapi.Config) { c.Auth.Bearer = canary },
		"basic":  func(c *httpapi.Config) { c.Auth.Basic = &httpapi.Basic{User: "u", Password: canary} },
		"header": func(c *httpapi.Config) { c.Auth.APIKey = &httpapi.APIKey{Header: "X-Api-Key", Secret: canary} },
		"query":  func(c *httpapi.Config) { c.Auth.APIKey = &httpapi.APIKey{Query: "key", Secret: canary} },
		"fixed":  func(c *httpapi.Config) { c.Headers = map[string]string{"X-Auth-Key": canary} },
		"signed": func(c *httpapi.Config) {
			c.Sign = &httpapi.Sign{StandardWebhooks: &httpapi.StandardWebhooks{Secret: httpapitest.WebhookSecret}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			echo := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				_ = json.NewEncoder(w).Encode(map[string]any{"message": fmt.Sprint(r.URL, r.Header), "code": r.RequestURI})
			}
			conn, _ := answering(t, "errors: {code: /code}\n"+simple, change, echo)
			_, err := conn.Create(t.Context(), simpleRecord())
			kindOf(t, err, connector.Rejected)
			dead, _ := answering(t, simple, func(c *httpapi.Config) { change(c); c.BaseURL = "http://127.0.0.1:1" }, echo)
			_, err2 := dead.Create(t.Context(), simpleRecord())
			kindOf(t, err2, connector.Unavailable)
			for _, text := range []string{fmt.Sprintf("%v %+v", err, err), fmt.Sprintf("%v %+v", err2, err2)} {
				for _, secret := range []string{canary, "canary%2Bsecret", "dTpjYW5hcnk", "Y2FuYXJ5"} {
					if strings.Contains(text, secret) {
						t.Errorf("the error says %s", text)
					}
				}
			}
		})
	}
}

func TestNothingIsSentOfABadRecord(t *testing.T) {
	t.Parallel()
	conn, seen := answering(t, simple, nil, ok)
	for _, bad := range []connector.Record{
		{Type: "x", ExternalID: ".."},
		{Type: "x", ExternalID: "."},
		{Type: "line\nbreak", ExternalID: "a"},
		{Type: "x", ExternalID: "a", Fields: connector.Fields{"name": json.RawMessage(`{`)}},
	} {
		_, err := conn.Create(t.Context(), bad)
		kindOf(t, err, connector.Rejected)
	}
	kindOf(t, conn.Delete(t.Context(), "x", "1"), connector.Rejected)
	_, err := conn.Find(t.Context(), "x", "1")
	kindOf(t, err, connector.Rejected)
	if _, err := conn.Create(t.Context(), simpleRecord()); err != nil {
		t.Fatal(err)
	}
	if r := seen(); !strings.Contains(r.RequestURI, "a%2Fb") {
		t.Errorf("%s was sent", r.RequestURI)
	}
}

func TestRetryAfterByAnotherHeader(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	for _, tt := range []struct {
		unit, value, standard string
		want                  time.Duration
	}{
		{"", "3", "", 3 * time.Second}, {"milliseconds", "1500", "", 1500 * time.Millisecond}, {"epoch", "1700000030", "", 30 * time.Second},
		{"epoch", "1600000000", "", 0}, {"", "99999999", "", 365 * 24 * time.Hour}, {"", "soon", "", 0}, {"", "-1", "", 0}, {"", "NaN", "", 0}, {"", "3", "5", 5 * time.Second},
	} {
		conn, _ := answering(t, simple, func(c *httpapi.Config) {
			c.RetryAfter = &httpapi.RetryAfter{Header: "X-Reset", Unit: tt.unit}
			c.Clock = func() time.Time { return now }
		}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Reset", tt.value)
			if tt.standard != "" {
				w.Header().Set("Retry-After", tt.standard)
			}
			w.WriteHeader(http.StatusTooManyRequests)
		})
		_, err := conn.Create(t.Context(), simpleRecord())
		kindOf(t, err, connector.RateLimited)
		if got := connector.AsError(err).RetryAfter; got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// An upsert that was meant as an update and made a new record is told as what
// it is: of the new one only the changed fields are there.
func TestAnUpdateThatMakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ answer, text string }{
		{`{"id":"8"}`, `records: {"*": {upsert: {path: /r, body: $fields}}}`},
		{`{"id":"7","new":true}`, `records: {"*": {new: /new, upsert: {path: /r, body: $fields}}}`},
		{`{"created":true}`, `records: {"*": {id: external_id, new: /created, upsert: {path: "/r/$external_id", body: $fields}}}`},
	} {
		conn, _ := answering(t, tt.text, nil, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, tt.answer) })
		kindOf(t, conn.Update(t.Context(), "7", simpleRecord()), connector.NotFound)
		if !conn.(connector.Remaker).Remakes("x") {
			t.Errorf("%s: its updates are said to make nothing", tt.text)
		}
	}
	plain, _ := answering(t, `records: {"*": {upsert: {path: /r, body: $fields}, update: {path: "/r/$id", body: $fields}}}`, nil, http.NotFound)
	if plain.(connector.Remaker).Remakes("x") {
		t.Error("an update of its own is said to make records")
	}
	batches, _ := answering(t, `records: {"*": {id: external_id, new: /new, upsert: {path: "/r/$external_id", body: $fields},
  batch: {most: 9, upsert: {path: /b, body: {items: $changes}, change: {k: $external_id}, results: {list: /ok, key: /k}}}}}`, nil,
		func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"ok":[{"k":"a","new":true},{"k":"b","new":false}]}`)
		})
	results, err := batches.(connector.Batcher).Apply(t.Context(), "x", []connector.Change{
		{Action: connector.Update, RemoteID: "a", Record: connector.Record{Type: "x", ExternalID: "a"}},
		{Action: connector.Update, RemoteID: "b", Record: connector.Record{Type: "x", ExternalID: "b"}}})
	if err != nil || len(results) != 2 || connector.KindOf(results[0].Err) != connector.NotFound || results[1].Err != nil {
		t.Errorf("a batch of which one change made a record: %+v, %v", results, err)
	}
	conn, _ := answering(t, `records: {"*": {new: /new, upsert: {path: /r, body: $fields}}}`, nil, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"id":7,"new":false}`)
	})
	if err := conn.Update(t.Context(), "7", simpleRecord()); err != nil {
		t.Error(err)
	}
}

// What a batch's answer does not tell of is unknown, and so is what it tells
// twice.
func TestBatchAnswers(t *testing.T) {
	t.Parallel()
	const keyed = `records: {"*": {upsert: {path: /r, body: $fields}, batch: {most: 9, upsert: {path: /b, body: {items: $changes}, change: {k: $external_id},
  results: {list: /ok, key: /k}, failures: {list: /bad, key: /k}}}}}`
	const placed = `records: {"*": {upsert: {path: /r, body: $fields}, batch: {most: 9, upsert: {path: /b, body: {items: $changes}, change: {k: $external_id},
  results: {list: /ok, by_position: true}}}}}`
	// Of a change that is made by its place, and of one of which only failures are told.
	const changed = `records: {"*": {upsert: {path: /r, body: $fields}, update: {path: /r, body: $fields}, batch: {most: 9,
  upsert: {path: /b, body: {items: $changes}, change: {k: $external_id}, results: {list: /ok, by_position: true}},
  update: {path: /b, body: {items: $changes}, change: {k: $id}, results: {list: /ok, by_position: true, failed: /bad}}}}}`
	const failing = `records: {"*": {upsert: {path: /r, body: $fields}, update: {path: /r, body: $fields}, batch: {most: 9,
  upsert: {path: /b, body: {items: $changes}, change: {k: $external_id}, results: {list: /ok, by_position: true}},
  update: {path: /b, body: {items: $changes}, change: {k: $id}, match: $id, failures: {list: /bad, key: /k}}}}}`
	for _, tt := range []struct{ text, answer, want string }{
		{keyed, `{"ok":[{"k":"b","id":2},{"k":"a","id":1}]}`, "1 2"},
		{keyed, `{"ok":[{"k":"b","id":2}]}`, "outcome unknown, 2"},
		{keyed, `{}`, "outcome unknown, outcome unknown"},
		{keyed, `{"ok":[{"k":"b","id":2},{"k":"z","id":3}],"bad":[{"k":"a","message":"no"}]}`, "rejected, 2"},
		{keyed, `{"ok":[{"k":"a","id":1}],"bad":[{"k":["a","b"],"message":"no"}]}`, "outcome unknown, rejected"},
		{keyed, `{"ok":[{"k":"a"},{"k":"b","id":2}]}`, "outcome unknown, 2"},
		{keyed, `{"ok":"no list","bad":7}`, "outcome unknown, outcome unknown"},
		{placed, `{"ok":[{"id":1},{"id":2}]}`, "1 2"},
		{placed, `{"ok":[{"id":1}]}`, "outcome unknown, outcome unknown"},
		{placed, `{"ok":[{"id":1},{"id":2},{"id":3}]}`, "outcome unknown, outcome unknown"},
		{keyed, `{"ok":[{"k":"a","id":1},{"k":"b","id":2},{"k":"a","id":1}]}`, "outcome unknown, 2"},
		{keyed, `{"ok":[{"k":"a","id":1},{"k":"b","id":1}]}`, "outcome unknown, outcome unknown"},
		{keyed, `{"ok":[{"k":"y","id":1},{"k":"z","id":2}]}`, "outcome unknown, outcome unknown"},
		{placed, `{"ok":[{"id":1},{"id":1}]}`, "outcome unknown, outcome unknown"},
		{changed, `{"ok":[{"id":"A"},{"id":"B"}]}`, "A B"},
		{changed, `{"ok":[{},{"bad":true}]}`, "A, rejected"},
		{changed, `{"ok":[{"id":"B"},{"id":"A","bad":true}]}`, "outcome unknown, outcome unknown"},
		{changed, `{"ok":[{"id":"A"},{"id":"A"}]}`, "outcome unknown, outcome unknown"},
		{failing, `{}`, "A B"},
		{failing, `{"bad":[]}`, "A B"},
		{failing, `{"bad":{}}`, "A B"},
		{failing, `{"bad":false}`, "A B"},
		{failing, `{"bad":""}`, "A B"},
		{failing, `{"bad":0}`, "A B"},
		{failing, `{"bad":2}`, "outcome unknown, outcome unknown"},
		{failing, `{"bad":[{"k":"B"}]}`, "A, rejected"},
		{failing, `{"bad":[{"k":"B"},{"k":"B"}]}`, "A, outcome unknown"},
		{failing, `{"bad":[{"k":"C"}]}`, "outcome unknown, outcome unknown"},
		{failing, `{"bad":[{"k":"B"},{}]}`, "outcome unknown, rejected"},
		{failing, `{"bad":[{"k":[]}]}`, "outcome unknown, outcome unknown"},
		{failing, `{"bad":{"k":"B"}}`, "outcome unknown, outcome unknown"},
	} {
		conn, _ := answering(t, tt.text, nil, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, tt.answer) })
		action := connector.Create
		if tt.text == changed || tt.text == failing {
			action = connector.Update
		}
		results, err := conn.(connector.Batcher).Apply(t.Context(), "x", []connector.Change{
			{Action: action, RemoteID: "A", Record: connector.Record{Type: "x", ExternalID: "a"}},
			{Action: action, RemoteID: "B", Record: connector.Record{Type: "x", ExternalID: "b"}}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range results {
			word := r.RemoteID
			if r.Err != nil {
				word = connector.KindOf(r.Err).String()
			}
			got = append(got, word)
		}
		if strings.Join(got, ", ") != tt.want && strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v, want %s", tt.answer, got, tt.want)
		}
	}
}

// What 1,000 changes take of HubSpot: ten requests.
func TestHubSpotRequests(t *testing.T) {
	t.Parallel()
	account := httpapitest.NewHubSpot("email")
	server := httptest.NewServer(account)
	t.Cleanup(server.Close)
	c := example(t, "hubspot", server.URL)
	c.Auth.Bearer = httpapitest.Token
	conn := open(t, c).(connector.Batcher)
	most := conn.Batch("contacts").Most
	var changes []connector.Change
	for i := range 1000 {
		changes = append(changes, connector.Change{Record: connector.Record{Type: "contacts", ExternalID: fmt.Sprintf("a%d@example.com", i), Generation: 1,
			Fields: connector.Fields{"firstname": json.RawMessage(`"Ada"`), "phone": json.RawMessage(`null`)}}})
	}
	for len(changes) > 0 {
		results, err := conn.Apply(t.Context(), "contacts", changes[:most])
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if r.Err != nil {
				t.Fatalf("change %d: %v", i, r.Err)
			}
		}
		changes = changes[most:]
	}
	if n := len(account.Records("contacts")); n != 1000 {
		t.Errorf("%d contacts", n)
	}
	if calls := account.Calls(); len(calls) != 1 || calls["POST /crm/v3/objects/{type}/batch/upsert"] != 10 {
		t.Errorf("calls %v, want 10 of batch/upsert", calls)
	}
}

// A key that would end the text in which the remote is asked for it is refused
// before anything is sent, and foreseen.
func TestKeysBetweenQuotes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, find, path string
		refused, taken   []string
	}{
		{"a query", `{path: /search, query: {q: "tags['k']:'$external_id' and type:'$type'"}, list: /data}`, "/r",
			[]string{"x' or id:'1", `x\`, "'"}, []string{`a "b"`, "a,b/c", "tags"}},
		{"double quotes", `{path: /search, query: {q: 'key = "$external_id"'}, list: /data}`, "/r", []string{`a"b`, `a\"b`}, []string{"it's"}},
		{"more between them", `{path: /search, query: {q: "key = 'k-$external_id-$type'"}, list: /data}`, "/r", []string{"it's"}, []string{`"`}},
		{"a body", `{method: POST, path: /search, body: {filter: [{jql: "key = '$external_id'"}]}, list: /data}`, "/r", []string{"it's"}, []string{`"`}},
		{"a path", `{path: "/r(key='$external_id')"}`, "/r", []string{"it's"}, []string{`"`}},
		{"the path of an upsert", `{path: /r/$external_id}`, "/r(key='$external_id')", []string{"it's"}, []string{`"`}},
		{"none", `{path: /search, query: {key: $external_id}, list: /data}`, "/r", nil, []string{"it's", `"`, `\`}},
		{"others", `{path: /search, query: {q: "type = '$type' and key = $external_id"}, list: /data}`, "/r", nil, []string{"it's", `"`}},
		{"an apostrophe", `{path: /search, query: {q: "it's $external_id"}, list: /data}`, "/r", nil, []string{"it's", `"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _ := answering(t, `
records:
  "*":
    upsert: {path: "`+tt.path+`", body: $fields}
    find: `+tt.find+`
`, nil, ok)
			write := func(key string) (created, foreseen error) {
				r := connector.Record{Type: "thing", ExternalID: key, Generation: 1, Fields: connector.Fields{}}
				_, created = c.Create(t.Context(), r)
				return created, c.(connector.Foreseer).Foresee(connector.Change{Record: r})
			}
			for _, key := range tt.refused {
				created, foreseen := write(key)
				kindOf(t, created, connector.Rejected)
				kindOf(t, foreseen, connector.Rejected)
				_, err := c.Find(t.Context(), "thing", key)
				kindOf(t, err, connector.Rejected)
				if !strings.Contains(fmt.Sprint(foreseen), "stands between quotes") {
					t.Errorf("%q: %v", key, foreseen)
				}
			}
			for _, key := range tt.taken {
				if created, foreseen := write(key); created != nil || foreseen != nil {
					t.Errorf("%q: %v, %v", key, created, foreseen)
				}
			}
		})
	}
}

// What no request can be made of is foreseen.
func TestForesee(t *testing.T) {
	t.Parallel()
	c, _ := answering(t, `
records:
  thing:
    keys: "[a-z]+"
    upsert: {path: /r/$external_id, body: $fields}
    update: {path: "/r/$id/$fields.state", headers: {X-Name: $fields.name}, body: $fields}
`, nil, ok)
	f := c.(connector.Foreseer)
	text := func(s string) json.RawMessage { return json.RawMessage(`"` + s + `"`) }
	for want, x := range map[string]connector.Change{
		"":                      {Record: connector.Record{Type: "thing", ExternalID: "a", Fields: connector.Fields{}}},
		"does not match keys":   {Record: connector.Record{Type: "thing", ExternalID: "A"}},
		"no record type":        {Record: connector.Record{Type: "other", ExternalID: "a"}},
		"the record has no":     {Action: connector.Update, RemoteID: "7", Record: connector.Record{Type: "thing", ExternalID: "a", Fields: connector.Fields{"name": text("x")}}},
		"a header can't hold":   {Action: connector.Update, RemoteID: "7", Record: connector.Record{Type: "thing", ExternalID: "a", Fields: connector.Fields{"state": text("x"), "name": text(`a\nb`)}}},
		"which leads elsewhere": {Action: connector.Update, RemoteID: "7", Record: connector.Record{Type: "thing", ExternalID: "a", Fields: connector.Fields{"state": text(".."), "name": text("x")}}},
		"has no delete request": {Action: connector.Delete, RemoteID: "7", Record: connector.Record{Type: "thing", ExternalID: "a"}},
	} {
		err := f.Foresee(x)
		if want == "" && err != nil || want != "" && (connector.KindOf(err) != connector.Rejected || !strings.Contains(err.Error(), want)) {
			t.Errorf("%+v: %v, want %q", x, err, want)
		}
	}
}
