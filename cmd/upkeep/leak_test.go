package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/upkeep-sync/upkeep/internal/leaktest"
)

// TestMain lets scripts run this very binary as upkeep, in its own process. What
// the tests ran in this one may leave no goroutine behind.
func TestMain(m *testing.M) {
	testscript.Main(leaktest.Tests{M: m}, map[string]func(){"upkeep": main})
}
