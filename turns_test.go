package upkeep_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// A supervisor that starts an old configuration again and again beside a new one
// shows from any process, and no more when it has stopped.
func TestConfigurationsThatTakeTurns(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		capitals := customerSync(s.to)
		capitals.Version = "2: names in capitals"
		before, old, new := s.engine(customerSync(s.to)), s.engine(customerSync(s.to), orderSync(s.to)), s.engine(capitals, orderSync(s.to))
		turns := func() *upkeep.Finding {
			t.Helper()
			findings, err := s.engine(capitals, orderSync(s.to)).Condition(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(findings, func(f upkeep.Finding) bool { return strings.Contains(f.Message, "take turns") })
			if i < 0 {
				return nil
			}
			return &findings[i]
		}
		for _, step := range []struct {
			install *upkeep.Engine
			want    upkeep.Severity
		}{{before, ""}, {old, ""}, {old, ""}, {new, ""}, {old, upkeep.Warning}, {new, upkeep.Problem}, {new, upkeep.Problem}} {
			if err := step.install.Install(s.ctx); err != nil {
				t.Fatal(err)
			}
			f := turns()
			if f == nil && step.want != "" || f != nil && f.Severity != step.want {
				t.Fatalf("found %+v, want severity %q", f, step.want)
			}
		}
		f := turns()
		for _, part := range []string{"2 configurations", "has taken another's place 4 times since 20", ": customer;", old.Name() + " installed", new.Name() + " installed"} {
			if !strings.Contains(f.Message, part) {
				t.Errorf("the finding lacks %q: %s", part, f.Message)
			}
		}
		if !strings.Contains(f.Fix, "stop every upkeep run") {
			t.Errorf("what to do: %s", f.Fix)
		}
		if s.app("update upkeep_plans set at = at - 1000000 * 1000") != nil {
			s.exec("update upkeep.plans set at = at - interval '1000 seconds'")
		}
		if f := turns(); f != nil {
			t.Errorf("a quarter of an hour later: %+v", f)
		}
	})
}
