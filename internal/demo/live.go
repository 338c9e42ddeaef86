package demo

import (
	"context"
	"fmt"
	"time"
)

// live lets the application go on until ctx ends, shows how Upkeep follows,
// waits for the rest to go out and sums up.
func (d *demo) live(ctx context.Context) error {
	d.screen.say("The application goes on working now, on a connection of its own.")
	looks := 200 * time.Millisecond
	if !d.Terminal {
		looks = 2 * time.Second
	}
	statements := make(chan int, 1) // the latest count
	statements <- 0
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := d.work(working, statements); err != nil {
			stop(err)
		}
	}()
	for working.Err() == nil {
		s, err := d.engine.Status(ctx)
		if err != nil {
			if working.Err() != nil {
				break
			}
			stop(err)
			break
		}
		n := <-statements
		statements <- n
		d.screen.live(s, n, int(d.touches.Load()), d.account.calls()-d.backfilled)
		pause(working, looks)
	}
	stop(nil)
	<-done
	if err := context.Cause(working); err != context.Canceled {
		return err
	}
	return d.sumUp(context.WithoutCancel(ctx))
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
	waiting, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_ = d.quiet(waiting, nil) // what is left then, the table shows
	s, err := d.engine.Status(ctx)
	if err != nil {
		return err
	}
	for _, line := range table(s) {
		d.screen.say("%s", line)
	}
	touches, calls := d.touches.Load(), d.account.calls()-d.backfilled
	d.screen.say("")
	d.screen.say("The application did %d things in %d statements. %d touches were logged, and %d calls were made.", d.screen.total, d.shop.statements, touches, calls)
	if d.Keep {
		d.screen.say("Everything is left as it is: %s", d.dir)
	}
	return nil
}
