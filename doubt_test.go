package upkeep

import (
	"fmt"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// What is sent in a doubt, of a record with the fields a, b and c, of which c has
// changed since all were acknowledged.
func TestSentInDoubt(t *testing.T) {
	t.Parallel()
	secret := []byte("secret")
	unknown := &connector.Error{Kind: connector.Unknown}
	fields := connector.Fields{"a": []byte("1"), "b": []byte("2"), "c": []byte("3")}
	before := digestOf(secret, connector.Fields{"a": []byte("1"), "b": []byte("2"), "c": []byte("0")}, false)
	claim := func(epoch int64, known []byte) *job {
		j := &job{def: &definition{Mapping: Mapping{To: &Remote{}}}, claim: store.Claim{Epoch: epoch, Before: epoch - 1, RemoteID: "r", Digests: known, InDoubt: true}}
		j.record.Fields, j.digests = fields, digestOf(secret, fields, false)
		j.result.Epoch, j.result.Digests = epoch, known
		return j
	}
	lost := func(j *job, names ...string) []byte {
		j.wrote("update", only(fields, names), unknown)
		j.finish(store.Result{Outcome: store.Doubtful, Doubt: 1})
		return j.result.Digests
	}
	first := claim(5, before.bytes())
	first.claim.InDoubt = false
	known := lost(first, "b")
	if known == nil {
		t.Fatal("nothing was noted")
	}
	for name, test := range map[string]struct {
		job  func() *job
		want string
	}{
		"what may have been sent, and what has changed": {func() *job { return claim(6, known) }, "[b c]"},
		"when the doubt is over": {func() *job {
			j := claim(6, known)
			j.claim.InDoubt, j.claim.Forced = false, true
			return j
		}, "[b c]"},
		"forced by something else, in the doubt": {func() *job {
			j := claim(6, known)
			j.claim.Forced, j.claim.Whole = true, true
			return j
		}, "[a b c]"},
		"a claim in between of which nothing was recorded": {func() *job { return claim(7, known) }, "[a b c]"},
		"one of which was recorded that nothing was sent": {func() *job {
			between := claim(6, known)
			between.finish(store.Result{Outcome: store.Released})
			return claim(7, between.result.Digests)
		}, "[b c]"},
		"one that was refused": {func() *job {
			between := claim(6, known)
			between.refuse("no")
			return claim(7, between.result.Digests)
		}, "[b c]"},
		"one that sent more": {func() *job { return claim(7, lost(claim(6, known), "a")) }, "[a b c]"},
		"a try of two calls": {func() *job {
			between := claim(6, known)
			between.wrote("update", only(fields, []string{"a"}), unknown)
			return claim(7, lost(between, "c"))
		}, "[a b c]"},
		"one that was acknowledged, of which a late request may undo b": {func() *job {
			between := claim(6, known)
			between.synced("r")
			return claim(7, between.result.Digests)
		}, "[b]"},
		"one that was acknowledged after one that told nothing": {func() *job {
			between := claim(7, known)
			between.synced("r")
			return claim(8, between.result.Digests)
		}, "[a b c]"},
		"a delete whose outcome is unknown": {func() *job {
			between := claim(6, known)
			between.wrote("delete", nil, unknown)
			between.finish(store.Result{Outcome: store.Doubtful, Doubt: 1})
			return claim(7, between.result.Digests)
		}, "[a b c]"},
		"a row of a job whose outcome is unknown": {func() *job {
			between := claim(6, known)
			between.wrote("update", nil, unknown)
			between.finish(store.Result{Outcome: store.Doubtful, Doubt: 1})
			return claim(7, between.result.Digests)
		}, "[a b c]"},
		"a doubt of which nothing was noted": {func() *job { return claim(6, before.bytes()) }, "[a b c]"},
		"no record that is known": {func() *job {
			j := claim(6, known)
			j.claim.RemoteID = ""
			return j
		}, "[a b c]"},
		"a version": {func() *job {
			j := claim(6, known)
			j.command = &store.Command{}
			return j
		}, "[a b c]"},
		"a record that had come to its end": {func() *job {
			j := claim(6, known)
			j.digests.Ended = true
			return j
		}, "[a b c]"},
		"a delete that was done, before a call that was not made": {func() *job {
			between := claim(6, known)
			between.wrote("delete", nil, nil)
			between.finish(store.Result{Outcome: store.Released})
			return claim(7, between.result.Digests)
		}, "[a b c]"},
		"an update that was done, before one that was refused": {func() *job {
			between := claim(6, known)
			between.wrote("update", only(fields, []string{"a"}), nil)
			between.refuse("no")
			return claim(7, between.result.Digests)
		}, "[a b c]"},
		"a look-up": {func() *job {
			between := claim(6, known)
			between.wrote("find", nil, nil)
			between.finish(store.Result{Outcome: store.Released})
			return claim(7, between.result.Digests)
		}, "[b c]"},
		"an unknown outcome of which nothing was noted": {func() *job {
			between := claim(6, known)
			between.finish(store.Result{Outcome: store.Refused, Doubt: 1})
			return claim(7, between.result.Digests)
		}, "[a b c]"},
		"an update that may have made the record anew": {func() *job {
			j := claim(5, before.bytes())
			j.claim.InDoubt = false
			j.def = &definition{Mapping: Mapping{To: &Remote{Connection: remakes{}}}}
			j.wrote("update", only(fields, []string{"b"}), unknown)
			j.finish(store.Result{Outcome: store.Doubtful, Doubt: 1})
			return claim(6, j.result.Digests)
		}, "[a b c]"},
		"an update that made the record anew, before a create that was not made": {func() *job {
			j := claim(5, before.bytes())
			j.claim.InDoubt = false
			j.def = &definition{Mapping: Mapping{To: &Remote{Connection: remakes{}}}}
			j.wrote("update", only(fields, []string{"c"}), &connector.Error{Kind: connector.NotFound})
			j.finish(store.Result{Outcome: store.Released})
			next := claim(6, j.result.Digests)
			next.claim.InDoubt = false
			return next
		}, "[a b c]"},
		"nothing that is not surely there": {func() *job {
			all := digestOf(secret, fields, false)
			all.Doubt = 5
			return claim(6, all.bytes())
		}, "[]"},
	} {
		j := test.job()
		j.compare()
		if got := fmt.Sprint(j.changed); got != test.want || j.done != (got == "[]") {
			t.Errorf("%s: %s (done: %v), want %s", name, got, j.done, test.want)
		}
	}
	settled := claim(6, known)
	settled.claim.InDoubt, settled.claim.Forced = false, true
	settled.synced("r")
	if got, _ := parseDigests(settled.result.Digests); len(got.Fields) != 3 || got.Doubt != 0 {
		t.Errorf("after the doubt is over the group goes by %+v", got)
	}
}

// remakes is a connection whose updates are upserts.
type remakes struct{ connector.Connection }

func (remakes) Remakes(string) bool { return true }
