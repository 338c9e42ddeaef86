package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// What changes while no row does is seen by no trigger: the record would stay
// wrong, and count as up to date.
const (
	asksTime = "it asks what time it is (%s): the answer changes while no row does, which no trigger sees, so the record would stay as it was and count as up to date; " +
		"let a job of yours set a column when the time comes and name that one here, or send the time itself and let the remote compare (comparing it in when or Translate would go unseen too)"
	asksZone = "it asks for the time zone of the machine (%s): of the same row another process may say something else, which no trigger sees; keep times in UTC, and compare them as they are"
)

// deterministic refuses functions that may say something else of a row that is
// the same: those that SQLite doesn't call deterministic, and those of dates
// with an argument that makes them so. A value in a column is not looked at.
func (r *reading) deterministic(ctx context.Context, conn *sql.Conn, fragment string) error {
	if r.refused != "" {
		return nil
	}
	if why := asksForTime(fragment); why != "" {
		return errors.New(why)
	}
	for _, f := range slices.Sorted(maps.Keys(r.calls)) {
		const deterministic = 0x800 // SQLITE_DETERMINISTIC
		var changes bool
		err := conn.QueryRowContext(ctx, `SELECT coalesce(min(flags & ?), 0) = 0 FROM pragma_function_list WHERE name = ? COLLATE NOCASE`, deterministic, f).Scan(&changes)
		if err != nil {
			return err
		}
		if changes && !slices.Contains(dates, f) {
			return fmt.Errorf("it may not call %s(): the same row must always give the same answer, and SQLite does not know it as deterministic", f)
		}
	}
	return nil
}

// dates are SQLite's functions of dates and times.
var dates = []string{"date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"}

// piece is one of SQL: white space and comments, a text, a quoted name, a
// word, or another character.
var piece = regexp.MustCompile("(?s)\\s+|--[^\n]*|/\\*.*?\\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\\[[^]]*\\]|[\\pL_][\\pL\\pN_$]*|.")

// asksForTime says why the first call of a date function that has no answer of
// its own is refused; empty: there is none.
func asksForTime(sql string) string {
	tokens := slices.DeleteFunc(piece.FindAllString(sql, -1), func(t string) bool {
		return strings.TrimSpace(t) == "" || strings.HasPrefix(t, "--") || strings.HasPrefix(t, "/*")
	})
	for i := 0; i+1 < len(tokens); i++ {
		name := strings.ToLower(strings.Trim(tokens[i], "\"`[]"))
		if tokens[i][0] == '\'' || tokens[i+1] != "(" || !slices.Contains(dates, name) {
			continue
		}
		if why := timeOf(name, arguments(tokens[i+2:])); why != "" {
			return why
		}
	}
	return ""
}

// arguments are the texts in each argument of a call, up to its parenthesis.
func arguments(tokens []string) (args [][]string) {
	depth := 0
	for i, t := range tokens {
		switch {
		case t == ")" && depth == 0:
			return args
		case t == "," && depth == 0:
			args = append(args, nil)
			continue
		case t == "(":
			depth++
		case t == ")":
			depth--
		}
		if i == 0 {
			args = append(args, nil)
		}
		if t[0] == '\'' {
			args[len(args)-1] = append(args[len(args)-1], strings.ToLower(strings.Trim(t, "'")))
		}
	}
	return args
}

func timeOf(name string, args [][]string) string {
	if name == "strftime" && len(args) > 0 {
		args = args[1:] // the format
	}
	if len(args) == 0 {
		return fmt.Sprintf(asksTime, name+" without a time")
	}
	for n, texts := range args {
		for _, text := range texts {
			switch {
			case text == "now" || n == 0 && (text == "subsec" || text == "subsecond"):
				return fmt.Sprintf(asksTime, name+" of '"+text+"'")
			case text == "localtime" || text == "utc":
				return fmt.Sprintf(asksZone, name+" with '"+text+"'")
			}
		}
	}
	return ""
}
