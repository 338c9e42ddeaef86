package upkeep_test

import (
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// An engine is ready while it is at work and looks at the log, whatever its
// remote does.
func TestReadyIsAboutThisProcessAndItsDatabase(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		s.within(3 * time.Minute)
		s.fill()
		clock := &jumping{}
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to)}, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		unready := func(want string) {
			t.Helper()
			if err := e.Ready(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("ready: %v, want one line with %q", err, want)
			}
		}
		ready := func() bool { return e.Ready() == nil }
		unready("Run is not at work")
		s.remote.FailWhen(func(memory.Request) *memory.Fault {
			return &memory.Fault{Times: -1, Err: memory.Err(connector.Unavailable)}
		})
		stop := s.run(e)
		s.until("the engine to be ready", ready)
		s.until("the remote to fail", func() bool {
			st, err := e.Status(s.ctx)
			return err == nil && st.Remotes[0].Broken
		})
		if err := e.Ready(); err != nil {
			t.Errorf("not ready since a remote fails: %v", err)
		}

		// The database refuses: one failure is no matter, a minute of them is.
		end, _ := s.refuseFolds()
		s.exec(`update users set name = 'not folded' where id = 1`)
		s.until("the fold to fail", func() bool {
			st, err := e.Status(s.ctx)
			return err == nil && len(st.Failures) > 0
		})
		if err := e.Ready(); err != nil {
			t.Errorf("not ready since one look failed: %v", err)
		}
		clock.by.Add(int64(2 * time.Minute))
		unready("last looked at 2m")
		s.exec(end)
		s.until("the engine to be ready again", ready)
		stop()
		unready("Run is not at work")
	})
}
