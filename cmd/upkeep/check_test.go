package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
)

// Of an examination that did not come to its end what was found is printed, but not as
// JSON, and the command fails.
func TestExaminationThatEndedEarly(t *testing.T) {
	found := []upkeep.Finding{{Severity: upkeep.Warning, Subject: "orders.user_id", Message: "no index", Fix: "CREATE INDEX"}}
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		err := reportExamined(&program{out: &out}, found, context.Canceled, asJSON)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		want := "warning: orders.user_id: no index\n    CREATE INDEX\nthat is what was found before the examination ended\n"
		if asJSON {
			want = ""
		}
		if out.String() != want {
			t.Errorf("JSON %t: got %q, want %q", asJSON, &out, want)
		}
	}
	var out bytes.Buffer
	if err := reportExamined(&program{out: &out}, found, nil, false); err != nil || !strings.HasSuffix(out.String(), "no problems, 1 warning\n") {
		t.Errorf("of a whole one: %v, %q", err, &out)
	}
}
