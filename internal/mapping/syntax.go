package mapping

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
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
		return misspeltCall(before, "that takes .column")
	}
	if strings.Contains(message, `map key`) && strings.HasSuffix(before, "{") {
		return cmp.Or(misspeltCall(before, "that takes {{...}}"), "{{...}} is for each row of a list: map(lines, {{sku: .sku}})")
	}
	return ""
}

var openCall = regexp.MustCompile(`([A-Za-z_]\w*)\([^()]*$`)

// misspeltCall names the function that was given what is computed for each element,
// and that is none.
func misspeltCall(before, takes string) string {
	m := openCall.FindStringSubmatch(before)
	if m == nil {
		return ""
	}
	if _, known := functions[m[1]]; known {
		return ""
	}
	help := "there is no function " + m[1] + " " + takes
	if suggestion := Suggest(m[1], slices.Sorted(maps.Keys(functions))); suggestion != "" {
		help += "; " + suggestion
	}
	return help
}
