package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/moment"
)

// live lets the application go on until ctx ends, shows how Upkeep follows,
// waits for the rest to go out and sums up.
func (d *demo) live(ctx, life context.Context) error {
	d.alive.Store(true)
	d.screen.say("The application goes on working now, on a connection of its own.")
	looks := 200 * time.Millisecond
	if !d.Terminal {
		looks = 2 * time.Second
	}
	statements := make(chan int, 1) // the latest count
	statements <- 0
	working, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() {
		done <- d.work(working, statements)
		stop()
	}()
	var failed error
	for working.Err() == nil {
		s, err := d.engine.Status(life)
		if err != nil {
			failed = err
			break
		}
		n := <-statements
		statements <- n
		d.screen.live(s, d.file, tally{things: d.screen.things(), statements: n, touches: d.touches.Load(), calls: sent(s) - d.before})
		pause(working, looks)
	}
	stop()
	if err := errors.Join(failed, <-done); err != nil {
		return err
	}
	return d.sumUp(life)
}

// work does one change after another, now and then many at once.
func (d *demo) work(ctx context.Context, statements chan int) error {
	all := changes()
	for ctx.Err() == nil {
		n := 1
		if d.shop.random.IntN(20) == 0 {
			n = 25
		}
		for ; n > 0 && ctx.Err() == nil; n-- {
			// A change that was begun is finished.
			did, err := d.shop.step(context.WithoutCancel(ctx), all)
			if err != nil {
				return fmt.Errorf("the application: %w", err)
			}
			d.screen.did(did)
			<-statements
			statements <- d.shop.statements
		}
		pause(ctx, time.Duration(50+d.shop.random.IntN(400))*time.Millisecond)
	}
	return nil
}

// sumUp waits for what is on its way, for a while, and tells how it went.
func (d *demo) sumUp(ctx context.Context) error {
	d.screen.say("Stopping: what is on its way goes out first, within %s; signal again to stop at once.", moment.Span(d.leave))
	waiting, cancel := context.WithTimeout(ctx, d.leave-d.leave/4)
	defer cancel()
	err := d.quiet(waiting, nil)
	late := err != nil && !errors.Is(err, upkeep.ErrPlan) // then it is another process that sends
	s, err := d.engine.Status(ctx)
	if err != nil {
		return err
	}
	d.screen.showTable(s)
	d.screen.say("%s", tally{things: d.screen.things(), statements: d.shop.statements, touches: d.touches.Load(), calls: sent(s) - d.before})
	if late {
		d.screen.say("Not all of it went out in that time. The table has what is dirty, as a remote fails or hangs, and what is in doubt, which goes once more when its time is over. The demo ends all the same.")
	}
	if d.Keep {
		d.screen.say("Everything is left as it is: %s", d.dir)
	}
	return nil
}
