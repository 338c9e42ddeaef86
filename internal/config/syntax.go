package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/upkeep-sync/upkeep/internal/mapping"
)

// This file guesses what YAML has done to an expression that was not quoted.

const (
	flowHelp  = "inside { } and [ ] a value with a comma, a colon, a brace or a bracket in it must be quoted: {memo: 'join(map(lines, .sku), \", \")'}"
	colonHelp = "a value with a colon and a space in it must be quoted: 'paid ? \"yes\" : \"no\"'"
)

var (
	flowVariable   = regexp.MustCompile(`[{,]\s*[^\s:,]+:\s+\$\{`)
	quotedThenMore = regexp.MustCompile(`[:-]\s+("[^"]*"|'[^']*')\s*[^\s#,}\]]`)
	inFlow         = regexp.MustCompile(`'[}\]]'|flow map`) // in the parser's words
	flowThenMore   = regexp.MustCompile(`[}\]]\s*[^\s}\],#]`)
	secondHalf     = regexp.MustCompile(`^\s*[?:]\s`)
	closureMap     = regexp.MustCompile(`\b(map|filter|sortBy|all|any)\s*\([^{]*,\s*\{\s*\w+\s*:`)
)

func (r *reader) syntax(err error) {
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) || syntax.GetToken() == nil {
		r.fail(place{}, "is not valid YAML", "")
		return
	}
	p := placeOf(syntax.GetToken())
	help := ""
	if p.line >= 1 && p.line <= len(r.lines) {
		help = r.syntaxHelp(p.line, syntax.GetMessage())
	}
	r.fail(p, "not valid YAML: "+syntax.GetMessage(), help)
}

func (r *reader) syntaxHelp(n int, message string) string {
	line, next := r.lines[n-1], ""
	if n < len(r.lines) {
		next = r.lines[n]
	}
	before, after, _ := strings.Cut(line, ": ")
	after = strings.TrimSpace(after)
	switch {
	case strings.HasPrefix(strings.TrimLeft(line, " "), "\t"):
		return "indent with spaces, not tabs"
	case secondHalf.MatchString(next):
		return colonHelp
	case strings.Contains(message, "mapping value") && mapping.Unclosed(before):
		return colonHelp
	case indentation(next) > indentation(line) && after != "" && !strings.Contains(after, ": "):
		return fmt.Sprintf("line %d is indented deeper than this one, which has a value already: keys of one map begin in the same column", n+1)
	case flowVariable.MatchString(line):
		return "inside braces, a ${...} must be quoted: {account: '${ACCOUNT}'}"
	case quotedThenMore.MatchString(line):
		return `an expression that starts with a quote must be quoted as a whole: '"VAT " + billing.vat'`
	case strings.Contains(message, "end token"):
		return "close the { or [ that begins here"
	case inFlow.MatchString(message):
		return flowHelp
	case (strings.HasPrefix(after, "{") || strings.HasPrefix(after, "[")) && flowThenMore.MatchString(after):
		return "an expression that starts with a bracket or a brace must be quoted as a whole: '[state, ref_no][0]'"
	case strings.HasPrefix(after, "@") || strings.HasPrefix(after, "%") || strings.HasPrefix(after, "`"):
		return "put the value in quotes"
	case strings.Contains(after, ": "):
		return colonHelp
	case strings.ContainsAny(line, "{[") && strings.Contains(message, "unexpected key"):
		return colonHelp
	case strings.Contains(line, "\t"):
		return "indent with spaces, not tabs"
	}
	return ""
}

func indentation(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// cut says what to do if YAML took only the first part of an expression.
func (r *reader) cut(v *value) string {
	end := r.placeIn(v, len([]rune(v.text)))
	if v.style != plain || end.line < 1 || end.line > len(r.lines) {
		return ""
	}
	line := []rune(r.lines[end.line-1])
	switch rest := strings.TrimLeft(string(line[min(end.column-1, len(line)):]), " "); {
	case strings.HasPrefix(rest, "#"):
		return "YAML takes a # after a space as a comment: put the expression in quotes"
	case strings.HasPrefix(rest, ",") && mapping.Unclosed(v.text):
		return flowHelp
	}
	return ""
}

// goesOn says whether YAML took an expression apart at a comma in it, so that
// what it reads next is the expression's rest.
func (r *reader) goesOn(v *value) bool { return v.kind == text && r.cut(v) == flowHelp }

// half says whether YAML made a key of the first half of an expression, up to a
// colon.
func half(e entry) bool {
	return e.bare && (strings.Contains(e.key, " ? ") || mapping.Unclosed(e.key))
}
