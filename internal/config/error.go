package config

import (
	"fmt"
	"slices"
	"strings"
)

// place is a position in the file, counted from 1; columns in characters.
type place struct{ line, column int }

// Error is one problem of a configuration, with its place.
type Error struct {
	File         string
	Line, Column int // from 1; zero: the file as a whole
	Message      string
	// Help says what to do; may be empty.
	Help string
	// Excerpt is the source around the place with a caret under it, as it
	// stands in the file; values of secrets are blotted out.
	Excerpt string
}

// Error is "file:line:column: message; help", and the excerpt below.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": " + e.Message)
	if e.Help != "" {
		b.WriteString("\n  " + e.Help)
	}
	if e.Excerpt != "" {
		b.WriteString("\n" + e.Excerpt)
	}
	return b.String()
}

// Errors are all problems of a configuration, in the order of the file.
type Errors []*Error

// Error is one problem after the other.
func (e Errors) Error() string {
	var parts []string
	for _, p := range e {
		parts = append(parts, p.Error())
	}
	return strings.Join(parts, "\n")
}

// Unwrap lets errors.As find each.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, p := range e {
		out[i] = p
	}
	return out
}

// reader holds a file while it is read, and the problems found so far.
type reader struct {
	name    string
	lines   []string // of the file
	masked  []string // the same with secrets blotted out
	env     func(string) (string, bool)
	secrets []string // values that came from outside
	errs    Errors
	doubts  Errors // what is no problem and hardly meant

	failures int // how often something was wrong, also in a place that is in errs already

	doubles int // how many of errs are keys that stand twice, which keep nothing else from being read

	template bool     // what is decoded now is a template
	optional bool     // and may be empty, if it is a secret
	negative bool     // and may be less than nothing, if it is a duration
	secretly bool     // what is expanded now is a secret, so no variable in it may be empty
	general  []string // keys that stand beside those of the struct that is decoded next
}

func (r *reader) fail(at place, message, help string) {
	r.failures++
	e := r.problem(at, message, help)
	for _, other := range r.errs {
		if *other == *e {
			return
		}
	}
	r.errs = append(r.errs, e)
}

func (r *reader) problem(at place, message, help string) *Error {
	return &Error{File: r.name, Line: at.line, Column: at.column, Message: r.blot(message), Help: r.blot(help), Excerpt: r.excerpt(at)}
}

// doubt notes what is no problem and hardly meant.
func (r *reader) doubt(at place, message, help string) {
	e := r.problem(at, message, help)
	if !slices.ContainsFunc(r.doubts, func(other *Error) bool { return *other == *e }) {
		r.doubts = append(r.doubts, e)
	}
}

// take returns the problems in the order of the file, and forgets them and the
// doubts.
func (r *reader) take() Errors {
	errs := r.errs
	r.errs, r.doubts = nil, nil
	inOrder(errs)
	return errs
}

// inOrder sorts by the place in the file.
func inOrder(errs Errors) {
	slices.SortStableFunc(errs, func(a, b *Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

// blot removes the values that came from outside: an error may quote what
// somebody wrote in the file, never what the environment holds.
func (r *reader) blot(s string) string {
	for _, secret := range r.secrets {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return s
}

// excerpt shows a place: the line before it, its line, and a caret.
func (r *reader) excerpt(at place) string {
	if at.line < 1 || at.line > len(r.masked) {
		return ""
	}
	var b strings.Builder
	if at.line > 1 {
		before, _ := visible(r.masked[at.line-2], 1)
		fmt.Fprintf(&b, "  %4d | %s\n", at.line-1, before)
	}
	line, column := visible(r.masked[at.line-1], at.column)
	fmt.Fprintf(&b, "> %4d | %s\n", at.line, line)
	b.WriteString("       | " + strings.Repeat(" ", max(0, column-1)) + "^")
	return b.String()
}

const maxLine = 200 // characters shown of a line

// visible is what is shown of a line, and at which column of that another one
// of the line stands: of a long line the part around it.
func visible(line string, column int) (string, int) {
	runes := []rune(line)
	for i, c := range runes {
		if c < ' ' || c == 0x7f {
			runes[i] = ' '
		}
	}
	before, after := "", ""
	if skip := column - maxLine*3/4; len(runes) > maxLine && skip > 0 {
		skip = min(skip, len(runes)-maxLine)
		runes, column, before = runes[skip:], column-skip+1, "…"
	}
	if len(runes) > maxLine {
		runes, after = runes[:maxLine], "…"
	}
	return before + strings.TrimRight(string(runes), " ") + after, column
}
