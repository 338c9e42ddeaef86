package netsuitetest

import (
	"math/big"
	"slices"
	"strings"
	"time"
)

// condition is a compiled filter.
type condition func(*Server, *record) bool

// filterParser reads the q parameter: `email START_WITH barbara AND (...)`.
type filterParser struct {
	words []word
	at    int
	depth int
	typ   *recordType
}

type word struct {
	text   string
	quoted bool
}

const maxFilter = 8000

func parseFilter(t *recordType, q string) (condition, *apiError) {
	words, ok := split(q)
	if !ok || len(q) > maxFilter {
		return nil, errFilter("The filter is malformed.")
	}
	p := &filterParser{words: words, typ: t}
	c, err := p.or()
	if err == nil && p.at < len(p.words) {
		err = errFilter("Unexpected '" + cut(p.words[p.at].text) + "'.")
	}
	return c, err
}

func errFilter(detail string) *apiError {
	return errParam("q", "Invalid search query. "+detail)
}

// split cuts a filter in words; brackets, parentheses and commas stand for
// themselves, values in double quotes may hold anything (\" is a quote).
func split(q string) ([]word, bool) {
	var out []word
	for i := 0; i < len(q); {
		switch c := q[i]; {
		case c == ' ' || c == '\t' || c == '\n':
			i++
		case strings.IndexByte("()[],", c) >= 0:
			out = append(out, word{string(c), false})
			i++
		case c == '"':
			var b strings.Builder
			i++
			for i < len(q) && q[i] != '"' {
				if q[i] == '\\' && i+1 < len(q) {
					i++
				}
				b.WriteByte(q[i])
				i++
			}
			if i >= len(q) {
				return nil, false
			}
			i++
			out = append(out, word{b.String(), true})
		default:
			j := i
			for j < len(q) && strings.IndexByte(" \t\n()[],\"", q[j]) < 0 {
				j++
			}
			out = append(out, word{q[i:j], false})
			i = j
		}
	}
	return out, true
}

func (p *filterParser) next() word {
	if p.at >= len(p.words) {
		return word{}
	}
	p.at++
	return p.words[p.at-1]
}

func (p *filterParser) accept(keyword string) bool {
	if p.at < len(p.words) && !p.words[p.at].quoted && strings.EqualFold(p.words[p.at].text, keyword) {
		p.at++
		return true
	}
	return false
}

func (p *filterParser) or() (condition, *apiError) {
	left, err := p.and()
	for err == nil && p.accept("OR") {
		var right condition
		right, err = p.and()
		a := left
		left = func(s *Server, r *record) bool { return a(s, r) || right(s, r) }
	}
	return left, err
}

func (p *filterParser) and() (condition, *apiError) {
	left, err := p.term()
	for err == nil && p.accept("AND") {
		var right condition
		right, err = p.term()
		a := left
		left = func(s *Server, r *record) bool { return a(s, r) && right(s, r) }
	}
	return left, err
}

func (p *filterParser) term() (condition, *apiError) {
	if p.accept("(") {
		if p.depth++; p.depth > 50 {
			return nil, errFilter("The filter is nested too deeply.")
		}
		c, err := p.or()
		if err == nil && !p.accept(")") {
			err = errFilter("A closing parenthesis is missing.")
		}
		p.depth--
		return c, err
	}
	name := p.next()
	f := p.typ.field(name.text)
	if strings.EqualFold(name.text, "id") {
		f = &field{name: "id", kind: link}
	}
	if f == nil || name.quoted || f.kind == group {
		return nil, errFilter("Unknown field name '" + cut(name.text) + "'.")
	}
	op := strings.ToUpper(p.next().text)
	negated := false
	if base, ok := strings.CutSuffix(op, "_NOT"); ok {
		op, negated = base, true
	}
	args, err := p.args(op)
	if err != nil {
		return nil, err
	}
	test, err := f.test(op, args)
	if err != nil {
		return nil, err
	}
	return func(s *Server, r *record) bool {
		v := r.fields[f.name]
		if f.name == "id" {
			v = r.id
		}
		return test(v) != negated
	}, nil
}

// args reads what follows an operator: nothing, one value, or [a, b].
func (p *filterParser) args(op string) ([]string, *apiError) {
	if op == "EMPTY" {
		return nil, nil
	}
	if !p.accept("[") {
		if p.at >= len(p.words) {
			return nil, errFilter("A value is missing after " + cut(op) + ".")
		}
		return []string{p.next().text}, nil
	}
	var out []string
	for {
		if p.at >= len(p.words) {
			return nil, errFilter("A closing bracket is missing.")
		}
		out = append(out, p.next().text)
		if p.accept("]") {
			return out, nil
		}
		if !p.accept(",") {
			return nil, errFilter("A comma is missing between values.")
		}
	}
}

// test compiles one operator for a field. Text is compared without regard to
// case; an empty field matches only EMPTY and the negations.
func (f *field) test(op string, args []string) (func(any) bool, *apiError) {
	bad := errFilter("The operator '" + cut(op) + "' is not supported for the field '" + f.name + "'.")
	switch {
	case op == "EMPTY":
		return func(v any) bool { return v == nil }, nil
	case op == "BETWEEN" && len(args) != 2, op != "BETWEEN" && op != "ANY_OF" && op != "WITHIN" && len(args) != 1, len(args) == 0:
		return nil, errFilter("The operator '" + cut(op) + "' has the wrong number of values.")
	}
	switch f.kind {
	case text:
		return testText(op, lower(args[0]), bad)
	case integer, decimal, money:
		return testNumber(op, args, bad)
	case flag:
		want := lower(args[0])
		if op != "IS" || want != "true" && want != "false" {
			return nil, bad
		}
		return func(v any) bool { b, ok := v.(bool); return ok && b == (want == "true") }, nil
	case date, moment:
		return testDate(op, args, bad)
	}
	// References and choices are compared by id.
	if op != "ANY_OF" && op != "IS" && op != "EQUAL" {
		return nil, bad
	}
	return func(v any) bool { return v != nil && slices.Contains(args, idOf(v)) }, nil
}

func idOf(v any) string {
	switch v := v.(type) {
	case reference:
		return v.id
	case chosen:
		return string(v)
	case string:
		return v
	}
	return ""
}

func testText(op, want string, bad *apiError) (func(any) bool, *apiError) {
	var match func(string) bool
	switch op {
	case "IS":
		match = func(s string) bool { return s == want }
	case "CONTAIN":
		match = func(s string) bool { return strings.Contains(s, want) }
	case "START_WITH":
		match = func(s string) bool { return strings.HasPrefix(s, want) }
	case "ENDWITH", "END_WITH":
		match = func(s string) bool { return strings.HasSuffix(s, want) }
	default:
		return nil, bad
	}
	return func(v any) bool { t, ok := v.(string); return ok && match(lower(t)) }, nil
}

func testNumber(op string, args []string, bad *apiError) (func(any) bool, *apiError) {
	want := make([]*big.Rat, len(args))
	for i, a := range args {
		var ok bool
		if want[i], ok = rat(a); !ok {
			return nil, errFilter("'" + cut(a) + "' is not a number.")
		}
	}
	return ordered(op, bad, func(v any, i int) (int, bool) {
		a, ok := v.(amount)
		return a.rat().Cmp(want[i]), ok
	}, len(want), map[string]string{"EQUAL": "=", "GREATER": ">", "GREATER_OR_EQUAL": ">=", "LESS": "<", "LESS_OR_EQUAL": "<=",
		"BETWEEN": "[]", "ANY_OF": "in"})
}

func testDate(op string, args []string, bad *apiError) (func(any) bool, *apiError) {
	want := make([]string, len(args))
	for i, a := range args {
		var ok bool
		if want[i], ok = day(a); !ok {
			return nil, errFilter("Parse of date/time \"" + cut(a) + "\" failed with date format \"M/d/yy\".")
		}
	}
	return ordered(op, bad, func(v any, i int) (int, bool) {
		t, ok := v.(string)
		if len(t) > 10 {
			t = t[:10]
		}
		return strings.Compare(t, want[i]), ok
	}, len(want), map[string]string{"ON": "=", "AFTER": ">", "ON_OR_AFTER": ">=", "BEFORE": "<", "ON_OR_BEFORE": "<=", "WITHIN": "[]", "BETWEEN": "[]"})
}

func day(s string) (string, bool) {
	for _, layout := range []string{"1/2/2006", "2006-01-02", "1/2/06"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Format(time.DateOnly), true
		}
	}
	return "", false
}

// ordered compiles a comparison over cmp, which compares a field's value with
// the i-th argument.
func ordered(op string, bad *apiError, cmp func(v any, i int) (int, bool), n int, signs map[string]string) (func(any) bool, *apiError) {
	sign, ok := signs[op]
	if !ok || sign == "[]" && n != 2 {
		return nil, bad
	}
	return func(v any) bool {
		c, ok := cmp(v, 0)
		if !ok {
			return false
		}
		switch sign {
		case "=":
			return c == 0
		case ">":
			return c > 0
		case ">=":
			return c >= 0
		case "<":
			return c < 0
		case "<=":
			return c <= 0
		case "[]":
			upper, _ := cmp(v, 1)
			return c >= 0 && upper <= 0
		}
		for i := range n {
			if c, _ := cmp(v, i); c == 0 {
				return true
			}
		}
		return false
	}, nil
}
