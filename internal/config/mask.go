package config

import (
	"regexp"
	"strings"
)

const secretWords = `(?:secret|password|passwd|passphrase|token|private|credential|bearer|api[_-]?key|consumer_key|certificate_key|authorization|x-auth|x-[a-z0-9-]*key|cookie|signature)`

var (
	secretName  = regexp.MustCompile(`(?i)` + secretWords)
	secretKey   = regexp.MustCompile(`(?i)^(\s*(?:-\s+)?["']?[a-z0-9_.-]*` + secretWords + `[a-z0-9_.-]*["']?\s*:\s*)(.*)$`)
	secretEntry = regexp.MustCompile(`(?i)((?:^|[{,])\s*["']?[a-z0-9_.-]*` + secretWords + `[a-z0-9_.-]*["']?\s*:\s*)("(?:[^"\\]|\\.)*"?|'[^']*'?|\$\{[^}]*\}[^,}]*|[^,}]*)`)
	urlPassword = regexp.MustCompile(`(://[^:/@\s]*:)([^@\s]+)(@)`)
	armour      = regexp.MustCompile(`[A-Za-z0-9+/=_-]{40,}`)
	longName    = regexp.MustCompile(`^(?:[a-z_]{1,100}|[A-Z_]{1,100})$`)
	variable    = regexp.MustCompile(`^["']?\$\{(?:file:)?[^}:]*\}["']?\s*(?:#.*)?$`) // without a default
)

// mask blots out what looks like a secret written in the file itself, so that
// an excerpt can be shown: values of keys that sound like one, passwords in
// URLs, and long runs of key material. Under fields of a sync a name means less;
// see [fieldLines]. Lengths stay, so that carets fit.
func mask(lines []string) []string {
	out := make([]string, len(lines))
	block := -1 // indentation of a secret's key whose value goes on below
	fields := &fieldLines{indent: -1}
	for i, line := range lines {
		blot := stars
		if fields.next(line) {
			blot = constants
		}
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if block >= 0 && (strings.TrimSpace(line) == "" || indent > block) {
			out[i] = line[:indent] + stars(line[indent:])
			continue
		}
		block = -1
		if m := secretKey.FindStringSubmatchIndex(line); m != nil {
			value := line[m[4]:m[5]]
			if !variable.MatchString(value) && !strings.HasPrefix(value, "{") && !strings.HasPrefix(value, "[") {
				shown := blot(value)
				if strings.TrimSpace(value) != "" && shown == stars(value) {
					block = indent
				}
				out[i] = armour.ReplaceAllStringFunc(line[:m[4]]+shown, stars)
				continue
			}
		}
		line = blank(secretEntry, line, blot)
		line = blank(urlPassword, line, stars)
		out[i] = armour.ReplaceAllStringFunc(line, starsOfKeys)
	}
	return out
}

// blank blots out the second group of each match, unless it is a variable. A
// map or a list is looked into.
func blank(re *regexp.Regexp, line string, blot func(string) string) string {
	var b strings.Builder
	for {
		m := re.FindStringSubmatchIndex(line)
		if m == nil {
			return b.String() + line
		}
		value, end := line[m[4]:m[5]], m[5]
		switch {
		case strings.HasPrefix(value, "{"), strings.HasPrefix(value, "["):
			value, end = "", m[4]
		case !variable.MatchString(value):
			value = blot(value)
		}
		b.WriteString(line[:m[4]] + value)
		line = line[end:]
	}
}

// starsOfKeys leaves a long name of a table or a record type readable: letters of
// one case and underscores alone, which no key material of this length is.
func starsOfKeys(s string) string {
	if longName.MatchString(s) {
		return s
	}
	return stars(s)
}

func stars(s string) string { return strings.Repeat("*", len([]rune(s))) }
