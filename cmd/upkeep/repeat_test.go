package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRepeatTakesNoMoreThanItsPartOfTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		failed := errors.New("failed")
		err := repeat(t.Context(), time.Second, func() (bool, error) {
			at = append(at, time.Since(began))
			switch len(at) {
			case 2:
				time.Sleep(3 * time.Second)
			case 4:
				return false, failed
			}
			return false, nil
		})
		want := []time.Duration{0, time.Second, 31 * time.Second, 32 * time.Second}
		if len(at) != 4 || at[1] != want[1] || at[2] != want[2] || at[3] != want[3] || !errors.Is(err, failed) {
			t.Errorf("looked after %v, %v; want %v and what failed", at, err, want)
		}
		ctx, stop := context.WithCancel(t.Context())
		err = repeat(ctx, time.Second, func() (bool, error) {
			stop()
			return false, failed
		})
		if err != nil {
			t.Errorf("a stop is told as %v", err)
		}
		if err := repeat(t.Context(), time.Second, func() (bool, error) { return true, nil }); err != nil {
			t.Errorf("enough is told as %v", err)
		}
	})
}
