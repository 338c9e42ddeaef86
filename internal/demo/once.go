package demo

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/store"
)

const (
	rounds         = 24 // of a burst at scale 1
	differenceMost = 50 // that are listed
	longestWait    = 5 * time.Minute
)

// once is the fixed run: a burst, quiet, and the comparison of everything.
func (d *demo) once(ctx context.Context) (bool, error) {
	began := time.Now()
	if err := d.shop.burst(ctx, max(6, int(rounds*d.Scale)), d.screen.did); err != nil {
		return false, fmt.Errorf("the application: %w", err)
	}
	worked := time.Since(began)
	waiting, cancel := context.WithTimeoutCause(ctx, longestWait, fmt.Errorf("the groups did not come to rest within %s", longestWait))
	defer cancel()
	err := d.quiet(waiting, func(s *upkeep.Status) bool {
		var dirty int64
		for _, c := range s.Syncs {
			dirty += unsynced(c)
		}
		d.screen.progress("Following", max(0, d.groups()-dirty), d.groups())
		return true
	})
	if err != nil {
		return false, err
	}
	calls, touches := d.calls()-d.backfilled, d.touches.Load()
	d.screen.say("Burst: %d statements in %.1f s; %d touches were logged; the remote had it all %.1f s after the last of them",
		d.shop.statements, worked.Seconds(), touches, (time.Since(began) - worked).Seconds())
	s, err := d.engine.Status(ctx)
	if err != nil {
		return false, err
	}
	d.screen.showTable(s)
	if err := d.timeChanges(ctx); err != nil {
		return false, err
	}
	if d.meddle != nil {
		d.meddle(d.account)
	}
	f, err := d.compareAll(ctx)
	if err != nil {
		return false, err
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	d.screen.say("Memory: %d MB, with the sandbox and the application", m.Sys>>20)
	d.screen.say("")
	return d.verdict(f, calls, touches), nil
}

// findings is what the comparisons found.
type findings struct {
	groups, records         int
	differences, duplicates []string
}

// compareAll reads every record back, twice: as the mapping says, through the
// connector, and as plain SQL says, out of the sandbox.
func (d *demo) compareAll(ctx context.Context) (*findings, error) {
	f := &findings{}
	status, err := d.engine.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range status.Syncs {
		if c.Sync == "order_event" { // events can't be read back
			f.groups += int(c.Groups)
			continue
		}
		v, err := d.engine.Verify(ctx, c.Sync, func(done int) { d.screen.progress("Comparing "+c.Sync, int64(done), c.Groups) })
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", c.Sync, err)
		}
		f.groups += v.Groups
		f.records += v.Records
		for _, x := range v.Differences {
			f.differences = append(f.differences, describe(x))
		}
		for _, state := range []upkeep.State{store.Parked, store.Waiting} {
			stuck, err := d.engine.Groups(ctx, c.Sync, state, upkeep.ID{}, differenceMost)
			if err != nil {
				return nil, err
			}
			for _, g := range stuck {
				f.differences = append(f.differences, fmt.Sprintf("%s %s is %s: %s", g.Sync, g.Key, state, g.Reason))
			}
		}
	}
	want, err := d.shop.expected(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the shop's tables: %w", err)
	}
	f.differences = append(f.differences, compare(want, d.account.stored())...)
	f.duplicates = d.account.duplicates()
	if d.All {
		err = d.compareOthers(ctx, f)
	}
	return f, err
}

func describe(x upkeep.Difference) string {
	switch {
	case x.Field != "":
		return fmt.Sprintf("%s %s: %s is %s, should be %s", x.Sync, x.Key, x.Field, x.Got, x.Want)
	case x.Want == "":
		return fmt.Sprintf("%s %s: there is a record, and should be none", x.Sync, x.Key)
	case x.Got == "":
		return fmt.Sprintf("%s %s: %s", x.Sync, x.Key, x.Want)
	}
	return fmt.Sprintf("%s %s: should be %s, is %s", x.Sync, x.Key, x.Want, x.Got)
}

// compareOthers adds what the other remotes have, each with a line of its own.
func (d *demo) compareOthers(ctx context.Context, f *findings) error {
	want, err := d.shop.expectedOthers(ctx)
	if err != nil {
		return fmt.Errorf("ask the shop's tables: %w", err)
	}
	got, err := d.others.stored(ctx)
	if err != nil {
		return fmt.Errorf("ask the remotes: %w", err)
	}
	status, err := d.engine.Status(ctx)
	if err != nil {
		return err
	}
	tell := func(remote string, differences []string, syncs ...string) {
		var groups, calls int64
		for _, c := range status.Syncs {
			if slices.Contains(syncs, c.Sync) {
				groups, calls = groups+c.Groups, calls+c.Calls
			}
		}
		verdict := "in sync"
		if len(differences) > 0 {
			verdict = "NOT in sync"
		}
		d.screen.say("%-11s %s: %d groups, %d differences, %d calls since the beginning", remote+":", verdict, groups, len(differences), calls)
	}
	tell("netsuite", slices.Clone(f.differences), "customer", "sales_order", "fulfillment")
	for _, r := range []struct {
		remote string
		types  []string
		syncs  []string
	}{
		{"salesforce", []string{"Account", "Invoice__c"}, []string{"account", "invoice"}},
		{"warehouse", []string{"warehouse_users", "warehouse_orders"}, []string{"warehouse_users", "warehouse_orders"}},
		{"webhook", []string{"order event"}, []string{"order_event"}},
	} {
		var differences []string
		for _, t := range r.types {
			differences = append(differences, compare(map[string]map[string]record{t: want[t]}, got)...)
			f.records += len(got[t])
		}
		tell(r.remote, differences, r.syncs...)
		f.differences = append(f.differences, differences...)
	}
	d.screen.say("")
	return nil
}

// verdict lists what differs and ends with the one line that counts.
func (d *demo) verdict(f *findings, calls int, touches int64) bool {
	for i, x := range append(f.differences, f.duplicates...) {
		if i == differenceMost {
			d.screen.say("... and %d more", len(f.differences)+len(f.duplicates)-i)
			break
		}
		d.screen.say("%s", x)
	}
	fine := len(f.differences)+len(f.duplicates) == 0
	begin := "in sync: "
	if !fine {
		begin = "NOT in sync: "
	}
	d.screen.say("%s%d groups, %d records, %d differences, %d duplicates, %d calls for %d touches",
		begin, f.groups, f.records, len(f.differences), len(f.duplicates), calls, touches)
	return fine
}
