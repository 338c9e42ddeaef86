package upkeep_test

import (
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

// A standby can't be written: a process that is given one says so and ends, whether
// Upkeep is installed there or not, and check and doctor say what to do.
func TestAStandbyIsRefused(t *testing.T) {
	t.Parallel()
	for name, installed := range map[string]bool{"installed": true, "not installed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := pgtest.Start(t)
			s := makeShop(t, memory.Config{}, func(s *shop) { s.onURL(server.URL()) })
			s.within(3 * time.Minute)
			s.fill()
			if installed {
				e := s.engine(customerSync(s.to))
				stop := s.run(e)
				s.quiet(e)
				stop()
			}
			address := strings.Split(strings.Split(server.URL(), "@")[1], "/")[0]
			s.url = server.Follow(t, address).URL()
			e := s.engine(customerSync(s.to))
			const says, do = "this server is a standby, which can't be written", "connect to the primary"
			for what, err := range map[string]error{"run": e.Run(s.ctx), "install": e.Install(s.ctx)} {
				if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), do) {
					t.Errorf("%s: %v", what, err)
				}
			}
			found, err := e.Check(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			told := false
			for _, f := range found {
				told = told || f.Message == says && f.Fix == do
			}
			if !told {
				t.Errorf("check: %+v", found)
			}
		})
	}
}

// So is a role whose transactions only read.
func TestARoleThatOnlyReadsIsRefused(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.exec(`do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$`)
	if err := s.engine(customerSync(s.to)).Install(s.ctx); err == nil || !strings.Contains(err.Error(), `ALTER ROLE "postgres" SET default_transaction_read_only = off`) {
		t.Errorf("installed: %v", err)
	}
}
