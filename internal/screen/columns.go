package screen

import (
	"unicode"

	"golang.org/x/text/width"
)

// Columns is how many columns of a terminal text takes: two for a character of
// Chinese, Japanese or Korean and for an emoji, none for a mark on another one.
func Columns(s string) (n int) {
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

// Cut is the beginning of text that takes so many columns at most.
func Cut(s string, most int) string {
	for i, r := range s {
		if most -= columnsOf(r); most < 0 {
			return s[:i]
		}
	}
	return s
}

func columnsOf(r rune) int {
	if r < unicode.MaxASCII {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}
