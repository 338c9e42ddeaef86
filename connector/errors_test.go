package connector_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
)

func TestAsError(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	own := &connector.Error{Kind: connector.Busy, Status: 400, Code: "LOCKED", Message: "locked", Err: cause}
	for _, c := range []struct {
		err  error
		kind connector.Kind
		text string
	}{
		{own, connector.Busy, "busy (HTTP 400 LOCKED): locked: cause"},
		{fmt.Errorf("call: %w", own), connector.Busy, "busy (HTTP 400 LOCKED): locked: cause"},
		{&connector.Error{Kind: connector.Exists, Code: "DUP"}, connector.Exists, "exists (DUP)"},
		{context.DeadlineExceeded, connector.Unknown, "outcome unknown: no answer in time: context deadline exceeded"},
		{fmt.Errorf("call: %w", context.Canceled), connector.Unknown, "outcome unknown: no answer in time: call: context canceled"},
		{cause, connector.Unknown, "outcome unknown: cause"},
		{&connector.Error{}, connector.Unknown, "outcome unknown"},
		{(*connector.Error)(nil), connector.Unknown, "outcome unknown: the connector returned a nil *connector.Error as an error; when nothing failed it must return a plain nil"},
		{fmt.Errorf("call: %w", (*connector.Error)(nil)), connector.Unknown, "outcome unknown: the connector returned a nil *connector.Error as an error; when nothing failed it must return a plain nil"},
	} {
		e := connector.AsError(c.err)
		if e.Kind != c.kind || connector.KindOf(c.err) != c.kind || e.Error() != c.text {
			t.Errorf("%v: got %q, want %q", c.err, e.Error(), c.text)
		}
	}
	if connector.AsError(nil) != nil || !errors.Is(fmt.Errorf("x: %w", own), cause) {
		t.Error("nil is no error, and causes are kept")
	}
	if s := connector.Kind(99).String(); s != "Kind(99)" {
		t.Error(s)
	}
}

// A kind that there is not is the connector's mistake, and the text says so.
func TestAKindThatThereIsNot(t *testing.T) {
	t.Parallel()
	for kind, want := range map[connector.Kind]string{
		99:               "the connector returned an error of the kind 99, which there is not (HTTP 400 X): no",
		-1:               "the connector returned an error of the kind -1, which there is not (HTTP 400 X): no",
		connector.Exists: "exists (HTTP 400 X): no",
	} {
		if got := (&connector.Error{Kind: kind, Status: 400, Code: "X", Message: "no"}).Error(); got != want {
			t.Errorf("%d is told as %q, want %q", kind, got, want)
		}
	}
}
