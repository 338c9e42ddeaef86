package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

const maxSecretFile = 1 << 20

// expand replaces ${NAME}, ${NAME:-default} and ${file:path} in a scalar, and
// $$ by a dollar sign.
func (r *reader) expand(v *value) string {
	s, _ := r.expandText(v.text, func(offset int, message, help string) {
		r.fail(r.placeIn(v, offset), message, help)
	})
	return s
}

// expandSecret is expand that reports a variable with nothing in it.
func (r *reader) expandSecret(v *value) string {
	r.secretly = true
	defer func() { r.secretly = false }()
	return r.expand(v)
}

// expandText is expand for a text; fail is told problems with their offset
// in characters. It also says whether anything was replaced.
//
// In a template $$ stays $$, which is a dollar sign there too, and what a
// variable holds is escaped: it is text, never a placeholder.
func (r *reader) expandText(s string, fail func(offset int, message, help string)) (string, bool) {
	if !strings.Contains(s, "$") {
		return s, false
	}
	var b strings.Builder
	runes := []rune(s)
	for i := 0; i < len(runes); i++ {
		rest := string(runes[i:])
		switch {
		case strings.HasPrefix(rest, "$$"):
			b.WriteString(r.dollars("$"))
			i++
		case strings.HasPrefix(rest, "${"):
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				fail(i, "${ without a closing }", "write ${NAME}, or $$ for a dollar sign")
				return b.String(), true
			}
			b.WriteString(r.dollars(r.lookup(rest[2:end], func(message, help string) { fail(i, message, help) })))
			i += len([]rune(rest[:end]))
		default:
			b.WriteRune(runes[i])
		}
	}
	return b.String(), true
}

// dollars escapes a text for a template.
func (r *reader) dollars(s string) string {
	if !r.template {
		return s
	}
	return strings.ReplaceAll(s, "$", "$$")
}

// lookup is the value of what stands between ${ and }.
func (r *reader) lookup(inner string, fail func(message, help string)) string {
	if path, ok := strings.CutPrefix(inner, "file:"); ok {
		s, err := r.readFile(path)
		if err != nil {
			fail(fmt.Sprintf("can't read the file %s: %v", path, err), "check its path and its rights; a relative path starts at the configuration's folder")
			return ""
		}
		r.checkEmpty(s, inner, fail)
		return r.secret(s)
	}
	name, fallback, hasFallback := strings.Cut(inner, ":-")
	if !variableName.MatchString(name) {
		fail(fmt.Sprintf("${%s} does not name a variable", inner), "write ${NAME}, ${NAME:-default} or ${file:path}, and $$ for a dollar sign")
		return ""
	}
	s, ok := r.env(name)
	if ok && (s != "" || !hasFallback) {
		r.checkEmpty(s, inner, fail)
		return r.secret(s)
	}
	if hasFallback {
		r.checkEmpty(fallback, inner, fail)
	} else {
		fail(fmt.Sprintf("the environment variable %s is not set", name), fmt.Sprintf("set it, or write ${%s:-default}", name))
	}
	return fallback
}

// checkEmpty reports what a variable lacks that is in a secret.
func (r *reader) checkEmpty(s, inner string, fail func(message, help string)) {
	if !r.secretly || strings.TrimSpace(s) != "" {
		return
	}
	name, _, _ := strings.Cut(inner, ":-")
	what := "set the environment variable " + name
	if path, ok := strings.CutPrefix(inner, "file:"); ok {
		what = "write the secret into the file " + path
	}
	fail(fmt.Sprintf("${%s} is empty, and a secret can't be", inner), what+", or leave the key out if there is none")
}

// secret remembers a value, so that it is never shown.
func (r *reader) secret(s string) string {
	if len(s) >= 4 {
		for _, have := range r.secrets {
			if have == s {
				return s
			}
		}
		r.secrets = append(r.secrets, s)
	}
	return s
}

// readFile reads a small text file, without the line break at its end.
func (r *reader) readFile(path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(r.name), path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", plainError(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", plainError(err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", plainError(err)
	}
	if len(b) > maxSecretFile {
		return "", fmt.Errorf("it is larger than %d bytes", maxSecretFile)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}

// plainError drops the path, which the message has already.
func plainError(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// expression is an expression with its variables taken out: each ${...}
// outside a string is the name of a constant of the same length, so that
// places stay; inside a string it is replaced when the string is compiled.
// What the environment holds is therefore never read as code.
type expression struct {
	at        *value
	source    string
	constants map[string]string
}

func (r *reader) expression(v *value) *expression {
	e := &expression{at: v, constants: map[string]string{}}
	runes := []rune(v.text)
	var quote rune
	for i := 0; i < len(runes); i++ {
		c := runes[i]
		switch {
		case quote != 0 && c == '\\' && quote != '`':
			i++
			continue
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\'' || c == '`'):
			quote = c
		case quote != 0 && c == '$' && i+1 < len(runes) && runes[i+1] == '$':
			i++
			continue
		}
		if c != '$' || i+1 >= len(runes) || runes[i+1] != '{' {
			continue
		}
		end := i
		for end < len(runes) && runes[end] != '}' {
			end++
		}
		if end == len(runes) {
			r.fail(r.placeIn(v, i), "${ without a closing }", "write ${NAME}")
			break
		}
		start := i
		s := r.lookup(string(runes[i+2:end]), func(message, help string) { r.fail(r.placeIn(v, start), message, help) })
		if quote == 0 {
			name := []rune("$" + strconv.Itoa(len(e.constants)))
			for len(name) < end-i+1 {
				name = append(name, '_')
			}
			copy(runes[i:end+1], name)
			e.constants[string(name)] = s
		}
		i = end
	}
	e.source = string(runes)
	return e
}

// literal is the text of a string literal with its variables replaced.
func (r *reader) literal(s string) string {
	out, _ := r.expandText(s, func(int, string, string) {}) // reported by expression
	return out
}
