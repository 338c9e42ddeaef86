package proposal

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/upkeep-sync/upkeep/internal/mapping"
)

var (
	plainText = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)
	plainCode = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*(\([A-Za-z0-9_.]*\))?$`)
	// yamlWords mean something to one YAML reader or another.
	yamlWords = []string{"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
)

// text writes a text for YAML, where a dollar sign would begin a variable.
func text(s string) string {
	return scalar(strings.ReplaceAll(s, "$", "$$"), plainText)
}

// code writes an expression for YAML.
func code(s string) string { return scalar(s, plainCode) }

// key writes a key for YAML; nothing is replaced in keys.
func key(s string) string { return scalar(s, plainText) }

func scalar(s string, plain *regexp.Regexp) string {
	if plain.MatchString(s) && !slices.Contains(yamlWords, strings.ToLower(s)) {
		return s
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return escaped(s)
		}
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// escaped is a YAML text in double quotes, on one line.
func escaped(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// shown is a name in a comment or a message: as it is, or quoted where it
// could be taken for something else. A table's name may have its quotes already.
func shown(name string) string {
	printable := !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
	if plainText.MatchString(name) || strings.Contains(name, `"`) && printable {
		return name
	}
	return strconv.Quote(name)
}

// columns writes the columns of a foreign key: one, or a list.
func columns(names []string) string {
	if len(names) == 1 {
		return text(names[0])
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = text(n)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// undecomposed are Latin letters that are no letter with a mark.
var undecomposed = strings.NewReplacer("ß", "ss", "ẞ", "SS", "æ", "ae", "Æ", "AE", "œ", "oe", "Œ", "OE", "ø", "o", "Ø", "O",
	"đ", "d", "Đ", "D", "ð", "d", "Ð", "D", "ł", "l", "Ł", "L", "ħ", "h", "Ħ", "H", "þ", "th", "Þ", "Th", "ı", "i")

// slug makes a name of ASCII letters, digits and _ of any name, beginning with
// a letter; other stands in where nothing is left. Letters lose their marks.
func slug(name, other string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(undecomposed.Replace(name)) {
		if unicode.Is(unicode.Mn, r) {
			continue
		}
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			b.WriteRune(r)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "_") {
			b.WriteByte('_')
		}
	}
	s := strings.Trim(b.String(), "_")
	if s == "" {
		return other
	}
	if s[0] >= '0' && s[0] <= '9' {
		s = other + "_" + s
	}
	return s[:min(len(s), 50)]
}

// word makes a name that expressions can use of any name, and keeps letters of
// every alphabet.
func word(name, other string) string {
	var b strings.Builder
	for _, r := range name {
		if r == '_' || unicode.IsLetter(r) || unicode.Is(unicode.Nd, r) {
			b.WriteRune(r)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "_") {
			b.WriteByte('_')
		}
	}
	s := strings.TrimRight(b.String(), "_")
	switch {
	case s == "":
		return other
	case unicode.Is(unicode.Nd, []rune(s)[0]):
		s = other + "_" + s
	case !mapping.IsName(s):
		s += "_row"
	}
	return s
}

// names gives each name once.
type names map[string]bool

func (n names) take(want string) string {
	name := want
	for i := 2; n[strings.ToLower(name)]; i++ {
		name = want + "_" + strconv.Itoa(i)
	}
	n[strings.ToLower(name)] = true
	return name
}
