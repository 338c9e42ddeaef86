package mapping

import (
	"slices"

	"github.com/expr-lang/expr/ast"
)

// Reads lists what an expression names of a row, each as the way to it: a
// column, or relations and a column. It looks at the text alone, so that what it
// lists need not be there; none if the text can't be read.
func Reads(source string) [][]string {
	tree, err := parse(source)
	if err != nil {
		return nil
	}
	f := &namer{ways: map[ast.Node][]string{}}
	ast.Walk(&tree.Node, f)
	var all [][]string
	for _, n := range f.order {
		way, there := f.ways[n]
		if there && len(way) > 0 && !slices.ContainsFunc(all, func(other []string) bool { return slices.Equal(way, other) }) {
			all = append(all, way)
		}
	}
	return all
}

// namer collects names, and joins each to what it is a part of.
type namer struct {
	ways  map[ast.Node][]string
	order []ast.Node
}

func (f *namer) note(n ast.Node, way []string) {
	f.ways[n] = way
	f.order = append(f.order, n)
}

func (f *namer) Visit(n *node) {
	switch n := (*n).(type) {
	case *ast.IdentifierNode:
		if n.Value == "$env" {
			f.note(n, nil)
		} else {
			f.note(n, []string{n.Value})
		}
	case *ast.ChainNode:
		if way, known := f.ways[n.Node]; known { // a?.b is a member of it
			delete(f.ways, n.Node)
			f.note(n, way)
		}
	case *ast.MemberNode:
		way, known := f.ways[n.Node]
		name, named := n.Property.(*ast.StringNode)
		if known && named {
			delete(f.ways, n.Node)
			f.note(n, append(slices.Clone(way), name.Value))
		}
	case *ast.CallNode:
		delete(f.ways, n.Callee)
	}
}
