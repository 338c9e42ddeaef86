package upkeep

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

const (
	refusalsTold = 10          // of one cause, one by one
	refusalsRest = time.Minute // a cause that was not met for so long is a new one
	refusalsKept = 100         // causes
)

// refusals counts the groups that were parked, by their cause, so that one cause
// does not fill the log. It is the recorder's alone.
type refusals map[string]parkings

type parkings struct {
	groups int
	last   time.Time
}

// count is how many groups one cause has parked, this one among them.
func (s refusals) count(cause string, now time.Time) int {
	x := s[cause]
	if now.Sub(x.last) > refusalsRest {
		x.groups = 0
	}
	if len(s) >= refusalsKept {
		clear(s)
	}
	s[cause] = parkings{x.groups + 1, now}
	return x.groups + 1
}

// twice says whether n is what is told one by one, twice that, four times that...
func twice(n int) bool {
	for n > refusalsTold && n%2 == 0 {
		n /= 2
	}
	return n == refusalsTold
}

// tellRefused logs which groups were parked, and why: the first of each cause,
// and how many they are by then whenever these are twice as many.
func (r *runner) tellRefused(batch []*job, stale []store.ID) {
	now := r.cfg.Clock.Now()
	for _, j := range batch {
		if j.result.Outcome != store.Refused || j.result.Reason == store.DeleteHeld || slices.Contains(stale, j.claim.ID) {
			continue
		}
		what, level, reason := j.whatRefused(), r.log.Warn, j.result.Reason
		if strings.HasPrefix(reason, store.DeletionUnseen) { // what to do is for the case that it stays so
			what, level = "the row is not there", r.log.Info
			reason = "its deletion is not folded yet, which mostly follows in a moment; if not, the group stays parked: upkeep explain " + j.claim.Args()
		}
		cause := j.cause()
		switch n := r.refused.count(j.claim.Sync+": "+cause, now); {
		case n <= refusalsTold:
			level(what, "sync", j.claim.Sync, "key", j.claim.Key, "reason", reason)
		case twice(n):
			level("parked for the same cause: so many groups by now; the others are not logged one by one: upkeep status "+j.claim.Sync+" --state parked", "sync", j.claim.Sync, "groups", n, "cause", cause)
		}
	}
}

// whatRefused says what a refusal means for the group: what lets it go again.
func (j *job) whatRefused() string {
	what := "refused"
	if _, up := isGivenUp(j.whyRefused()); up {
		what = "given up"
	}
	switch {
	case len(j.result.WaitsFor) > 0:
		return what + "; the group is parked until its data or its mapping changes, or one is there that it refers to"
	case j.command != nil:
		return "a version was " + what + "; the group is parked until the mapping changes, or a person decides: upkeep retry, or upkeep skip"
	}
	return what + "; the group is parked until its data or its mapping changes"
}

// whyRefused is the reason of a refusal without the version that it is about.
func (j *job) whyRefused() string {
	if j.command == nil {
		return j.result.Reason
	}
	return strings.TrimPrefix(j.result.Reason, refusal(j.command, ""))
}

// cause is why a job was refused, as far as that is the same for others: what
// differs between groups stands behind the first colon.
func (j *job) cause() string {
	reason := j.whyRefused()
	if last, up := isGivenUp(reason); up {
		reason = last
	}
	cause, _, _ := strings.Cut(reason, ":")
	return cause
}

// givenUpAfter begins the reason of a group that is parked though the remote has not
// refused it: it was tried as often as [Config] says.
const givenUpAfter = "given up after "

// givenUp is that reason, with what the last try met.
func givenUp(tries int, last string) string {
	if tries == 1 {
		return givenUpAfter + "1 try: " + last
	}
	return fmt.Sprintf("%s%d tries, the last one: %s", givenUpAfter, tries, last)
}

// isGivenUp says whether a reason is one of these, and what the last try met.
func isGivenUp(reason string) (last string, is bool) {
	if !strings.HasPrefix(reason, givenUpAfter) {
		return "", false
	}
	_, last, is = strings.Cut(reason, ": ")
	return last, is
}
