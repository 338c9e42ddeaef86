package mapping

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// maxLength of an expression, in bytes: it keeps the parser's recursion small.
const maxLength = 10_000

// Scope is what expressions may name.
type Scope struct {
	// Root is the root table with its relations. Nil: there is no row to
	// read, and expressions are constants.
	Root *Table
	// Sync returns the key columns of a sync that ref may name (none: they
	// are not known, and not checked), or why it may not be named. Nil: ref
	// can't be used.
	Sync func(name string) ([]store.Column, *Error)
	// Ref makes the value of ref(sync, key...); no key is nil.
	Ref func(sync string, key ...any) any
	// Constants are texts that expressions may name.
	Constants map[string]string
	// Literal may replace the text of a string literal. Nil: as it is.
	Literal func(string) string
	// Doubt is told what is no error and hardly meant: a text that a column can't
	// hold. Nil: nobody is.
	Doubt func(*Error)
}

// Want is what an expression must give.
type Want int

const (
	// Value: anything that can be sent.
	Value Want = iota
	// Condition: a boolean; null counts as false.
	Condition
	// Name: a text that is never null.
	Name
	// Origin: a reference.
	Origin
)

// Expression is compiled. It is safe for concurrent use.
type Expression struct {
	run    eval
	typ    Type
	want   Want
	slots  int
	refers []string
}

// RefersTo lists the syncs that ref names, sorted.
func (e *Expression) RefersTo() []string { return e.refers }

// Type is what the expression gives, in words.
func (e *Expression) Type() string { return e.typ.String() }

// Compile checks and compiles an expression. It returns every problem that it
// finds, and notes in the scope's tables what the expression reads.
func (s *Scope) Compile(source string, want Want) (e *Expression, errs []*Error) {
	defer func() {
		// The parser is not ours: whatever it does, a configuration must not
		// bring the process down.
		if r := recover(); r != nil {
			e, errs = nil, []*Error{{Message: "can't be read as an expression", Help: fmt.Sprint(r)}}
		}
	}()
	tree, failed := parse(source)
	if failed != nil {
		return nil, []*Error{failed}
	}
	c := &compiler{scope: s, functions: functions, source: []rune(source), refers: map[string]bool{}}
	code := c.compile(tree.Node)
	c.result(tree.Node, code.typ, want)
	if len(c.errs) > 0 {
		return nil, c.errs
	}
	code.typ.widen()
	return &Expression{
		run: code.run, typ: code.typ, want: want, slots: c.slots,
		refers: slices.Sorted(maps.Keys(c.refers)),
	}, nil
}

// Named is a sync that an expression names, and where.
type Named struct {
	Sync     string
	From, To int // as in [Error]
}

// Parse reads an expression without checking it against tables, and returns
// the syncs that it names.
func Parse(source string) (refs []Named, err *Error) {
	defer func() {
		if r := recover(); r != nil {
			refs, err = nil, &Error{Message: "can't be read as an expression", Help: fmt.Sprint(r)}
		}
	}()
	tree, err := parse(source)
	if err != nil {
		return nil, err
	}
	f := &finder{}
	ast.Walk(&tree.Node, f)
	return f.refs, nil
}

// finder collects the first arguments of ref.
type finder struct{ refs []Named }

func (f *finder) Visit(n *node) {
	call, ok := (*n).(*ast.CallNode)
	if !ok || len(call.Arguments) == 0 {
		return
	}
	callee, _ := call.Callee.(*ast.IdentifierNode)
	name, ok := call.Arguments[0].(*ast.StringNode)
	if ok && callee != nil && callee.Value == "ref" {
		at := name.Location()
		f.refs = append(f.refs, Named{name.Value, at.From, at.To})
	}
}

func parse(source string) (*parser.Tree, *Error) {
	if len(source) > maxLength {
		return nil, &Error{Message: fmt.Sprintf("is longer than %d bytes", maxLength), Help: "write a Go function instead"}
	}
	tree, err := parser.Parse(source)
	if err != nil {
		return nil, syntaxError(err, source)
	}
	return tree, nil
}

func syntaxError(err error, source string) *Error {
	if open := unclosed(source); open != nil {
		return open
	}
	var at *file.Error
	if !errors.As(err, &at) {
		return &Error{Message: err.Error()}
	}
	e := &Error{From: at.From, To: at.To, Message: at.Message}
	if e.Message == "unexpected token EOF" {
		e.Message = "the expression ends too early"
	}
	e.From = min(e.From, len([]rune(source)))
	e.Help = syntaxHelp(e.Message, string([]rune(source)[:e.From]))
	return e
}

// Eval computes the expression for a row.
func (e *Expression) Eval(r store.Row) (v any, err error) {
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, fmt.Errorf("can't be computed: %v", p)
		}
	}()
	f := frame{root: r, slots: make([]any, e.slots)}
	v, err = e.run(&f)
	if err != nil {
		return nil, err
	}
	switch e.want {
	case Condition:
		b, _ := v.(bool)
		return b, nil
	case Name:
		if s, _ := v.(string); s == "" {
			return nil, errors.New("is empty")
		}
	}
	return e.typ.plain(v), nil
}

// result checks that a compiled expression gives what is wanted.
func (c *compiler) result(n node, t Type, want Want) {
	switch want {
	case Condition:
		if !t.is(boolean, null) {
			c.fail(n, "must be a boolean, not "+t.String(), `compare it with something: state == "sent"`)
		}
	case Name:
		switch {
		case !t.is(text):
			c.fail(n, "must be text, not "+t.String(), "convert it with string(...)")
		case t.null:
			c.fail(n, "must be text that is never null", `say what stands in for a null: ref_no ?? string(id)`)
		}
	case Origin:
		if !t.is(reference) {
			c.fail(n, "must be a reference, not "+t.String(), `write ref("sync", key)`)
		}
	}
}
