package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/screen"
)

// table prints rows in columns, once flush is called.
type table struct {
	w      io.Writer
	right  []bool // columns of numbers
	rows   [][]string
	widths []int
}

// newTable has a head. One that begins with > is of numbers, which stand at the
// right.
func newTable(w io.Writer, head ...string) *table {
	t := &table{w: w}
	for i, h := range head {
		name, right := strings.CutPrefix(h, ">")
		head[i], t.right = name, append(t.right, right)
	}
	t.row(head...)
	return t
}

func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = oneLine(c)
		if i == len(t.widths) {
			t.widths = append(t.widths, 0)
		}
		t.widths[i] = max(t.widths[i], screen.Columns(cells[i]))
	}
	t.rows = append(t.rows, cells)
}

func (t *table) flush() error {
	var b strings.Builder
	for _, cells := range t.rows {
		var line strings.Builder
		for i, c := range cells {
			gap := strings.Repeat(" ", t.widths[i]-screen.Columns(c))
			if i < len(t.right) && t.right[i] {
				c, gap = gap+c, ""
			}
			line.WriteString(c + gap + "  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// oneLine makes text fit a table's cell, and keeps a remote's words from
// steering the terminal.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 }), " ")
}

// indented lets the lines after the first stand below it.
func indented(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i, l := range lines {
		// Excerpts of a file keep their spaces.
		lines[i] = strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' || r == 0x7f {
				return -1
			}
			return r
		}, l)
	}
	return strings.Join(lines, "\n    ")
}

// count is "1 problem", "2 problems", "no problems".
func count(n int, what string) string {
	if n == 0 {
		return "no " + what + "s"
	}
	return number(int64(n), what)
}

// number is "1 row", "2 rows", "0 rows".
func number(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
