package upkeep_test

import (
	"testing"

	"go.uber.org/goleak"
)

// No engine, and no database of its, leaves a goroutine behind when it has stopped.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
