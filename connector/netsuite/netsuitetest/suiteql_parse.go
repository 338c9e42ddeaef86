package netsuitetest

import (
	"strconv"
	"strings"
)

// sqlParser reads SELECT columns FROM table WHERE ... ORDER BY ...: one
// table, no joins.
type sqlParser struct {
	words  []word
	at     int
	depth  int
	sel    *selection
	alias  string
	params []datum
	used   int
}

func errQuery(detail string) *apiError {
	return errParam("q", "Invalid search query. Detailed unprocessed description follows. "+detail)
}

// sqlWords cuts a query. Text in single quotes is marked quoted; two quotes
// in it are one.
func sqlWords(q string) ([]word, bool) {
	var out []word
	plain := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c >= 0x80
	}
	for i := 0; i < len(q); {
		c := q[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '\'':
			var b strings.Builder
			for i++; ; i++ {
				if i >= len(q) {
					return nil, false
				}
				if q[i] == '\'' {
					if i+1 >= len(q) || q[i+1] != '\'' {
						break
					}
					i++
				}
				b.WriteByte(q[i])
			}
			i++
			out = append(out, word{b.String(), true})
		case i+1 < len(q) && (q[i:i+2] == "<>" || q[i:i+2] == "<=" || q[i:i+2] == ">=" || q[i:i+2] == "!="):
			out = append(out, word{q[i : i+2], false})
			i += 2
		case plain(c):
			j := i
			for j < len(q) && plain(q[j]) {
				j++
			}
			out = append(out, word{q[i:j], false})
			i = j
		default:
			out = append(out, word{string(c), false})
			i++
		}
	}
	return out, true
}

func (p *sqlParser) peek() string {
	if p.at < len(p.words) && !p.words[p.at].quoted {
		return strings.ToUpper(p.words[p.at].text)
	}
	return ""
}

func (p *sqlParser) accept(keyword string) bool {
	if p.peek() == keyword {
		p.at++
		return true
	}
	return false
}

func (p *sqlParser) expect(keyword string) *apiError {
	if p.accept(keyword) {
		return nil
	}
	return errQuery("Search error occurred: Invalid or unsupported search: " + keyword + " is missing.")
}

// parseSelection reads a query. The list of columns is skipped first: what it
// may name is known only after FROM.
func (s *Server) parseSelection(q string, params []datum) (*selection, *apiError) {
	words, ok := sqlWords(q)
	p := &sqlParser{words: words, sel: &selection{}, params: params}
	if !ok {
		return nil, errQuery("Search error occurred: Invalid or unsupported search: a quote is missing.")
	}
	if err := p.expect("SELECT"); err != nil {
		return nil, err
	}
	columns := p.at
	for p.at < len(p.words) && p.peek() != "FROM" {
		p.at++
	}
	if err := p.expect("FROM"); err != nil {
		return nil, err
	}
	if p.at >= len(p.words) {
		return nil, errQuery("Search error occurred: Invalid or unsupported search: a table is missing.")
	}
	p.sel.table = p.words[p.at].text
	if p.sel.source = s.tableOf(p.sel.table); len(p.sel.source) == 0 {
		return nil, errQuery("Invalid search type: " + cut(p.sel.table) + ".")
	}
	p.at++
	p.accept("AS")
	p.alias = p.sel.table
	if w := p.peek(); w != "" && w != "WHERE" && w != "ORDER" {
		p.alias = p.words[p.at].text
		p.at++
	}
	after := p.at
	p.at = columns
	if err := p.columns(); err != nil {
		return nil, err
	}
	p.at = after
	if p.accept("WHERE") {
		where, err := p.or()
		if err != nil {
			return nil, err
		}
		p.sel.where = where
	}
	if err := p.orderBy(); err != nil {
		return nil, err
	}
	if p.at < len(p.words) {
		return nil, errQuery("Search error occurred: Invalid or unsupported search: unexpected '" + cut(p.words[p.at].text) + "'.")
	}
	if p.used != len(p.params) {
		return nil, errQuery("Search error occurred: The number of parameters does not match the query.")
	}
	return p.sel, nil
}

func (p *sqlParser) columns() *apiError {
	for {
		if p.accept("*") {
			for _, name := range p.allColumns() {
				p.sel.columns = append(p.sel.columns, column{lower(name), p.sel.columnOf(name)})
			}
		} else if p.peek() == "COUNT" {
			p.at++
			if !p.accept("(") || !p.accept("*") || !p.accept(")") {
				return errQuery("Search error occurred: Invalid or unsupported search: only COUNT(*) is supported.")
			}
			p.sel.count = true
			p.sel.columns = append(p.sel.columns, column{name: p.as("expr1")})
		} else {
			name := lower(p.words[p.at].text)
			if i := strings.LastIndex(name, "."); i >= 0 {
				name = name[i+1:]
			}
			start := p.at
			v, err := p.operand()
			if err != nil {
				return err
			}
			if p.at > start+1 { // a function has no name of its own
				name = "expr" + strconv.Itoa(len(p.sel.columns)+1)
			}
			p.sel.columns = append(p.sel.columns, column{p.as(name), v})
		}
		if !p.accept(",") {
			break
		}
	}
	if p.peek() != "FROM" || p.sel.count && len(p.sel.columns) > 1 {
		return errQuery("Search error occurred: Invalid or unsupported search: the list of columns.")
	}
	return nil
}

func (p *sqlParser) as(name string) string {
	if p.accept("AS") || p.peek() != "" && p.peek() != "," && p.peek() != "FROM" {
		if p.at < len(p.words) {
			name = lower(p.words[p.at].text)
			p.at++
		}
	}
	return name
}

func (p *sqlParser) allColumns() []string {
	out, seen := []string{"id"}, map[string]bool{"id": true}
	for _, t := range p.sel.source {
		for _, f := range t.fields {
			if !seen[f.name] && f.kind != group {
				seen[f.name] = true
				out = append(out, f.name)
			}
		}
	}
	return out
}

func (p *sqlParser) orderBy() *apiError {
	if !p.accept("ORDER") {
		return nil
	}
	if err := p.expect("BY"); err != nil {
		return err
	}
	for {
		v, err := p.operand()
		if err != nil {
			return err
		}
		desc := p.accept("DESC")
		if !desc {
			p.accept("ASC")
		}
		p.sel.order = append(p.sel.order, ordering{v, desc})
		if !p.accept(",") {
			return nil
		}
	}
}
