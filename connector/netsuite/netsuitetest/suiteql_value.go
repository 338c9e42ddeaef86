package netsuitetest

import (
	"strings"
	"time"
)

// datum is one value of a query.
type datum struct {
	text   string
	null   bool
	number bool // an id or a number: compared by value
	date   bool // ISO text
}

type operand func(*Server, *record) datum

// truth is SQL's: a comparison with NULL is neither.
type truth int

const (
	no truth = iota
	unknown
	yes
)

type predicate func(*Server, *record) truth

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// shown is a value in an answer: always text; dates in the account's format.
func (d datum) shown() string {
	if d.date {
		for _, layout := range []string{time.DateOnly, time.RFC3339} {
			if t, err := time.Parse(layout, d.text); err == nil {
				return t.Format("1/2/2006")
			}
		}
	}
	return d.text
}

// compare orders two values, NULL last as Oracle does.
func compare(a, b datum) int {
	switch {
	case a.null && b.null:
		return 0
	case a.null:
		return 1
	case b.null:
		return -1
	}
	if a.number || b.number {
		x, ok1 := rat(a.text)
		y, ok2 := rat(b.text)
		if ok1 && ok2 {
			return x.Cmp(y)
		}
	}
	if a.date || b.date {
		return strings.Compare(iso(a.text), iso(b.text))
	}
	return strings.Compare(a.text, b.text)
}

func iso(s string) string {
	if d, ok := day(s); ok {
		return d
	}
	if len(s) > 10 {
		return s[:10]
	}
	return s
}

// like matches SQL's % and _, with regard to case.
func like(s, pattern string) bool {
	text, pat := []rune(s), []rune(pattern)
	i, j, star, mark := 0, 0, -1, 0
	for i < len(text) {
		switch {
		case j < len(pat) && pat[j] == '%':
			star, mark = j, i
			j++
		case j < len(pat) && (pat[j] == '_' || pat[j] == text[i]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	for j < len(pat) && pat[j] == '%' {
		j++
	}
	return j == len(pat)
}

func either(a, b predicate) predicate {
	return func(s *Server, r *record) truth { return max(a(s, r), b(s, r)) }
}

func both(a, b predicate) predicate {
	return func(s *Server, r *record) truth { return min(a(s, r), b(s, r)) }
}

func not(a predicate) predicate {
	return func(s *Server, r *record) truth { return yes - a(s, r) }
}

// relation compiles a comparison sign.
func relation(sign string, a, b operand) predicate {
	return func(s *Server, r *record) truth {
		x, y := a(s, r), b(s, r)
		if x.null || y.null {
			return unknown
		}
		if sign == "LIKE" {
			return truthOf(like(x.text, y.text))
		}
		c := compare(x, y)
		switch sign {
		case "=":
			return truthOf(c == 0)
		case "<":
			return truthOf(c < 0)
		case ">":
			return truthOf(c > 0)
		case "<=":
			return truthOf(c <= 0)
		case ">=":
			return truthOf(c >= 0)
		}
		return truthOf(c != 0)
	}
}
