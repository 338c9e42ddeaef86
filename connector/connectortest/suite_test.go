package connectortest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/connectortest"
)

// typedNil is a connector with the mistake that Go makes easy.
type typedNil struct{ *Connection }

func (c typedNil) Update(ctx context.Context, remoteID string, r connector.Record) error {
	var failed *connector.Error
	if err := c.Connection.Update(ctx, remoteID, r); err != nil {
		failed = connector.AsError(err)
	}
	return failed // never a plain nil
}

// wrong says, to a process of this test, to run the suite on typedNil.
const wrong = "CONNECTORTEST_OF_A_WRONG_CONNECTOR"

func TestSuiteFindsNilErrors(t *testing.T) {
	if os.Getenv(wrong) != "" {
		connectortest.Run(t, func(t *testing.T) connectortest.Target {
			target := newTarget(t)
			target.Connection = typedNil{target.Connection.(*Connection)}
			return target
		})
		return
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), own, "-test.run=^TestSuiteFindsNilErrors$/^update_touches_only_its_fields$|^open_and_close$")
	c.Env = append(os.Environ(), wrong+"=1")
	out, err := c.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "a nil *connector.Error was returned as an error") || strings.Contains(string(out), "panic") {
		t.Errorf("the suite says: %v\n%s", err, out)
	}
}
