package mapping

import (
	"fmt"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/spelling"
)

// Error is what is wrong in an expression, and where.
type Error struct {
	// From and To bound the place, in characters (not bytes) from the start.
	From, To int
	// Message says what is wrong.
	Message string
	// Help says what to do; may be empty.
	Help string
}

// Error is the message with its help.
func (e *Error) Error() string {
	if e.Help == "" {
		return e.Message
	}
	return e.Message + "; " + e.Help
}

// Suggest is the help for an unknown name: the nearest one, or all of them
// when they are few.
func Suggest(name string, names []string) string {
	if near := spelling.Nearest(name, names); near != "" {
		if strings.Contains(near, `"`) { // a table's name with its quotes, inside those of YAML
			return fmt.Sprintf("did you mean '%s'?", near)
		}
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(names) == 0 {
		return ""
	}
	const most = 12
	if len(names) > most {
		return fmt.Sprintf("known are %s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return "known are " + strings.Join(names, ", ")
}
