package postgres_test

import (
	"testing"

	"go.uber.org/goleak"
)

// A database that is closed leaves no goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
