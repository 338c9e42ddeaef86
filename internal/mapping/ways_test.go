package mapping

import (
	"fmt"
	"testing"
)

func TestReads(t *testing.T) {
	for source, want := range map[string]string{
		`state != "draft"`:                           "[[state]]",
		`customer?.segment == "a" && state in ["b"]`: "[[customer segment] [state]]",
		`a.b.c > a.d and state == state`:             "[[a b c] [a d] [state]]",
		`len(lines) > 0`:                             "[[lines]]",
		`any(lines, .qty > minimum)`:                 "[[lines] [minimum]]",
		`lower(name) == "x"`:                         "[[name]]",
		`$env["Order No"] > 1`:                       "[[Order No]]",
		`lines[0].qty > 1`:                           "[[lines]]",
		`true`:                                       "[]",
		`(`:                                          "[]",
	} {
		if got := fmt.Sprint(Reads(source)); got != want {
			t.Errorf("%s reads %s, want %s", source, got, want)
		}
	}
}
