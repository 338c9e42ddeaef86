package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Whatever changes what is sent, by hand, is noted: who, what, of what, also what was
// refused then. What can't be noted is not done.
func TestInterventions(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{}).in(t)
		s.users(3)
		db := &unnoted{Database: s.open()}
		e, err := upkeep.New(upkeep.Config{Database: db, By: "ann", Name: "here", Audit: -1, Logger: slog.New(slog.DiscardHandler),
			Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		did := func() (lines []string) {
			t.Helper()
			all, err := e.Interventions(s.ctx, "", "", 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range all {
				if i.By != "ann" || i.At.IsZero() {
					t.Errorf("not of ann, or at no time: %+v", i)
				}
				lines = append(lines, strings.Join(strings.Fields(fmt.Sprint(i.Did, ": ", i.Remote, i.Sync, " ", i.Key, " ", i.Detail)), " "))
			}
			return lines
		}
		if got := did(); len(got) != 1 || !strings.HasPrefix(got[0], "install: by here:") {
			t.Errorf("after the start: %q", got)
		}
		for _, c := range []struct {
			want string
			do   func() error
		}{
			{"pause: customer month end", func() error { return e.Pause(s.ctx, upkeep.Pause{Sync: "customer", Reason: "month end"}) }},
			{"resume: customer", func() error { _, err := e.Resume(s.ctx, upkeep.Pause{Sync: "customer"}); return err }},
			{"retry: customer 1", func() error { _, err := e.Retry(s.ctx, "customer", "1"); return err }},
			{"retry:", func() error { _, err := e.Retry(s.ctx, "", ""); return err }},
			{"resync: customer 2 force", func() error { return e.Resync(s.ctx, upkeep.Resync{Sync: "customer", Key: "2", Force: true}) }},
			{"resync:", func() error { return e.Resync(s.ctx, upkeep.Resync{}) }},
			{"allow deletes: customer 5", func() error { _, err := e.AllowDeletes(s.ctx, "customer", 5); return err }},
			{"fix: customer 3", func() error {
				_, err := e.Fix(s.ctx, []upkeep.Difference{{Sync: "customer", Key: "3"}})
				return err
			}},
			{"fix: customer 2 groups", func() error {
				_, err := e.Fix(s.ctx, []upkeep.Difference{{Sync: "customer", Key: "3"}, {Sync: "customer", Key: "1"}})
				return err
			}},
			{"skip: customer 1", func() error {
				if _, err := e.Skip(s.ctx, "customer", "1"); !errors.Is(err, upkeep.ErrNothingToSkip) && !errors.Is(err, upkeep.ErrClaimed) {
					return fmt.Errorf("skipped what was not refused: %w", err)
				}
				return nil
			}},
		} {
			before := len(did())
			if err := c.do(); err != nil {
				t.Errorf("%s: %v", c.want, err)
			}
			if got := did(); len(got) != before+1 || got[0] != c.want {
				t.Errorf("noted is %q, want %q", got, c.want)
			}
		}
		x, err := e.Explain(s.ctx, "customer", "2")
		if err != nil {
			t.Fatal(err)
		}
		if len(x.Interventions) != 1 || x.Interventions[0].Did != "resync" {
			t.Errorf("of the group: %+v", x.Interventions)
		}

		db.full = true
		if err := e.Pause(s.ctx, upkeep.Pause{Sync: "customer"}); !errors.Is(err, errUnnoted) {
			t.Errorf("a pause that can't be noted: %v", err)
		}
		if st, err := e.Status(s.ctx); err != nil || len(st.Pauses) != 0 {
			t.Errorf("it was done all the same: %v, %v", st.Pauses, err)
		}
	})
}

// unnoted is a database that notes nothing that is done by hand any more.
type unnoted struct {
	upkeep.Database
	full bool
}

var errUnnoted = errors.New("what is done by hand can not be noted")

func (d *unnoted) NoteIntervention(ctx context.Context, i store.Intervention) error {
	if d.full {
		return errUnnoted
	}
	return d.Database.NoteIntervention(ctx, i)
}
