package mapping

import (
	"fmt"
	"strings"
	"testing"
)

// A comparison with a text that the column can't hold is told, with those that it
// can; one with what is not known to be one is not.
func TestDoubt(t *testing.T) {
	t.Parallel()
	tests := []struct{ source, want string }{
		{`state == "sent"`, ``},
		{`state == "cancled"`, `9-18 orders.state can't be "cancled": this is always false; did you mean "cancelled"? it can be "draft", "sent", "cancelled"`},
		{`"cancled" != state`, `0-9 orders.state can't be "cancled": this is always true`},
		{`not (state == "x")`, `14-17 orders.state can't be "x": this is always false; it can be "draft", "sent", "cancelled"`},
		{`state in ["sent", "cancled", "x", ref_no]`, `18-27 orders.state can't be "cancled": it is never found|29-32 orders.state can't be "x": it is never found`},
		{`state not in ["snet"]`, `14-20 orders.state can't be "snet": it is never found; did you mean "sent"?`},
		{`let all = ["x", "y"]; state in all`, `28-30 orders.state can't be "x" or "y": it is never found`},
		{`let all = ["x", "sent"]; state in all`, ``},
		{`"x" in [state]`, `0-3 orders.state can't be "x": it is never found`},
		{`state == "draft" ? 1 : state == "snet" ? 2 : 3`, `32-38 orders.state can't be "snet"`},
		{`let s = state; s == "x"`, `20-23 orders.state can't be "x"`},
		{`state == (paid ? "x" : "sent")`, ``},
		{`state == (paid ? "x" : "y")`, `6-8 orders.state can't be "x" or "y"`},
		{`(state ?? "none") == "none"`, ``},
		{`(state ?? "none") == "nine"`, `21-27 orders.state can't be "nine"`},
		{`count(lines, .kind == "gold")`, `22-28 line_items.kind can't be "gold": this is always false; did you mean "good"? it can be "good", "bad"`},
		{`find(lines, .kind == "bad").kind == "good"`, ``},
		{`"gold" in map(lines, .kind)`, `0-6 line_items.kind can't be "gold": it is never found; did you mean "good"?`},
		{`state == nil`, ``}, {`state == ref_no`, ``}, {`state == lang`, ``}, {`lang == "x"`, ``}, {`"a" == "b"`, ``}, {`state == string(id)`, ``}, {`meta.x == "x"`, ``},
		{`state[:1] == "x"`, ``}, {`upper(state) == "SENT"`, ``}, {`state + "x" == "sentx"`, ``}, {`state startsWith "x"`, ``},
		{`reduce(lines, #acc + .kind, "") == "goodbad"`, ``}, {`state == MODE`, ``}, {`(state ?? lang) == "x"`, ``},
		{`let r = {a: state}; r.a == "x"`, `27-30 orders.state can't be "x"`},
	}
	for _, tt := range tests {
		t.Run(tt.source, func(t *testing.T) {
			t.Parallel()
			s := scope()
			s.Root.Info.Values = map[string][]string{"state": {"draft", "sent", "cancelled"}}
			s.Root.Members["lines"].Info = info("line_items", "id:int", "kind:text")
			s.Root.Members["lines"].Info.Values = map[string][]string{"kind": {"good", "bad"}}
			s.Constants = map[string]string{"MODE": "x"}
			var got []string
			s.Doubt = func(e *Error) { got = append(got, fmt.Sprintf("%d-%d %v", e.From, e.To, e)) }
			if _, errs := s.Compile(tt.source, Value); len(errs) > 0 {
				t.Fatal(errs)
			}
			want := strings.Split(tt.want, "|")
			if tt.want == "" {
				want = nil
			}
			if len(got) != len(want) {
				t.Fatalf("got %q, want %q", got, want)
			}
			for i, w := range want {
				if !strings.HasPrefix(got[i], w) {
					t.Errorf("got %q, want %q", got[i], w)
				}
			}
		})
	}
}
