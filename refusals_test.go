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

// A group that is parked since it was tried often enough is not told as refused: its
// reason and the log say that it was given up, after how many tries, and what the
// last one met.
func TestAGroupThatIsGivenUpSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		fault memory.Fault
		most  int
		want  string
	}{
		"busy":                 {memory.Fault{On: memory.Create, Err: memory.Err(connector.Busy)}, 3, "given up after 3 tries, the last one: busy: the test remote was told to fail"},
		"busy, one try":        {memory.Fault{On: memory.Create, Err: memory.Err(connector.Busy)}, 1, "given up after 1 try: busy: the test remote was told to fail"},
		"an unknown outcome":   {memory.Fault{On: memory.Create, Err: memory.Err(connector.Unknown)}, 1, "given up after 1 try: outcome unknown: the test remote was told to fail"},
		"a look-up":            {memory.Fault{On: memory.Find, Err: memory.Err(connector.Unknown)}, 1, "given up after 1 try: outcome unknown: the test remote was told to fail"},
		"refused, by contrast": {memory.Fault{On: memory.Create, Err: memory.Err(connector.Rejected)}, 3, "rejected: the test remote was told to fail"},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
				s := newShop(memory.Config{Class: connector.Lookup})
				s.users(1)
				c.fault.Times = -1
				s.remote.Fail(c.fault)
				log := new(safeBuffer)
				e, err := upkeep.New(upkeep.Config{Database: s.open(), Logger: slog.New(slog.NewTextHandler(log, nil)), Syncs: []upkeep.AnySync{customerSync(s.to)},
					MaxAttempts: c.most, Random: func() float64 { return -0.49 }})
				if err != nil {
					t.Fatal(err)
				}
				s.run(e)
				s.within(3 * time.Minute)
				x := s.state(e, "customer", "1", upkeep.Parked)
				if x.Group.Reason != c.want {
					t.Errorf("the reason is %q, want %q", x.Group.Reason, c.want)
				}
				if !strings.HasPrefix(x.Why, "parked: "+c.want+"; it goes again when") {
					t.Error(x.Why)
				}
				what, _, _ := strings.Cut(c.want, " after ")
				what = strings.ReplaceAll(what, "rejected: the test remote was told to fail", "refused")
				s.until("the log", func() bool { return strings.Contains(log.String(), " reason=") })
				if said := fmt.Sprintf("msg=%q sync=customer key=1 reason=%q", what+"; the group is parked until its data or its mapping changes", c.want); !strings.Contains(log.String(), said) {
					t.Errorf("the log lacks %s:\n%s", said, log)
				}
			})
		})
	}
}

// A connector whose error has a kind that there is not is told so: the record is
// parked, as what the connector meant is not known.
func TestAKindThatThereIsNotIsToldAsTheConnectors(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(1)
		s.remote.Fail(memory.Fault{On: memory.Create, Err: &connector.Error{Kind: 99, Message: "locked"}})
		e := s.engine(customerSync(s.to))
		s.run(e)
		if x := s.state(e, "customer", "1", upkeep.Parked); x.Group.Reason != "the connector returned an error of the kind 99, which there is not: locked" {
			t.Errorf("the reason is %q", x.Group.Reason)
		}
	})
}
