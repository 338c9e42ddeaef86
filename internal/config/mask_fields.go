package config

import (
	"regexp"
	"strings"
)

// What stands under fields of a sync are names of the remote's fields and
// expressions over columns: a field called "secret" is none by its name. So
// there an expression is shown, and only its constants are blotted out.

var (
	syncsKey  = regexp.MustCompile(`^["']?syncs["']?\s*:\s*(?:#.*)?$`)
	fieldsKey = regexp.MustCompile(`^\s+["']?(?:create_)?fields["']?\s*:\s*(.*)$`)
	constant  = regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"?|'(?:[^'\\\\]|\\\\.)*'?|`[^`]*`?|\\b[0-9][0-9A-Za-z_.]*")
)

// fieldLines tells, line by line, which are under fields of a sync.
type fieldLines struct {
	syncs  bool // in the part of the file with the syncs
	indent int  // of the fields that the line before was in; -1: in none
}

// next says whether a line has fields and nothing else. What is written in one
// line with other keys counts as being in none.
func (f *fieldLines) next(line string) bool {
	text := strings.TrimSpace(line)
	if text == "" || text[0] == '#' {
		return f.indent >= 0
	}
	indent := len(line) - len(strings.TrimLeft(line, " "))
	if indent == 0 {
		f.syncs, f.indent = syncsKey.MatchString(line), -1
		return false
	}
	if indent > f.indent && f.indent >= 0 {
		return true
	}
	f.indent = -1
	m := fieldsKey.FindStringSubmatch(line)
	switch {
	case m == nil || !f.syncs:
		return false
	case m[1] == "" || m[1][0] == '#':
		f.indent = indent
		return false
	}
	return alone(m[1])
}

// alone says whether a text is one {...} with nothing behind it. A brace in a
// quoted text may make it say no, and nothing makes it wrongly say yes.
func alone(text string) bool {
	depth := 0
	for i, c := range text {
		switch c {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			rest := strings.TrimSpace(text[i+1:])
			return c == '}' && (rest == "" || rest[0] == '#')
		}
	}
	return false
}

// constants blots the constants of an expression out.
func constants(value string) string {
	inner := strings.TrimSpace(value)
	if strings.Contains(value, "${") || len(inner) > 0 && strings.ContainsRune("|>&*!", rune(inner[0])) {
		return stars(value)
	}
	if len(inner) > 1 && inner[0] == '\'' && strings.Contains(inner, `"`) { // YAML's quotes around an expression
		at, end := strings.IndexByte(value, '\'')+1, len(value)
		if last := strings.LastIndexByte(value, '\''); last == len(strings.TrimRight(value, " "))-1 && last >= at {
			end = last
		}
		return value[:at] + constant.ReplaceAllStringFunc(value[at:end], stars) + value[end:]
	}
	return constant.ReplaceAllStringFunc(value, stars)
}
