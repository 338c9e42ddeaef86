package netsuitetest

import "strings"

func (p *sqlParser) or() (predicate, *apiError) {
	left, err := p.and()
	for err == nil && p.accept("OR") {
		var right predicate
		right, err = p.and()
		left = either(left, right)
	}
	return left, err
}

func (p *sqlParser) and() (predicate, *apiError) {
	left, err := p.test()
	for err == nil && p.accept("AND") {
		var right predicate
		right, err = p.test()
		left = both(left, right)
	}
	return left, err
}

func (p *sqlParser) test() (predicate, *apiError) {
	if p.depth++; p.depth > 100 {
		return nil, errQuery("Search error occurred: The query is nested too deeply.")
	}
	defer func() { p.depth-- }()
	if p.accept("NOT") {
		inner, err := p.test()
		return not(inner), err
	}
	if p.accept("(") {
		inner, err := p.or()
		if err == nil {
			err = p.expect(")")
		}
		return inner, err
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	if p.accept("IS") {
		negated := p.accept("NOT")
		if err := p.expect("NULL"); err != nil {
			return nil, err
		}
		return func(s *Server, r *record) truth { return truthOf(left(s, r).null != negated) }, nil
	}
	if p.accept("NOT") {
		inner, err := p.compared(left)
		return not(inner), err
	}
	return p.compared(left)
}

func (p *sqlParser) compared(left operand) (predicate, *apiError) {
	sign := p.peek()
	p.at++
	switch sign {
	case "=", "<>", "!=", "<", ">", "<=", ">=", "LIKE":
		right, err := p.operand()
		return relation(sign, left, right), err
	case "BETWEEN":
		low, err := p.operand()
		if err == nil {
			err = p.expect("AND")
		}
		if err != nil {
			return nil, err
		}
		high, err := p.operand()
		return both(relation(">=", left, low), relation("<=", left, high)), err
	case "IN":
		if err := p.expect("("); err != nil {
			return nil, err
		}
		var any predicate = func(*Server, *record) truth { return no }
		for {
			right, err := p.operand()
			if err != nil {
				return nil, err
			}
			any = either(any, relation("=", left, right))
			if !p.accept(",") {
				return any, p.expect(")")
			}
		}
	}
	return nil, errQuery("Search error occurred: Invalid or unsupported search: unexpected '" + cut(sign) + "'.")
}

func (p *sqlParser) operand() (operand, *apiError) {
	if p.at >= len(p.words) {
		return nil, errQuery("Search error occurred: Invalid or unsupported search: unexpected end.")
	}
	w := p.words[p.at]
	p.at++
	fixed := func(d datum) operand { return func(*Server, *record) datum { return d } }
	switch {
	case w.quoted:
		return fixed(datum{text: w.text}), nil
	case w.text == "?":
		if p.used >= len(p.params) {
			return nil, errQuery("Search error occurred: The number of parameters does not match the query.")
		}
		p.used++
		return fixed(p.params[p.used-1]), nil
	case w.text == "-" && p.at < len(p.words):
		p.at++
		return fixed(datum{text: "-" + p.words[p.at-1].text, number: true}), nil
	case w.text[0] >= '0' && w.text[0] <= '9':
		return fixed(datum{text: w.text, number: true}), nil
	case p.peek() == "(":
		return p.function(strings.ToUpper(w.text))
	}
	name := w.text
	if prefix, rest, ok := strings.Cut(name, "."); ok && (strings.EqualFold(prefix, p.alias) || strings.EqualFold(prefix, p.sel.table)) {
		name = rest
	}
	if v := p.sel.columnOf(name); v != nil {
		return v, nil
	}
	table := lower(p.sel.table)
	return nil, errQuery("Search error occurred: Unknown identifier '" + cut(name) + "'. Available identifiers are: {" + lower(p.alias) + "=" + table + "}.")
}

func (p *sqlParser) function(name string) (operand, *apiError) {
	p.at++
	if name == "BUILTIN.DF" && p.at < len(p.words) {
		column := p.words[p.at].text
		p.at++
		if i := strings.LastIndex(column, "."); i >= 0 {
			column = column[i+1:]
		}
		if v := p.sel.display(column); v != nil {
			return v, p.expect(")")
		}
	}
	if name != "UPPER" && name != "LOWER" && name != "TO_DATE" {
		return nil, errQuery("Search error occurred: Invalid or unsupported search: the function " + cut(name) + ".")
	}
	inner, err := p.operand()
	if err == nil && name == "TO_DATE" && p.accept(",") {
		_, err = p.operand() // the format: YYYY-MM-DD and M/D/YYYY are told apart by their look
	}
	if err == nil {
		err = p.expect(")")
	}
	return func(s *Server, r *record) datum {
		d := inner(s, r)
		switch name {
		case "UPPER":
			d.text = strings.ToUpper(d.text)
		case "LOWER":
			d.text = lower(d.text)
		default:
			d.date = true
		}
		return d
	}, err
}
