package mapping

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	identifier = regexp.MustCompile(`^[\p{L}_][\p{L}\p{Nd}_]*$`)
	// reserved are words of the expression language.
	reserved = []string{"true", "false", "nil", "null", "in", "not", "and", "or", "let", "if", "else", "matches", "contains", "startsWith", "endsWith"}
)

// IsName says whether an expression can name a column or a relation by its
// bare name.
func IsName(name string) bool {
	return identifier.MatchString(name) && !slices.Contains(reserved, name)
}

// Read writes the expression that reads a column of a row: of the root when
// row is empty, of the element in a closure when it is "#", otherwise of the
// relation that row names. A column that is no name is read by its text.
func Read(row, column string) string {
	switch bare := IsName(column); {
	case row == "" && bare:
		return column
	case row == "":
		row = "$env"
	case row == "#" && bare:
		return "." + column
	case bare:
		return row + "." + column
	}
	// A dollar sign would begin a variable of the configuration.
	return row + "[" + strings.ReplaceAll(strconv.Quote(column), "$", `\u0024`) + "]"
}
