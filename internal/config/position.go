package config

// placeIn is where the character at an offset of a scalar's text stands in
// the file: escapes, doubled quotes and folded lines are walked through.
func (r *reader) placeIn(v *value, offset int) place {
	if v.at.line < 1 || v.at.line > len(r.lines) {
		return v.at
	}
	line, column := v.at.line-1, v.at.column-1
	switch v.style {
	case single, double:
		column++
	case block:
		line, column = line+1, 0
	}
	s := scanner{lines: r.lines, line: line, column: column}
	want := []rune(v.text)
	for i := 0; i < offset && i < len(want); i++ {
		s.find(want[i])
		s.step(v.style)
	}
	if offset < len(want) {
		s.find(want[offset])
	}
	return place{s.line + 1, s.column + 1}
}

// scanner walks over the file's characters.
type scanner struct {
	lines        []string
	line, column int
}

// peek is the character at the place; a newline at the end of a line.
func (s *scanner) peek() (rune, bool) {
	if s.line >= len(s.lines) {
		return 0, false
	}
	rest := []rune(s.lines[s.line])
	if s.column >= len(rest) {
		return '\n', s.line+1 < len(s.lines)
	}
	return rest[s.column], true
}

func (s *scanner) next() {
	if c, ok := s.peek(); ok && c == '\n' {
		s.line, s.column = s.line+1, 0
	} else if ok {
		s.column++
	}
}

// find passes over the white space that is not part of the value.
func (s *scanner) find(want rune) {
	if want == ' ' || want == '\n' {
		return
	}
	for c, ok := s.peek(); ok && c != want && (c == ' ' || c == '\n' || c == '\r'); c, ok = s.peek() {
		s.next()
	}
}

// step passes over one character of the value, however it is written.
func (s *scanner) step(in style) {
	c, _ := s.peek()
	s.next()
	switch {
	case in == single && c == '\'':
		s.next()
	case in == double && c == '\\':
		e, _ := s.peek()
		for range map[rune]int{'x': 3, 'u': 5, 'U': 9}[e] {
			s.next()
		}
		if e != 'x' && e != 'u' && e != 'U' {
			s.next()
		}
	}
}
