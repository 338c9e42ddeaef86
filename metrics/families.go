package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/upkeep-sync/upkeep"
)

// family is what is shown under one name.
type family struct {
	name, help string
	labels     []string
	kind       prometheus.ValueType
	read       func(*view, put)
	desc       *prometheus.Desc
}

// put shows a value, with the labels of its family.
type put func(v float64, labels ...string)

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// families are all that is read from a status. Where nothing is amiss a zero
// is shown, so that an alarm has something to compare.
func families() []family {
	return slices.Concat(ofLog(), ofSyncs(), ofRemotes())
}

func ofLog() []family {
	return []family{
		{name: "upkeep_pending_touches", help: "Changes that are logged and not folded yet; 100000 stands for more, too.", kind: gauge,
			read: func(v *view, put put) { put(float64(v.Pending)) }},
		{name: "upkeep_oldest_touch_seconds", help: "Age of the oldest change that waits to be folded; 0: none does.", kind: gauge,
			read: func(v *view, put put) { put(v.OldestTouch.Seconds()) }},
		{name: "upkeep_failing_processes", help: "Processes in which a stage of the work fails as a whole.", labels: []string{"stage"}, kind: gauge, read: failing},
	}
}

// failing counts by stage, and has a zero for each of the stages that there are.
func failing(v *view, put put) {
	stages := []string{"fold", "care"}
	for _, r := range v.remotes {
		stages = append(stages, "work for "+r.Name)
	}
	count := map[string]int{}
	for _, f := range v.Failures {
		count[f.Stage]++
		if !slices.Contains(stages, f.Stage) {
			stages = append(stages, f.Stage)
		}
	}
	for _, stage := range stages {
		put(float64(count[stage]), stage)
	}
}

// bySync is a family with a value for each sync.
func bySync(kind prometheus.ValueType, name, help string, value func(syncLine) float64) family {
	return family{name: name, help: help, labels: []string{"sync"}, kind: kind, read: func(v *view, put put) {
		for _, l := range v.syncs {
			put(value(l), l.Sync)
		}
	}}
}

func ofSyncs() []family {
	return []family{
		{name: "upkeep_groups", help: "Groups by state: clean, dirty, claimed, in_doubt, waiting, parked, gone.", labels: []string{"sync", "state"}, kind: gauge, read: groups},
		bySync(gauge, "upkeep_lag_seconds", "Age of the oldest change that is folded, due to be sent and not at the remote; not of what is parked or waits for another record.",
			func(l syncLine) float64 { return l.Oldest.Seconds() }),
		bySync(gauge, "upkeep_oldest_waiting_seconds", "Age of the oldest change of a group that waits for another record.",
			func(l syncLine) float64 { return l.OldestWaiting.Seconds() }),
		bySync(counter, "upkeep_touches_total", "Touches that were folded, since the sync was installed.",
			func(l syncLine) float64 { return float64(l.Touches) }),
		bySync(counter, "upkeep_calls_total", "Calls that were made at the remote, since the sync was installed.",
			func(l syncLine) float64 { return float64(l.Calls) }),
		bySync(counter, "upkeep_saved_calls_total", "Calls that were not made, since several changes went in one or nothing differed.",
			func(l syncLine) float64 { return float64(l.Saved) }),
		bySync(gauge, "upkeep_commands", "Versions that wait, of a sync that delivers every one.",
			func(l syncLine) float64 { return float64(l.Commands) }),
		bySync(gauge, "upkeep_oldest_command_seconds", "Age of the oldest version that waits; 0: none does.",
			func(l syncLine) float64 { return l.OldestCommand.Seconds() }),
		bySync(gauge, "upkeep_gaps", "Versions that were not captured or were given up, as far back as history is kept.",
			func(l syncLine) float64 { return float64(l.Gaps) }),
		bySync(gauge, "upkeep_backfill_running", "Whether a backfill or a sweep passes over the sync's rows.",
			func(l syncLine) float64 { return number(l.Backfill.Running) }),
		bySync(gauge, "upkeep_backfill_passed_rows", "Root rows that it has passed.",
			func(l syncLine) float64 { return float64(l.Backfill.Done) }),
		bySync(gauge, "upkeep_backfill_estimated_rows", "Root rows that there are, about; 0: not known.",
			func(l syncLine) float64 { return float64(l.Backfill.Total) }),
		bySync(gauge, "upkeep_sync_held", "Whether the sync is held: its groups or its tables can't be read, or its translations do not end in this process.",
			func(l syncLine) float64 { return number(l.Held != "" || l.Backfill.Failure != "" || l.Stuck != "") }),
		bySync(gauge, "upkeep_sync_paused", "Whether a person paused the sync.",
			func(l syncLine) float64 { return number(l.paused) }),
		bySync(gauge, "upkeep_deletes_stopped", "Whether no delete of the sync goes out before a person allows it.",
			func(l syncLine) float64 { return number(l.deletesStopped) }),
		bySync(gauge, "upkeep_held_deletes", "Deletes that are held back until a person allows them.",
			func(l syncLine) float64 { return float64(l.heldDeletes) }),
	}
}

func groups(v *view, put put) {
	for _, l := range v.syncs {
		put(float64(l.Clean), l.Sync, "clean")
		put(float64(l.Dirty), l.Sync, "dirty")
		put(float64(l.Claimed), l.Sync, "claimed")
		put(float64(l.InDoubt), l.Sync, "in_doubt")
		put(float64(l.Waiting), l.Sync, "waiting")
		put(float64(l.Parked), l.Sync, "parked")
		put(float64(l.Gone), l.Sync, "gone")
		put(float64(l.Skipped), l.Sync, "skipped")
	}
}

// byRemote is a family with a value for each remote.
func byRemote(name, help string, value func(remoteLine) float64) family {
	return family{name: name, help: help, labels: []string{"remote"}, kind: gauge, read: func(v *view, put put) {
		for _, l := range v.remotes {
			put(value(l), l.Name)
		}
	}}
}

// byQuota is a family with a value for each remote that tells its quota.
func byQuota(name, help string, value func(upkeep.Quota) int64) family {
	return family{name: name, help: help, labels: []string{"remote"}, kind: gauge, read: func(v *view, put put) {
		for _, l := range v.remotes {
			if l.Quota != (upkeep.Quota{}) {
				put(float64(value(l.Quota)), l.Name)
			}
		}
	}}
}

func ofRemotes() []family {
	return []family{
		byRemote("upkeep_remote_breaker_open", "Whether the remote fails as a whole, and is only probed.",
			func(l remoteLine) float64 { return number(l.Broken) }),
		byRemote("upkeep_remote_paused", "Whether a person paused the remote.",
			func(l remoteLine) float64 { return number(l.paused) }),
		byRemote("upkeep_remote_rest_seconds", "How much longer the remote is left alone, as it asked; 0: it did not ask.",
			func(l remoteLine) float64 { return l.PausedFor.Seconds() }),
		byRemote("upkeep_remote_slots", "Calls that may be under way at once.",
			func(l remoteLine) float64 { return float64(l.Concurrency) }),
		byRemote("upkeep_remote_held_slots", "Slots that processes hold.",
			func(l remoteLine) float64 { return float64(l.InUse) }),
		byRemote("upkeep_remote_calls_under_way", "Calls under way, of all processes.",
			func(l remoteLine) float64 { return float64(l.Calls) }),
		byRemote("upkeep_remote_oldest_call_seconds", "Age of the oldest call under way; 0: none is.",
			func(l remoteLine) float64 { return l.OldestCall.Seconds() }),
		byQuota("upkeep_remote_quota_requests", "Requests that the remote allows in a while to all its users; only of a remote that tells.",
			func(q upkeep.Quota) int64 { return q.Limit }),
		byQuota("upkeep_remote_quota_used_requests", "Requests of its quota that are used; only of a remote that tells.",
			func(q upkeep.Quota) int64 { return q.Used }),
		{name: "upkeep_jobs", help: "Bulk jobs by state: open, running, done, ended.", labels: []string{"remote", "state"}, kind: gauge, read: func(v *view, put put) {
			for _, l := range v.remotes {
				for _, state := range []string{"open", "running", "done", "ended"} {
					put(float64(l.jobs[state]), l.Name, state)
				}
			}
		}},
		byRemote("upkeep_job_groups", "Groups in bulk jobs whose result is not recorded yet.",
			func(l remoteLine) float64 { return float64(l.jobGroups) }),
		byRemote("upkeep_oldest_job_seconds", "Age of the oldest bulk job; 0: there is none.",
			func(l remoteLine) float64 { return l.oldestJob.Seconds() }),
	}
}
