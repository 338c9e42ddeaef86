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
	t.null = t.null || other.null
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
	t.values, t.of = nil, ""
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
	quoted := make([]string, len(b.values))
	for i, v := range b.values {
		quoted[i] = fmt.Sprintf("%q", v)
	}
	at := n.Location()
	c.scope.Doubt(&Error{From: at.From, To: at.To,
		Message: fmt.Sprintf("%s can't be %s: %s", a.of, strings.Join(quoted, " or "), outcome), Help: holds(b.values, a.values)})
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

// holds is the help for a value that a column can't have: the nearest one, and
// those that it can.
func holds(values, all []string) string {
	const most = 12
	shown := make([]string, 0, most)
	for _, v := range all[:min(most, len(all))] {
		shown = append(shown, fmt.Sprintf("%q", v))
	}
	help := "it can be " + strings.Join(shown, ", ")
	if more := len(all) - most; more > 0 {
		help += fmt.Sprintf(" and %d more", more)
	}
	if near := spelling.Nearest(values[0], all); near != "" && len(values) == 1 {
		help = fmt.Sprintf("did you mean %q? ", near) + help
	}
	return help
}
