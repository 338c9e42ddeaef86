package upkeep_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// Why the log is not folded shows from another process, without the value that
// the database's message quotes, and no more when it is folded.
func TestFoldThatFailsIsTold(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		s.within(3 * time.Minute)
		s.fill()
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		end, want := s.refuseFolds()
		s.exec(`update users set name = 'not folded' where id = 1`)
		another := s.engine(customerSync(s.to))
		failure := func() *upkeep.Failure {
			st, err := another.Status(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(st.Failures, func(f upkeep.Failure) bool { return f.Stage == "fold" })
			if i < 0 {
				return nil
			}
			return &st.Failures[i]
		}
		s.until("the failure to show", func() bool { return failure() != nil })
		f := failure()
		if f.Holder != e.Name() || !strings.Contains(f.Reason, want) || strings.Contains(f.Reason, "Ada") || f.At.Before(f.Since) {
			t.Errorf("the failure is %+v, want one of %s with %q", f, e.Name(), want)
		}
		findings, err := another.Condition(s.ctx)
		if err != nil || !slices.ContainsFunc(findings, func(x upkeep.Finding) bool {
			return x.Subject == "fold" && strings.Contains(x.Message, want) && strings.Contains(x.Fix, "upkeep check")
		}) {
			t.Errorf("doctor finds %+v, %v", findings, err)
		}
		s.exec(end)
		s.until("it to work again", func() bool { return failure() == nil })
		s.quiet(e)
		s.field("customer", "customer-1", "entityId", `"not folded"`)
	})
}

// refuseFolds has every fold fail until the statement end is run; an error of it
// has the text told.
func (s *shop) refuseFolds() (end, told string) {
	s.t.Helper()
	if s.app(`create trigger stands_in_the_way before delete on upkeep_touch begin select raise(abort, 'no right at all'); end`) == nil { // SQLite
		return `drop trigger stands_in_the_way`, "no right at all"
	}
	s.exec(`create function public.refuse() returns trigger language plpgsql as $$ begin
		raise exception 'invalid input: "Ada"' using errcode = '22P02'; end $$;
		create trigger stands_in_the_way before delete on upkeep.touch for each row execute function public.refuse()`)
	return `drop trigger stands_in_the_way on upkeep.touch`, "invalid text representation"
}
