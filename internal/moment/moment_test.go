package moment

import (
	"testing"
	"time"
)

func TestOf(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 1, 2, 3, 4e8, time.FixedZone("east", 3600))
	if got := Of(at); got != "2026-11-26T00:02:03Z" {
		t.Error(got)
	}
	if got := Of(time.Time{}); got != "never" {
		t.Error(got)
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 1: "1ms", 340*time.Millisecond + 1: "340ms", 999*time.Millisecond + 6e5: "1s", time.Second: "1s", 1540 * time.Millisecond: "1.5s",
		9990 * time.Millisecond: "10s", 10*time.Second + 4e8: "10s", time.Minute: "1m", 125*time.Second + 3: "2m5s", 10 * time.Minute: "10m",
		time.Hour - 1: "1h", 90 * time.Minute: "1h30m", 3*time.Hour + 4*time.Minute + 5*time.Second: "3h4m", 76 * time.Hour: "76h",
		20*time.Hour + 10*time.Minute: "20h10m", -90 * time.Second: "-1m30s", time.Duration(-1 << 62): "-1281023h54m",
	} {
		if got := Span(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}
