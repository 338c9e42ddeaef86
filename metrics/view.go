package metrics

import (
	"time"

	"github.com/upkeep-sync/upkeep"
)

// view is a status with all that is of a sync, or of a remote, in its line.
type view struct {
	*upkeep.Status
	syncs   []syncLine
	remotes []remoteLine
}

type syncLine struct {
	upkeep.Counts
	paused         bool // by a person
	deletesStopped bool // until a person allows them
	heldDeletes    int64
}

type remoteLine struct {
	upkeep.RemoteStatus
	paused    bool // by a person
	jobs      map[string]int
	oldestJob time.Duration
	jobGroups int // without a result
}

func viewOf(s *upkeep.Status) *view {
	v := &view{Status: s}
	for _, c := range s.Syncs {
		line := syncLine{Counts: c}
		for _, p := range s.Pauses {
			line.paused = line.paused || p.Sync == c.Sync
		}
		for _, h := range s.HeldDeletes {
			if h.Sync == c.Sync {
				line.deletesStopped, line.heldDeletes = true, h.Held
			}
		}
		v.syncs = append(v.syncs, line)
	}
	for _, r := range s.Remotes {
		line := remoteLine{RemoteStatus: r, jobs: map[string]int{}}
		for _, p := range s.Pauses {
			line.paused = line.paused || p.Remote == r.Name
		}
		for _, j := range s.Jobs {
			if j.Remote == r.Name {
				line.jobs[j.State]++
				line.oldestJob = max(line.oldestJob, j.Age)
				line.jobGroups += j.Left
			}
		}
		v.remotes = append(v.remotes, line)
	}
	return v
}
