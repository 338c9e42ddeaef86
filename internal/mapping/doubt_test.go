package mapping

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
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
		{`state[:1] == "x"`, ``}, {`upper(state) == "SENT"`, ``}, {`state + "x" == "sentx"`, ``},
		{`state startsWith "x"`, `17-20 orders.state can't start with "x": this is always false; it can be "draft", "sent", "cancelled"`},
		{`hasPrefix(state, "x")`, `17-20 orders.state can't start with "x"`}, {`hasSuffix(state, "d")`, ``}, {`hasSuffix(state, "x")`, `17-20 orders.state can't end with "x"`},
		{`state endsWith "led"`, ``}, {`state contains "a"`, ``}, {`state contains "x"`, `15-18 orders.state can't contain "x"`},
		{`state contains (paid ? "x" : "y")`, `6-14 orders.state can't contain "x" or "y"`}, {`state contains (paid ? "x" : "a")`, ``},
		{`state contains lang`, ``}, {`lang contains "x"`, ``}, {`"x" contains state`, ``}, {`not (state contains "x")`, `20-23 orders.state can't contain "x"`},
		{`state matches "^(draft|sent)$"`, ``}, {`state matches "^(darft)$"`, `14-25 orders.state can't match "^(darft)$": this is always false`},
		{`lower(state) == "cancled"`, `16-25 lower(orders.state) can't be "cancled": this is always false; did you mean "cancelled"?`},
		{`upper(state) == "sent"`, `16-22 upper(orders.state) can't be "sent": this is always false; did you mean "SENT"? it can be "DRAFT", "SENT", "CANCELLED"`},
		{`lower(state) in ["sent", "x"]`, `25-28 lower(orders.state) can't be "x": it is never found`}, {`lower(state) == lang`, ``}, {`lower(lang) == "X"`, ``},
		{`state == lower("SENT")`, ``}, {`state == upper("sent")`, `6-8 orders.state can't be "SENT"`}, {`trim(state) == "sent"`, ``},
		{`replace(state, "e", "a") == "sent"`, `28-34 replace(orders.state, ...) can't be "sent"`}, {`replace(state, lang, "a") == "x"`, ``},
		{`string(state) == "snet"`, `17-23 string(orders.state) can't be "snet"`}, {`split(state, ",")[0] == "x"`, ``}, {`len(state) == 99`, ``},
		{`upper(state ?? "none") == "NINE"`, `26-32 upper(orders.state) can't be "NINE"`},
		// An order of texts: of the labels of an enum, and of a list that is none.
		{`rank > "high"`, `7-13 orders.rank is compared with "high" letter by letter, and not in the order of its enum: this holds for "low", "mid"; it can be`},
		{`rank >= "mid"`, `8-13 orders.rank is compared with "mid" letter by letter, and not in the order of its enum: this holds for "mid"; to go by the enum's order, name those that are meant: in ["mid", "high"]`},
		{`"mid" <= rank`, `0-5 orders.rank is compared with "mid" letter by letter, and not in the order of its enum: this holds for "mid"; to go by the enum's order, name those that are meant: in ["mid", "high"]`},
		{`rank > "mid"`, `7-12 orders.rank is compared with "mid" letter by letter, and not in the order of its enum: this is always false; to go by the enum's order, name those that are meant: in ["high"]`},
		{`rank > "medium"`, `7-15 orders.rank is compared with "medium" letter by letter: this holds for "mid"; it can be`}, {`rank <= rank`, ``}, {`rank < lang`, ``},
		{`step < "b"`, ``}, {`step >= "b" and step != "a"`, ``}, {`step > "c"`, `7-10 orders.step is compared with "c" letter by letter: this is always false`},
		{`step >= "a"`, `8-11 orders.step is compared with "a" letter by letter: this is always true`},
		{`state > "sent"`, `8-14 orders.state is compared with "sent" letter by letter: this is always false`}, {`state < "e"`, ``},
		{`state >= "a"`, `9-12 orders.state is compared with "a" letter by letter: this is always true`}, {`note >= "a"`, ``}, {`note > "x"`, `7-10 orders.note is compared with "x" letter by letter: this is always false`},
		{`lower(rank) > "low"`, ``},
		{`reduce(lines, #acc + .kind, "") == "goodbad"`, ``}, {`state == MODE`, ``}, {`(state ?? lang) == "x"`, ``},
		{`let r = {a: state}; r.a == "x"`, `27-30 orders.state can't be "x"`},
	}
	for _, tt := range tests {
		t.Run(tt.source, func(t *testing.T) {
			t.Parallel()
			s := scope()
			own := *s.Root.Info
			own.Columns = append(slices.Clone(own.Columns), store.Column{Name: "rank", Kind: store.Text}, store.Column{Name: "step", Kind: store.Text},
				store.Column{Name: "note", Kind: store.Text, Nullable: true})
			own.Values = map[string][]string{"state": {"draft", "sent", "cancelled"}, "rank": {"low", "mid", "high"}, "step": {"a", "b", "c"}, "note": {"a", "b"}}
			own.Enums = map[string]bool{"rank": true, "step": true}
			s.Root.Info = &own
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
