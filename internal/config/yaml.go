package config

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	maxSize  = 1 << 20 // of a file, in bytes
	maxDepth = 50      // of maps and lists inside each other
)

type kind int

const (
	nothing kind = iota // null, or no value
	text
	number
	boolean
	object
	sequence
)

func (k kind) String() string {
	return [...]string{"nothing", "text", "a number", "a boolean", "a map", "a list"}[k]
}

// style is how a scalar is written.
type style int

const (
	plain style = iota
	single
	double
	block // | and >
)

// value is a YAML value with its place.
type value struct {
	at      place
	kind    kind
	style   style
	text    string // of a scalar, as YAML reads it, before ${} is replaced
	entries []entry
	items   []*value
}

type entry struct {
	key   string
	at    place
	bare  bool // the key is written without quotes
	value *value
}

// get is the value of a key, or nil.
func (v *value) get(key string) *value {
	if v == nil {
		return nil
	}
	for _, e := range v.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// read parses the file into values.
func (r *reader) read(data []byte) (root *value) {
	defer func() {
		// The parser is not ours: no file may bring the process down.
		if p := recover(); p != nil {
			r.fail(place{}, "is not a YAML file that can be read", fmt.Sprint(p))
			root = nil
		}
	}()
	switch {
	case len(data) > maxSize:
		r.fail(place{}, fmt.Sprintf("is larger than %d bytes", maxSize), "a configuration is much smaller; is it the right file?")
		return nil
	case !utf8.Valid(data):
		r.fail(place{}, "is not UTF-8 text", "save it as UTF-8")
		return nil
	case tooDeep(data):
		r.fail(place{}, "opens more brackets than a configuration can have", "")
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // an editor's mark that it is UTF-8
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil
	}
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if root != nil {
			r.fail(at(doc.Body), "a second document in one file", "put everything into one document, without ---")
			return nil
		}
		root = r.value(doc.Body, 0)
	}
	if root == nil && len(r.errs) == 0 {
		r.fail(place{}, "is empty", "write source, remotes and syncs")
	}
	return root
}

// tooDeep guards the parser's recursion. Brackets in texts are counted too.
func tooDeep(data []byte) bool {
	depth := 0
	for _, c := range data {
		switch c {
		case '[', '{':
			if depth++; depth > 500 {
				return true
			}
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	return false
}

func placeOf(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{max(1, t.Position.Line), max(1, t.Position.Column)}
}

func at(n ast.Node) place {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 && !n.IsFlowStyle {
			return placeOf(n.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return placeOf(n.Key.GetToken())
	case *ast.LiteralNode:
		return placeOf(n.Start)
	}
	return placeOf(n.GetToken())
}

func (r *reader) value(n ast.Node, depth int) *value {
	v := &value{at: at(n)}
	if depth > maxDepth {
		r.fail(v.at, fmt.Sprintf("maps and lists are nested more than %d deep", maxDepth), "")
		return v
	}
	switch n := n.(type) {
	case *ast.NullNode:
		if n.GetToken().Type != token.ImplicitNullType {
			v.text = n.GetToken().Value // empty: nothing was written
		}
	case *ast.BoolNode:
		v.kind, v.text = boolean, n.GetToken().Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		v.kind, v.text = number, n.GetToken().Value
	case *ast.StringNode:
		v.kind, v.text = text, n.Value
		switch n.GetToken().Type {
		case token.SingleQuoteType:
			v.style = single
		case token.DoubleQuoteType:
			v.style = double
		}
	case *ast.LiteralNode:
		v.kind, v.text, v.style = text, n.Value.Value, block
	case *ast.MappingNode:
		v.kind = object
		for _, e := range n.Values {
			r.entry(v, e, depth)
		}
	case *ast.MappingValueNode:
		v.kind = object
		r.entry(v, n, depth)
	case *ast.SequenceNode:
		v.kind = sequence
		for _, e := range n.Values {
			v.items = append(v.items, r.value(e, depth+1))
		}
	case *ast.AnchorNode, *ast.AliasNode:
		r.fail(v.at, "anchors and aliases (& and *) are not supported", "write the value out, or put an expression that begins with & or * in quotes")
	case *ast.TagNode:
		r.fail(v.at, "tags (a value that begins with !) are not supported", "put an expression that begins with ! in quotes, or write not")
	default:
		r.fail(v.at, "is not supported in a configuration", "")
	}
	return v
}

func (r *reader) entry(v *value, e *ast.MappingValueNode, depth int) {
	p := placeOf(e.Key.GetToken())
	if _, merge := e.Key.(*ast.MergeKeyNode); merge {
		r.fail(p, "merge keys (<<) are not supported", "write the values out")
		return
	}
	var key string
	bare := true
	switch k := e.Key.(type) {
	case *ast.StringNode:
		key, bare = k.Value, k.GetToken().Type == token.StringType
	case ast.ScalarNode:
		key = k.GetToken().Value
	default:
		r.fail(p, "a key must be a simple text", "")
		return
	}
	for _, other := range v.entries {
		if other.key == key {
			r.fail(p, fmt.Sprintf("%q stands twice in this map", key), fmt.Sprintf("it is first on line %d; drop one", other.at.line))
			r.doubles++
			return
		}
	}
	v.entries = append(v.entries, entry{key, p, bare, r.value(e.Value, depth+1)})
}
