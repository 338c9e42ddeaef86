package netsuitetest

import (
	"strings"
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
