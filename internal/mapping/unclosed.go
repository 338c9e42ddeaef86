package mapping

import "fmt"

// unclosed names what an expression that can't be read opens and does not
// close, where that begins; nil if it closes everything in its order. The
// parser only knows where it gave up.
func unclosed(source string) *Error {
	runes := []rune(source)
	var open []int // where the brackets begin that are open
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; c {
		case '"', '\'', '`':
			end := endOfText(runes, i)
			if end < 0 {
				return &Error{From: i, To: len(runes), Message: fmt.Sprintf("the text that begins with this %c is not closed", c), Help: fmt.Sprintf("end it with another %c", c)}
			}
			i = end
		case '/':
			i = endOfComment(runes, i)
		case '(', '[', '{':
			open = append(open, i)
		case ')', ']', '}':
			if len(open) == 0 {
				return &Error{From: i, To: i + 1, Message: fmt.Sprintf("this %c closes nothing", c), Help: "drop it, or open it before"}
			}
			last := open[len(open)-1]
			if closing[runes[last]] != c {
				return notClosed(runes[last], last, fmt.Sprintf(" before the %c that follows", c))
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) == 0 {
		return nil
	}
	last := open[len(open)-1]
	return notClosed(runes[last], last, "")
}

var closing = map[rune]rune{'(': ')', '[': ']', '{': '}'}

func notClosed(c rune, at int, where string) *Error {
	return &Error{From: at, To: at + 1, Message: fmt.Sprintf("this %c is not closed%s", c, where), Help: fmt.Sprintf("close it with %c", closing[c])}
}

// endOfText is where the quote stands that ends a text; -1 if none does.
func endOfText(runes []rune, start int) int {
	quote := runes[start]
	for i := start + 1; i < len(runes); i++ {
		switch {
		case runes[i] == quote:
			return i // a doubled back quote begins another text, with the same end
		case quote == '`':
		case runes[i] == '\n':
			return -1
		case runes[i] == '\\':
			i++
		}
	}
	return -1
}

// endOfComment is the last character of a comment, or start if none begins there.
func endOfComment(runes []rune, start int) int {
	if start+1 == len(runes) {
		return start
	}
	switch next := runes[start+1]; next {
	case '/':
		for i := start; i < len(runes); i++ {
			if runes[i] == '\n' {
				return i
			}
		}
		return len(runes)
	case '*':
		for i := start + 3; i < len(runes); i++ {
			if runes[i] == '/' && runes[i-1] == '*' {
				return i
			}
		}
		return len(runes)
	}
	return start
}

// Unclosed says whether a text opens what it does not close, or the reverse,
// as part of an expression does.
func Unclosed(source string) bool { return unclosed(source) != nil }
