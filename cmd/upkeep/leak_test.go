package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain lets scripts run this very binary as upkeep, in its own process. What
// the tests ran in this one may leave no goroutine behind.
func TestMain(m *testing.M) {
	testscript.Main(unleaking{m}, map[string]func(){"upkeep": main})
}

// unleaking are tests that fail when they leave a goroutine behind.
type unleaking struct{ *testing.M }

func (m unleaking) Run() int {
	code := m.M.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
