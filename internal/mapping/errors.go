package mapping

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Error is what is wrong in an expression, and where.
type Error struct {
	// From and To bound the place, in characters (not bytes) from the start.
	From, To int
	// Message says what is wrong.
	Message string
	// Help says what to do; may be empty.
	Help string
}

// Error is the message with its help.
func (e *Error) Error() string {
	if e.Help == "" {
		return e.Message
	}
	return e.Message + "; " + e.Help
}

// Near returns the name that was probably meant, or "" when none is close.
func Near(name string, names []string) string {
	length := utf8.RuneCountInString(name)
	best, limit := "", min(max(1, length/3), length-1)
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return n
		}
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < limit || d == limit && (best == "" || n < best) {
			best, limit = n, d
		}
	}
	return best
}

// Suggest is the help for an unknown name: the nearest one, or all of them
// when they are few.
func Suggest(name string, names []string) string {
	if near := Near(name, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(names) == 0 {
		return ""
	}
	const most = 12
	if len(names) > most {
		return fmt.Sprintf("known are %s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return "known are " + strings.Join(names, ", ")
}

// distance is the number of single letters to insert, drop, change or swap
// with their neighbour, to get from a to b.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	if len(s) > 100 || len(t) > 100 {
		return 100
	}
	before, last, row := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(s); i++ {
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(t)]
}
