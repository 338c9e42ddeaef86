package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func jobTests() []test {
	return []test{
		{"the backlog is counted, and lanes are claimed apart", testLanes},
		{"groups in a job are nobody else's", testJobHolds},
		{"a stale claim does not get into a job", testJobStale},
		{"a job is followed by one process at a time", testJobFollowed},
		{"groups of a job are found by name", testJobGroups},
		{"many groups in a job", testJobOfMany},
	}
}

// lane claims from one lane.
func (e *env) lane(lane store.Lane, limit int) []store.Claim {
	e.t.Helper()
	r := e.request("worker", limit)
	for i := range r.Syncs {
		r.Syncs[i].Lane = lane
	}
	c, err := e.Store.Claim(e.ctx, r)
	e.ok(err)
	return c
}

func (e *env) backlog(sync string, most int) int {
	e.t.Helper()
	n, err := e.Store.Backlog(e.ctx, sync, most)
	e.ok(err)
	return n
}

// backfilled makes a group of each user, in the backfill lane.
func (e *env) backfilled() {
	e.t.Helper()
	e.exec(shopRows...)
	e.install(e.customerShape())
	e.ok(e.Store.StartBackfill(e.ctx, "customer", "1", false, false))
	for more := true; more; {
		var err error
		more, err = e.Store.Backfill(e.ctx, e.shapes[0], 100)
		e.ok(err)
	}
}

func testLanes(e *env) {
	e.backfilled()
	all := e.backlog("customer", 1000)
	if all < 2 {
		e.t.Fatalf("%d groups in the backlog", all)
	}
	e.equal("backlog, counted up to 1", e.backlog("customer", 1), 1)
	e.equal("backlog of no sync", e.backlog("nothing", 10), 0)
	e.equal("live groups", len(e.lane(store.LiveLane, 10)), 0)
	e.exec(`UPDATE users SET name = 'new' WHERE id = 1`)
	e.fold()
	e.equal("live groups after a touch", fmt.Sprint(claimed(e.lane(store.LiveLane, 10))), "[customer/1]")
	e.equal("backlog after a touch", e.backlog("customer", 1000), all-1)
	got := e.lane(store.BackfillLane, 1000)
	e.equal("backfill groups", len(got), all-1)
	e.equal("backlog of what is claimed", e.backlog("customer", 1000), 0)
}

// jobOf puts claims into a job.
func (e *env) jobOf(holder, remoteJob string, claims ...store.Claim) (int64, []store.ID) {
	e.t.Helper()
	var groups []store.JobGroup
	for _, c := range claims {
		groups = append(groups, store.JobGroup{Key: c.Key, Epoch: c.Epoch, Generation: c.Generation, ExternalID: "ext-" + c.Key,
			RemoteID: c.RemoteID, Digests: []byte{1, 2}, Refs: []store.ID{{Sync: "a/b", Key: "1,2"}, id("c/3")}, Sent: map[store.ID]string{{Sync: "a/b", Key: "1,2"}: "r/1"}})
	}
	id, stale, err := e.Store.AddJob(e.ctx, store.Job{Remote: "erp", RemoteJob: remoteJob, Sync: "customer", RecordType: "Account",
		Action: "create", State: "open", Holder: holder}, groups, time.Minute)
	e.ok(err)
	return id, stale
}

func (e *env) onlyJob() store.Job {
	e.t.Helper()
	all, err := e.Again(e.t).Jobs(e.ctx) // as another process
	e.ok(err)
	if len(all) != 1 {
		e.t.Fatalf("jobs: %+v", all)
	}
	return all[0]
}

// testJobHolds: no lease ends, touches are kept, and the result is recorded
// under the claim's epoch.
func testJobHolds(e *env) {
	e.backfilled()
	claims := e.claim("a", 1000)
	id, stale := e.jobOf("a", "750", claims...)
	e.equal("stale", len(stale), 0)
	j := e.onlyJob()
	e.equal("job", fmtAny(j.Remote, j.RemoteJob, j.Sync, j.RecordType, j.Action, j.State, j.Rows-len(claims), j.Left-len(claims), j.Holder),
		"erp 750 customer Account create open 0 0 a")
	g := e.group("customer/1")
	e.equal("holder", g.Holder, store.JobHolder("750"))
	e.equal("lease", g.LeaseUntil.IsZero(), true)
	e.exec(`UPDATE users SET name = 'new' WHERE id = 1`)
	e.fold()
	e.Advance(48 * time.Hour)
	e.equal("claims after two days", len(e.claim("b", 1000)), 0)
	e.wantState("customer/1", store.Claimed)
	if j = e.onlyJob(); j.Age < 48*time.Hour || j.Since.IsZero() {
		e.t.Errorf("after two days the job is %s old, since %s", j.Age, j.Since)
	}
	for _, c := range claims {
		e.record(synced(c, "r-"+c.Key))
		e.ok(e.Store.LeaveJob(e.ctx, id, []string{c.Key}))
	}
	e.wantState("customer/2", store.Clean)
	e.wantState("customer/1", store.Dirty) // touched meanwhile
	if again := e.claimOne("b", "customer/1"); again.RemoteID != "r-1" || again.Backfill {
		e.t.Errorf("claimed again: %+v", again)
	}
	e.ok(e.Store.EndJob(e.ctx, id))
	e.ok(e.Store.EndJob(e.ctx, id))
	all, err := e.Store.Jobs(e.ctx)
	e.ok(err)
	e.equal("jobs", len(all), 0)
}

func testJobStale(e *env) {
	e.backfilled()
	old := e.claim("a", 2)
	e.Advance(2 * time.Minute)
	e.claim("b", 1000) // the leases had run out
	fresh := e.claim("c", 1)
	e.equal("fresh claims", len(fresh), 0)
	_, stale := e.jobOf("a", "750", old...)
	e.equal("stale", len(stale), 2)
	e.equal("rows", e.onlyJob().Rows, 0)
	e.equal("holder", e.group(old[0].ID.String()).Holder, "b")
	// What was recorded is nobody's claim.
	e.Advance(2 * time.Minute)
	c := e.claim("c", 1)[0]
	e.record(result(c, store.Released))
	id, stale := e.jobOf("c", "751", c)
	e.equal("stale", len(stale), 1)
	e.ok(e.Store.EndJob(e.ctx, id))
}

func testJobFollowed(e *env) {
	e.backfilled()
	id, _ := e.jobOf("a", "750", e.claim("a", 2)...)
	take := func(remote, holder string) *store.Job {
		e.t.Helper()
		j, err := e.Store.TakeJob(e.ctx, remote, holder, time.Minute)
		e.ok(err)
		return j
	}
	keep := func(holder string, lease time.Duration, want bool) {
		e.t.Helper()
		mine, err := e.Store.KeepJob(e.ctx, store.Job{ID: id, Holder: holder, State: "running", Processed: 7, Failed: 2, Message: "so far"}, lease)
		e.ok(err)
		e.equal("kept by "+holder, mine, want)
	}
	if j := take("erp", "b"); j != nil {
		e.t.Errorf("b took a job that a follows: %+v", j)
	}
	e.Advance(50 * time.Second)
	keep("a", time.Minute, true)
	e.Advance(50 * time.Second)
	if j := take("erp", "b"); j != nil {
		e.t.Errorf("b took a job that a keeps: %+v", j)
	}
	e.Advance(11 * time.Second)
	if j := take("other", "b"); j != nil {
		e.t.Errorf("b took another remote's job: %+v", j)
	}
	j := take("erp", "b")
	if j == nil || j.ID != id || j.RemoteJob != "750" || j.State != "running" || j.Processed != 7 || j.Failed != 2 || j.Message != "so far" ||
		j.Left != 2 || j.RecordType != "Account" || j.Holder != "b" || j.Age < time.Minute {
		e.t.Fatalf("b took %+v", j)
	}
	keep("a", time.Minute, false)
	keep("b", 0, true) // given back
	keep("b", time.Minute, false)
	e.equal("followed by", e.onlyJob().Holder, "")
	if j := take("erp", "c"); j == nil || j.Holder != "c" {
		e.t.Errorf("c took %+v", j)
	}
	if err := e.Store.EndJob(e.ctx, id); err == nil {
		e.t.Error("a job ended that has groups")
	}
	e.equal("jobs", e.onlyJob().ID, id)
}

func testJobGroups(e *env) {
	e.backfilled()
	claims := e.claim("a", 1000)
	claims[0].RemoteID = "r-0"
	id, _ := e.jobOf("a", "750", claims...)
	other, _ := e.jobOf("a", "751")
	get := func(job int64, names store.JobNames, limit int) []store.JobGroup {
		e.t.Helper()
		gs, err := e.Store.JobGroups(e.ctx, job, names, limit)
		e.ok(err)
		return gs
	}
	one := get(id, store.JobNames{External: []string{"ext-1", "unknown"}}, 10)
	if len(one) != 1 || one[0].Key != "1" || one[0].ExternalID != "ext-1" || string(one[0].Digests) != "\x01\x02" || one[0].Epoch == 0 ||
		one[0].Generation == 0 || fmt.Sprint(one[0].Refs) != "[a/b/1,2 c/3]" || one[0].Refs[0].Sync != "a/b" ||
		len(one[0].Sent) != 1 || one[0].Sent[one[0].Refs[0]] != "r/1" {
		e.t.Errorf("by external id: %+v", one)
	}
	one = get(id, store.JobNames{Remote: []string{"r-0", ""}}, 10)
	if len(one) != 1 || one[0].Key != claims[0].Key || one[0].RemoteID != "r-0" {
		e.t.Errorf("by remote id: %+v", one)
	}
	e.equal("of another job", len(get(other, store.JobNames{External: []string{"ext-1"}}, 10)), 0)
	e.equal("any", len(get(id, store.JobNames{}, 1000)), len(claims))
	e.equal("any two", len(get(id, store.JobNames{}, 2)), 2)
	e.ok(e.Store.LeaveJob(e.ctx, id, []string{"1"}))
	e.equal("one that left", len(get(id, store.JobNames{External: []string{"ext-1"}}, 10)), 0)
	e.equal("any", len(get(id, store.JobNames{}, 1000)), len(claims)-1)
}

// testJobOfMany: more than go into one statement.
func testJobOfMany(e *env) {
	e.shop(e.customerShape())
	e.exec(`INSERT INTO users (id, name) SELECT n + 1000, 'many' FROM ` + e.Row(2500) + ` AS r`)
	e.fold()
	var claims []store.Claim
	for c := e.claim("a", 500); len(c) > 0; c = e.claim("a", 500) {
		claims = append(claims, c...)
	}
	if len(claims) < 2500 {
		e.t.Fatalf("%d claims", len(claims))
	}
	claims[7].Epoch--
	claims[2000].Epoch--
	id, stale := e.jobOf("a", "750", claims...)
	want := []store.ID{claims[7].ID, claims[2000].ID}
	slices.SortFunc(stale, func(a, b store.ID) int { return slices.Index(want, a) - slices.Index(want, b) })
	e.equal("stale", fmt.Sprint(stale), fmt.Sprint(want))
	e.equal("rows", e.onlyJob().Rows, len(claims)-2)
	left, err := e.Store.JobGroups(e.ctx, id, store.JobNames{}, 10_000)
	e.ok(err)
	e.equal("groups", len(left), len(claims)-2)
	e.equal("their epoch", left[0].Epoch > 0, true)
}
