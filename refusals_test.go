package upkeep_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// One cause that parks very many groups does not fill the log: the first ten are
// told, then how many they are. Another cause is told beside it.
func TestOneCauseDoesNotFillTheLog(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(100)
		for i := range 100 {
			message := fmt.Sprintf("user %d is too much", i+1)
			if i == 99 {
				message = "no: an error of its own"
			}
			s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: fmt.Sprintf("customer-%d", i+1), Err: &connector.Error{Kind: connector.Rejected, Status: 400 + i/99, Message: message}})
		}
		log := new(safeBuffer)
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Logger: slog.New(slog.NewTextHandler(log, nil)), Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		s.within(3 * time.Minute) // what was recorded is told a moment later
		s.until("all to be told", func() bool {
			text := log.String()
			return strings.Contains(text, "groups=80 ") && strings.Contains(text, "an error of its own")
		})
		var told []string
		for _, line := range strings.Split(log.String(), "\n") {
			if strings.Contains(line, "level=WARN") && !strings.Contains(line, "an error of its own") {
				told = append(told, line)
			}
		}
		if len(told) != 13 || strings.Contains(told[9], "so many groups") || !strings.Contains(told[10], "groups=20 ") || !strings.Contains(told[12], "groups=80 ") {
			t.Errorf("the log has, of 99 groups with one cause, %d lines:\n%s", len(told), strings.Join(told, "\n"))
		}
		if i := slices.IndexFunc(told, func(l string) bool { return strings.Contains(l, "upkeep status customer --state parked") }); i != 10 {
			t.Errorf("where the others are to be seen is told at line %d", i)
		}
	})
}
