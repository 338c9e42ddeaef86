package demo

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// live lets the application go on until ctx ends, shows how Upkeep follows,
// waits for the rest to go out and sums up.
func (d *demo) live(ctx, life context.Context) error {
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
		d.screen.live(s, n, int(d.touches.Load()), d.calls()-d.backfilled)
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
	d.screen.say("Stopping: what is on its way goes out first, within 20 seconds; signal again to stop at once.")
	waiting, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_ = d.quiet(waiting, nil) // what is left then, the table shows
	if err := d.showTable(ctx); err != nil {
		return err
	}
	touches, calls := d.touches.Load(), d.calls()-d.backfilled
	d.screen.say("The application did %d things in %d statements: %d touches were logged, %d calls made.", d.screen.total, d.shop.statements, touches, calls)
	if d.Keep {
		d.screen.say("Everything is left as it is: %s", d.dir)
	}
	return nil
}

func (d *demo) showTable(ctx context.Context) error {
	s, err := d.engine.Status(ctx)
	if err != nil {
		return err
	}
	d.screen.say("")
	for _, line := range table(s) {
		d.screen.say("%s", line)
	}
	d.screen.say("")
	return nil
}
