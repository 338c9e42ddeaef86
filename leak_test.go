package upkeep_test

import (
	"os"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/leaktest"
)

// No engine, and no database of its, leaves a goroutine behind when it has stopped.
func TestMain(m *testing.M) { os.Exit(leaktest.Tests{M: m}.Run()) }
