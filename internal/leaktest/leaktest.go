// Package leaktest looks for goroutines that tests leave behind.
package leaktest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is for what is about to end on a machine that has much to do.
const patience = 30 * time.Second

// Tests are the tests of a package, which fail when a goroutine is left behind.
type Tests struct{ *testing.M }

// Run runs the tests and returns the exit status.
func (t Tests) Run() int {
	status := t.M.Run()
	if status != 0 {
		return status
	}
	deadline := time.Now().Add(patience)
	err := goleak.Find()
	for err != nil && time.Now().Before(deadline) {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
