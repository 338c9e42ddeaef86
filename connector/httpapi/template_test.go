package httpapi

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/upkeep-sync/upkeep/connector"
)

func raw(s string) json.RawMessage { return json.RawMessage(s) }

func someScope() scope {
	return scope{externalID: "order-7", recordType: "order", generation: int64(3), fields: map[string]any{
		"name": raw(`"Ada \"$id\" <a>"`), "total": raw(`12.50`), "none": raw(`null`), "paid": raw(`true`),
		"address": raw(`{"city":"Rome","zip":null}`), "lines": raw(`[{"sku":"a"}]`)}}
}

// compiled compiles a tree that has to be right.
func compiled(t *testing.T, v any) node {
	t.Helper()
	c := &compiler{}
	n := c.tree(at{"body"}, v, ofRecord)
	if len(c.problems) > 0 {
		t.Fatal(errors.Join(c.problems...))
	}
	return n
}

func TestTrees(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, template, want string }{
		{"a value itself", `{"p": "$fields", "n": "$fields.total", "g": "$generation"}`,
			`{"g":3,"n":12.50,"p":{"address":{"city":"Rome","zip":null},"lines":[{"sku":"a"}],"name":"Ada \"$id\" <a>","none":null,"paid":true,"total":12.50}}`},
		{"a text around", `"$type.$external_id: $fields.name, $fields.total $fields.none|$fields.paid"`, `"order.order-7: Ada \"$id\" <a>, 12.50 |true"`},
		{"a nested field", `["$fields.address.city", "$fields.address"]`, `["Rome",{"city":"Rome","zip":null}]`},
		{"what is absent is left out", `{"a": "$fields.nonesuch", "b": ["$fields.nonesuch", "x"], "c": "x $fields.nonesuch", "d": "$fields.name.first"}`, `{"b":["x"]}`},
		{"null is not absent", `{"a": "$fields.none"}`, `{"a":null}`},
		{"dollars", `"$$5 and $$fields $$$$"`, `"$5 and $fields $$"`},
		{"spread", `{"...": "$fields.address", "city": "Bari", "more": {"x": 1}}`, `{"city":"Bari","more":{"x":1},"zip":null}`},
		{"spread merges objects", `{"...": {"a": {"b": 1, "c": 1}}, "a": {"c": 2}}`, `{"a":{"b":1,"c":2}}`},
		{"spread of what is absent", `{"...": "$fields.nonesuch", "a": true}`, `{"a":true}`},
		{"constants", `[null, true, 7, 1.50, ""]`, `[null,true,7,1.50,""]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := parseJSON([]byte(tt.template))
			if err != nil {
				t.Fatal(err)
			}
			tree, err := compiled(t, v).tree(someScope())
			if err != nil {
				t.Fatal(err)
			}
			got, err := encodeJSON(tree)
			if err != nil || string(got) != tt.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, tt.want)
			}
		})
	}
}

func TestTreesThatFail(t *testing.T) {
	t.Parallel()
	for _, bad := range []any{"x $fields.lines", map[string]any{"...": "$fields.name"}, map[string]any{"...": []any{}}} {
		if v, err := compiled(t, bad).tree(someScope()); err == nil {
			t.Errorf("%v gives %v", bad, v)
		}
	}
	for text, offset := range map[string]int{"$": 0, "ü $nonesuch": 2, "a $ b": 2, "$Fields": 0, "$changes": 0, "$$ $$$": 5} {
		_, err := parseText(text, ofRecord)
		if err == nil || err.offset != offset {
			t.Errorf("%q: %+v, want a problem at %d", text, err, offset)
		}
	}
}

func TestForm(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"name":"a&b=c d","n":12.50,"b":true,"none":null}`:                "b=true&n=12.50&name=a%26b%3Dc+d&none=",
		`{"metadata":{"key":"v","k2":""},"items":[{"price":"x"},{"q":2}]}`: "items[0][price]=x&items[1][q]=2&metadata[k2]=&metadata[key]=v",
		`{"list":[],"object":{}}`:                                          "list=&object=",
		`{}`:                                                               "",
	} {
		got, err := encodeForm(raw(in))
		if err != nil {
			t.Fatal(err)
		}
		if plain := strings.NewReplacer("%5B", "[", "%5D", "]").Replace(string(got)); plain != want {
			t.Errorf("%s: %s, want %s", in, plain, want)
		}
	}
	for _, bad := range []string{`[1]`, `"x"`, `{"a][b":1}`, `{"a":{"b]":1}}`} {
		if got, err := encodeForm(raw(bad)); err == nil {
			t.Errorf("%s becomes %s", bad, got)
		}
	}
}

func TestPointers(t *testing.T) {
	t.Parallel()
	doc, err := parseJSON([]byte(`{"id":7,"a/b":{"~":[{"x":"y"},null]},"":true}`))
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]string{"/id": "7", "/a~1b/~0/0/x": "y", "/a~1b/~0/1": "", "/a~1b/~0/00": "", "/a~1b/~0/2": "", "/nonesuch/x": "", "/": "true", "/id/x": ""} {
		parsed, err := parsePointer(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.textIn(doc); got != want {
			t.Errorf("%s: %q, want %q", p, got, want)
		}
	}
	for _, bad := range []string{"id", "$.id", "/a~2", "/~"} {
		if _, err := parsePointer(bad); err == nil {
			t.Errorf("%q is taken for a pointer", bad)
		}
	}
}

// FuzzPointer: a pointer leads to the value that its parts name, and of any other
// text something is read or there is an error.
func FuzzPointer(f *testing.F) {
	f.Add("a/b~", "0", "/a/b")
	f.Add("", "01", "~2")
	f.Add("~1", "-1", "/~01/0")
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	f.Fuzz(func(t *testing.T, name, inner, text string) {
		if p, err := parsePointer(text); err == nil {
			_ = p.textIn(map[string]any{name: []any{text}})
		}
		p, err := parsePointer("/" + escape.Replace(name) + "/" + escape.Replace(inner))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.textIn(map[string]any{name: map[string]any{inner: "found"}}); got != "found" {
			t.Errorf("%q of %q is %q", inner, name, got)
		}
	})
}

// FuzzPath: no value leaves its place in a path.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"a", "..", ".", "", "a/b", "a?b#c", "%2e%2e", "a\\b", "ü 🚚", "\x00", "a;b", "//"} {
		f.Add(s)
	}
	path, bad := parseText("/v1/$type/keys/$external_id/lines", ofRecord)
	if bad != nil {
		f.Fatal(bad.message)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got, err := renderPath(path, scope{recordType: "order", externalID: value})
		if err != nil {
			return
		}
		u, err := url.Parse("https://api.example.com" + got + "?x=1")
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(u.EscapedPath(), "/")
		if len(parts) != 6 || parts[5] != "lines" || u.RawQuery != "x=1" || u.Fragment != "" || u.Host != "api.example.com" {
			t.Fatalf("%q leads to %s", value, u)
		}
		if back, err := url.PathUnescape(parts[4]); err != nil || back != value {
			t.Fatalf("%q arrives as %q, %v", value, back, err)
		}
		if value == "." || value == ".." || value == "" {
			t.Fatalf("%q is taken", value)
		}
	})
}

// FuzzTree: a value stands in a body as it is, and nothing else changes.
func FuzzTree(f *testing.F) {
	f.Add("a", `"b"`)
	f.Add(`"}`, `{"x":[1,2.50,null]}`)
	f.Add("$id", `"$fields"`)
	f.Add("\u2028", `1e3`)
	f.Fuzz(func(t *testing.T, text, value string) {
		if !json.Valid([]byte(value)) || !utf8.ValidString(text) {
			return
		}
		c := &compiler{}
		n := c.tree(nil, map[string]any{"mixed": "<$external_id>", "own": "$fields.x", "all": "$fields"}, ofRecord)
		tree, err := n.tree(scope{externalID: text, fields: map[string]any{"x": raw(value)}})
		if err != nil {
			t.Fatal(err)
		}
		body, err := encodeJSON(tree)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Mixed string
			Own   json.RawMessage
			All   map[string]json.RawMessage
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		want, err := encodeJSON(raw(value))
		if err != nil {
			t.Fatal(err)
		}
		if got.Mixed != "<"+text+">" || string(got.Own) != string(want) || len(got.All) != 1 || string(got.All["x"]) != string(want) {
			t.Fatalf("%q and %s make %s", text, value, body)
		}
	})
}

// FuzzParseText: what is read means what it says, and nothing panics.
func FuzzParseText(f *testing.F) {
	for _, s := range []string{"$$", "$fields.a.b.", "$id$type", "$", "a$$b$external_id", "$fields..x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, bad := parseText(s, ofUpdate)
		if bad != nil {
			if bad.offset < 0 || bad.offset > utf8.RuneCountInString(s) {
				t.Fatalf("%q: offset %d", s, bad.offset)
			}
			return
		}
		if _, err := parsed.tree(someScope()); err != nil && !isAbsent(err) && !strings.Contains(err.Error(), "$") {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

// FuzzAnswer: whatever a remote answers becomes a decision, without a panic
// and without our secrets.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", `{"results":[{"id":1,"objectWriteTraceId":"a"}],"errors":[{"context":{"ids":["b"]}}]}`)
	f.Add(207, "application/json", `{"errors":[{"message":"canary-token"}]}`)
	f.Add(500, "text/html", "<html>")
	f.Add(404, "", "")
	c := &compiler{config: &Config{BaseURL: "http://127.0.0.1", Auth: Auth{Bearer: "canary-token"}, Records: map[string]Record{"*": {
		Upsert: &Request{Path: "/x"},
		Batch: &Batch{Most: 9, Upsert: &BatchRequest{Request: Request{Path: "/x", Body: "$changes"}, Change: "$fields",
			Results: &Results{List: "/results", Key: "/objectWriteTraceId"}, Failures: &Failures{List: "/errors", Key: "/context/ids"}}},
	}}}}
	conn := c.connection()
	if len(c.problems) > 0 {
		f.Fatal(errors.Join(c.problems...))
	}
	changes := []connector.Change{{Record: connector.Record{Type: "x", ExternalID: "a"}}, {Record: connector.Record{Type: "x", ExternalID: "b"}}}
	f.Fuzz(func(t *testing.T, status int, media, body string) {
		if status < 200 || status > 599 {
			return
		}
		a := conn.read(answerOf(status, media, body))
		r := conn.records["*"]
		if e := conn.judge(r.create, a); e != nil {
			look(t, e)
		} else if _, e := r.create.id.of(a, "a"); e != nil {
			look(t, e)
		}
		q := r.batchFor(connector.Create)
		if conn.judge(q.request, a) != nil {
			return
		}
		results := conn.outcomes(r, q, a, changes, []string{"a", "b"})
		if len(results) != 2 {
			t.Fatalf("%d results", len(results))
		}
		for _, res := range results {
			if res.Err != nil {
				look(t, connector.AsError(res.Err))
			} else if res.RemoteID == "" {
				t.Fatalf("a success without an id from %s", body)
			}
		}
	})
}

func look(t *testing.T, e *connector.Error) {
	t.Helper()
	s := e.Error()
	if e.Message == "" || strings.Contains(s, "canary-token") || !utf8.ValidString(s) || len(s) > 2000 {
		t.Fatalf("the error says %q", s)
	}
}
