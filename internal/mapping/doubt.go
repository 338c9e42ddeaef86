package mapping

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/upkeep-sync/upkeep/internal/spelling"
)

// mostValues is how many texts are kept of a value that may be one of several.
const mostValues = 200

// either is the type of a value of type t or of one of the same kind.
func (t Type) either(other Type) Type {
	t.null, t.ranked = t.null || other.null, false
	if t.values == nil || other.values == nil || len(t.values)+len(other.values) > mostValues {
		return t.anything()
	}
	t.values = slices.Concat(t.values, other.values)
	if t.of == "" {
		t.of = other.of
	}
	return t
}

// anything is t without what is known of its values: of what is computed of one.
func (t Type) anything() Type {
	t.values, t.of, t.ranked = nil, "", false
	return t
}

// made is t, a text, with what is known of it when f makes it of others of which
// all is known. of is what a person calls it, with %s for the first of these that
// is a column.
func (t Type) made(of string, f func([]any) (any, error), from ...Type) Type {
	all := [][]any{{}}
	for _, x := range from {
		if len(all)*len(x.values) > mostValues {
			return t.anything()
		}
		var longer [][]any
		for _, have := range all {
			for _, v := range x.values {
				longer = append(longer, append(slices.Clip(have), v))
			}
		}
		all = longer
		if t.of == "" && x.of != "" {
			t.of = fmt.Sprintf(of, x.of)
		}
	}
	for _, args := range all {
		v, err := f(args)
		s, ok := v.(string)
		if err != nil || !ok {
			return t.anything()
		}
		if !slices.Contains(t.values, s) {
			t.values = append(t.values, s)
		}
	}
	if len(t.values) == 0 {
		return t.anything()
	}
	return t
}

// doubt reports a comparison that always comes out the same: none of the texts
// that one side writes out is one that the column on the other side can hold. It
// is no error: the label may come with the next migration.
func (c *compiler) doubt(n node, outcome string, a, b Type, sides ...node) {
	if a.of == "" {
		a, b = b, a
	}
	if c.scope.Doubt == nil || a.of == "" || b.of != "" || len(b.values) == 0 || slices.ContainsFunc(b.values, func(v string) bool { return slices.Contains(a.values, v) }) {
		return
	}
	for _, side := range sides { // the text itself, where it stands there
		if s, ok := side.(*ast.StringNode); ok {
			n = s
		}
	}
	at := n.Location()
	c.scope.Doubt(&Error{From: at.From, To: at.To,
		Message: fmt.Sprintf("%s can't be %s: %s", a.of, listed(b.values, " or "), outcome), Help: holds(b.values, a.values)})
}

// doubtIn is doubt of each element of a list that is written out, or of what is
// looked for in another one.
func (c *compiler) doubtIn(n *ast.BinaryNode, a, b Type) {
	const outcome = "it is never found"
	written, ok := n.Right.(*ast.ArrayNode)
	if a.of == "" || !ok {
		if b.kind == list {
			c.doubt(n, outcome, a, *b.elem, n.Left)
		}
		return
	}
	for _, e := range written.Nodes {
		if s, ok := e.(*ast.StringNode); ok {
			c.doubt(s, outcome, a, c.literal(s).typ)
		}
	}
}

// doubtTest is doubt of a test of a text that none of a column's values passes.
func (c *compiler) doubtTest(n node, words string, a, b Type, passes func(a, b string) bool, side node) {
	if c.scope.Doubt == nil || a.of == "" || b.of != "" || len(a.values) == 0 || len(b.values) == 0 {
		return
	}
	for _, x := range a.values {
		if slices.ContainsFunc(b.values, func(y string) bool { return passes(x, y) }) {
			return
		}
	}
	if s, ok := side.(*ast.StringNode); ok {
		n = s
	}
	at := n.Location()
	c.scope.Doubt(&Error{From: at.From, To: at.To,
		Message: fmt.Sprintf("%s can't %s %s: this is always false", a.of, words, listed(b.values, " or ")), Help: "it can be " + some(a.values)})
}

// doubtOrder is doubt of a comparison by order with a text that is written out:
// one that comes out the same for all values of the column, or for labels of an
// enum otherwise than the enum's own order has it.
func (c *compiler) doubtOrder(n *ast.BinaryNode, a, b Type, holds func(int) bool) {
	column, written, side := a, b, n.Right
	test := func(x, y int) bool { return holds(x - y) }
	if column.of == "" {
		column, written, side = b, a, n.Left
		test = func(x, y int) bool { return holds(y - x) }
	}
	if c.scope.Doubt == nil || column.of == "" || written.of != "" || len(written.values) != 1 || len(column.values) == 0 {
		return
	}
	text := written.values[0]
	rank := slices.Index(column.values, text)
	var letters, order []string // for which it holds: letter by letter, and in the enum's order
	for i, v := range column.values {
		if test(strings.Compare(v, text), 0) {
			letters = append(letters, v)
		}
		if test(i, rank) {
			order = append(order, v)
		}
	}
	outcome, help := "holds for "+some(letters), "it can be "+some(column.values)
	never, always := len(letters) == 0, len(letters) == len(column.values) && !column.null
	if never || always {
		outcome = fmt.Sprintf("is always %t", always)
	}
	how := "letter by letter"
	switch {
	case column.ranked && rank >= 0 && !slices.Equal(letters, order):
		how += ", and not in the order of its enum"
		if len(order) > 0 {
			help = fmt.Sprintf("to go by the enum's order, name those that are meant: in [%s]", listed(order, ", "))
		}
	case never, always, column.ranked && rank < 0:
	default:
		return
	}
	at := n.Location()
	if s, ok := side.(*ast.StringNode); ok {
		at = s.Location()
	}
	c.scope.Doubt(&Error{From: at.From, To: at.To, Message: fmt.Sprintf("%s is compared with %q %s: this %s", column.of, text, how, outcome), Help: help})
}

// listed are texts in quotes.
func listed(texts []string, between string) string {
	quoted := make([]string, len(texts))
	for i, s := range texts {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(quoted, between)
}

// some are the first of many texts, in quotes.
func some(all []string) string {
	const most = 12
	shown := listed(all[:min(most, len(all))], ", ")
	if more := len(all) - most; more > 0 {
		shown += fmt.Sprintf(" and %d more", more)
	}
	return shown
}

// holds is the help for a value that a column can't have: the nearest one, and
// those that it can.
func holds(values, all []string) string {
	help := "it can be " + some(all)
	if near := spelling.Nearest(values[0], all); near != "" && len(values) == 1 {
		help = fmt.Sprintf("did you mean %q? ", near) + help
	}
	return help
}
