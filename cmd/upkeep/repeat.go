package main

import (
	"context"
	"time"
)

// looking is the part of the time that looks at how things stand may take: one in
// so many. A look counts all groups, and there may be millions.
const looking = 10

// repeat looks again and again, every so often or more rarely if a look takes
// long, until it is enough, fails, or ctx has ended, which is no error.
func repeat(ctx context.Context, every time.Duration, look func() (enough bool, err error)) error {
	for {
		began := time.Now()
		enough, err := look()
		if ctx.Err() != nil {
			return nil
		}
		if enough || err != nil {
			return err
		}
		wait := time.NewTimer(max(every, looking*time.Since(began)) - time.Since(began))
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
	}
}
