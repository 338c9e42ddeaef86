package screen

import (
	"strings"
	"testing"
)

func TestAPictureIsDrawnInItsPlace(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	s := &Screen{Out: &b, Width: 6, Height: 3}
	s.Draw([]string{"short", "too long", "below the last"})
	s.Say("for %s", "good")
	s.Raw = true
	s.Draw([]string{"a"})
	s.Draw([]string{"b"})
	want := "\x1b[2Kshort\n\x1b[2Ktoo …\n\x1b[J" + "\r\x1b[2A\x1b[J" + "for good\n" + "\x1b[2Ka\r\n\x1b[J" + "\r\x1b[1A\x1b[2Kb\r\n\x1b[J"
	if b.String() != want {
		t.Errorf("got  %q\nwant %q", b.String(), want)
	}
}

// A wide character takes two columns: a line of them is cut where it would wrap.
func TestWideCharactersAreCutInTime(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	(&Screen{Out: &b, Width: 8}).Draw([]string{"東京タワー", "東京ー", "e\u0301te\u0301 abc"})
	if want := "\x1b[2K東京タ…\n\x1b[2K東京ー\n\x1b[2Ke\u0301te\u0301 abc\n\x1b[J"; b.String() != want {
		t.Errorf("got  %q\nwant %q", b.String(), want)
	}
	for s, want := range map[string]int{"": 0, "größe": 5, "東京": 4, "🙂": 2, "ﾊ": 1, "７": 2, "e\u0301": 1} {
		if got := Columns(s); got != want {
			t.Errorf("%q takes %d columns, want %d", s, got, want)
		}
	}
	if got := Cut("東京", 3); got != "東" {
		t.Errorf("3 columns of two wide characters are %q", got)
	}
}

func TestBarsAndDigits(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := Digits(n); got != want {
			t.Errorf("Digits(%d) = %q, want %q", n, got, want)
		}
	}
	for done, want := range map[int64]int{0: 0, 5: 15, 10: 30, 99: 30, -1: 0} {
		if got := strings.Count(Bar(done, 10), "█"); got != want {
			t.Errorf("Bar(%d, 10) has %d full, want %d", done, got, want)
		}
	}
	if strings.Contains(Bar(0, 0), "·") {
		t.Error("the bar of nothing is not full")
	}
}
