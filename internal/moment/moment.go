// Package moment writes times and durations for people, in the one form that
// every command and every reason has.
package moment

import (
	"strings"
	"time"
)

// Of is a time as RFC 3339 has it, in UTC to the second:
// "2026-11-26T05:29:17Z". The zero time is "never".
func Of(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// Span is a duration as Go writes it, rounded so that it has at most two units,
// and without those that are zero: "0s", "340ms", "1.5s", "2m5s", "3h4m", "76h".
// What is shorter than a millisecond, and not zero, is "1ms".
func Span(d time.Duration) string {
	if d < 0 {
		return "-" + Span(-d)
	}
	switch {
	case d == 0:
		return "0s"
	case d < time.Second:
		d = max(d.Round(time.Millisecond), time.Millisecond)
	case d < 10*time.Second:
		d = d.Round(100 * time.Millisecond)
	case d < time.Hour:
		d = d.Round(time.Second)
	default:
		d = d.Round(time.Minute)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
