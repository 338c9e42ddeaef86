package netsuitetest

import (
	"math/big"
	"slices"
	"strings"
	"time"
)

// test compiles one operator for a field. Text is compared without regard to
// case; an empty field matches only EMPTY and the negations.
func (f *field) test(op string, args []string) (func(any) bool, *apiError) {
	bad := errFilter("The operator '" + cut(op) + "' is not supported for the field '" + f.name + "'.")
	switch {
	case op == "EMPTY":
		return func(v any) bool { return v == nil }, nil
	case op == "BETWEEN" && len(args) != 2, op != "BETWEEN" && op != "ANY_OF" && op != "WITHIN" && len(args) != 1, len(args) == 0:
		return nil, errFilter("The operator '" + cut(op) + "' has the wrong number of values.")
	}
	switch f.kind {
	case text:
		return testText(op, lower(args[0]), bad)
	case integer, decimal, money:
		return testNumber(op, args, bad)
	case flag:
		want := lower(args[0])
		if op != "IS" || want != "true" && want != "false" {
			return nil, bad
		}
		return func(v any) bool { b, ok := v.(bool); return ok && b == (want == "true") }, nil
	case date, moment:
		return testDate(op, args, bad)
	}
	// References and choices are compared by id.
	if op != "ANY_OF" && op != "IS" && op != "EQUAL" {
		return nil, bad
	}
	return func(v any) bool { return v != nil && slices.Contains(args, idOf(v)) }, nil
}

func idOf(v any) string {
	switch v := v.(type) {
	case reference:
		return v.id
	case chosen:
		return string(v)
	case string:
		return v
	}
	return ""
}

func testText(op, want string, bad *apiError) (func(any) bool, *apiError) {
	var match func(string) bool
	switch op {
	case "IS":
		match = func(s string) bool { return s == want }
	case "CONTAIN":
		match = func(s string) bool { return strings.Contains(s, want) }
	case "START_WITH":
		match = func(s string) bool { return strings.HasPrefix(s, want) }
	case "ENDWITH", "END_WITH":
		match = func(s string) bool { return strings.HasSuffix(s, want) }
	default:
		return nil, bad
	}
	return func(v any) bool { t, ok := v.(string); return ok && match(lower(t)) }, nil
}

func testNumber(op string, args []string, bad *apiError) (func(any) bool, *apiError) {
	want := make([]*big.Rat, len(args))
	for i, a := range args {
		var ok bool
		if want[i], ok = rat(a); !ok {
			return nil, errFilter("'" + cut(a) + "' is not a number.")
		}
	}
	return ordered(op, bad, func(v any, i int) (int, bool) {
		a, ok := v.(amount)
		return a.rat().Cmp(want[i]), ok
	}, len(want), map[string]string{"EQUAL": "=", "GREATER": ">", "GREATER_OR_EQUAL": ">=", "LESS": "<", "LESS_OR_EQUAL": "<=",
		"BETWEEN": "[]", "ANY_OF": "in"})
}

func testDate(op string, args []string, bad *apiError) (func(any) bool, *apiError) {
	want := make([]string, len(args))
	for i, a := range args {
		var ok bool
		if want[i], ok = day(a); !ok {
			return nil, errFilter("Parse of date/time \"" + cut(a) + "\" failed with date format \"M/d/yy\".")
		}
	}
	return ordered(op, bad, func(v any, i int) (int, bool) {
		t, ok := v.(string)
		if len(t) > 10 {
			t = t[:10]
		}
		return strings.Compare(t, want[i]), ok
	}, len(want), map[string]string{"ON": "=", "AFTER": ">", "ON_OR_AFTER": ">=", "BEFORE": "<", "ON_OR_BEFORE": "<=", "WITHIN": "[]", "BETWEEN": "[]"})
}

func day(s string) (string, bool) {
	for _, layout := range []string{"1/2/2006", "2006-01-02", "1/2/06"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Format(time.DateOnly), true
		}
	}
	return "", false
}

// ordered compiles a comparison over cmp, which compares a field's value with
// the i-th argument.
func ordered(op string, bad *apiError, cmp func(v any, i int) (int, bool), n int, signs map[string]string) (func(any) bool, *apiError) {
	sign, ok := signs[op]
	if !ok || sign == "[]" && n != 2 {
		return nil, bad
	}
	return func(v any) bool {
		c, ok := cmp(v, 0)
		if !ok {
			return false
		}
		switch sign {
		case "=":
			return c == 0
		case ">":
			return c > 0
		case ">=":
			return c >= 0
		case "<":
			return c < 0
		case "<=":
			return c <= 0
		case "[]":
			upper, _ := cmp(v, 1)
			return c >= 0 && upper <= 0
		}
		for i := range n {
			if c, _ := cmp(v, i); c == 0 {
				return true
			}
		}
		return false
	}, nil
}
