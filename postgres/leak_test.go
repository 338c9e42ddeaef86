package postgres_test

import (
	"os"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/leaktest"
)

// A database that is closed leaves no goroutine behind.
func TestMain(m *testing.M) { os.Exit(leaktest.Tests{M: m}.Run()) }
