// Package spelling finds the names that somebody may have meant.
package spelling

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// most is how many names are proposed.
const most = 3

// Alike returns up to three of the known names that differ from name in a few
// letters, the nearest first. Case does not count.
func Alike(name string, known []string) []string {
	length := utf8.RuneCountInString(name)
	limit := min(max(1, min(3, length/3)), length-1)
	type near struct {
		name     string
		distance int
	}
	var found []near
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d <= limit {
			found = append(found, near{k, d})
		}
	}
	slices.SortFunc(found, func(a, b near) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), strings.Compare(a.name, b.name))
	})
	var names []string
	for _, n := range found[:min(most, len(found))] {
		names = append(names, n.name)
	}
	return names
}

// Nearest is the first of Alike; empty when no name is near.
func Nearest(name string, known []string) string {
	if names := Alike(name, known); len(names) > 0 {
		return names[0]
	}
	return ""
}

// DidYouMean is Alike as the end of a sentence, with a space before it; empty
// when no name is near.
func DidYouMean(name string, known []string) string {
	names := Alike(name, known)
	if len(names) == 0 {
		return ""
	}
	return " (did you mean " + strings.Join(names, " or ") + "?)"
}

// longest is how many letters are compared: what is longer is no slip.
const longest = 100

// distance counts the letters to insert, drop, change or swap with their
// neighbour, to get from a to b.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	if len(s) > longest || len(t) > longest {
		return longest
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
