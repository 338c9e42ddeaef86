package mapping

import (
	"maps"
	"regexp"
	"slices"
)

// syntaxHelp is what to write where a person who knows SQL stumbles over the
// syntax; before is the source before the place. Empty: nothing is known.
func syntaxHelp(message, before string) string {
	switch message {
	case `unexpected token Operator("=")`:
		return "to compare, write =="
	case `unexpected token Identifier("is")`, `unexpected token Identifier("IS")`:
		return "write == nil for IS NULL, and != nil for IS NOT NULL"
	case `unexpected token Operator(".")`:
		return misspeltCall(before)
	}
	return ""
}

var openCall = regexp.MustCompile(`([A-Za-z_]\w*)\([^()]*$`)

// misspeltCall names the function that an element's column was given to, as
// .column, and that is none.
func misspeltCall(before string) string {
	m := openCall.FindStringSubmatch(before)
	if m == nil {
		return ""
	}
	if _, known := functions[m[1]]; known {
		return ""
	}
	help := "there is no function " + m[1] + " that takes .column"
	if suggestion := Suggest(m[1], slices.Sorted(maps.Keys(functions))); suggestion != "" {
		help += "; " + suggestion
	}
	return help
}
