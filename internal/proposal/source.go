package proposal

import (
	"net/url"
	"regexp"
	"strings"
)

var plainSource = regexp.MustCompile(`^[A-Za-z0-9_$@:/.{}?=&%+-]+$`)

// Source writes the source of a file, as YAML, with what to say above it. A
// password is left out: whoever reads the file then finds it in DATABASE_URL,
// or where PostgreSQL's own tools look for it. fromEnv says that source came
// out of DATABASE_URL.
func Source(source string, fromEnv bool) (yaml string, notes []string) {
	notes = []string{"The database whose rows are kept at the remotes: postgres://user@host/database, or", "sqlite: and the path of a file."}
	open, secret := withoutPassword(source)
	if secret {
		notes = append(notes, "The password is not in this file: set DATABASE_URL to the whole URL, or have it", "in ~/.pgpass or PGPASSWORD.")
	}
	if (!fromEnv && !secret) || strings.Contains(open, "}") {
		yaml = strings.ReplaceAll(open, "$", "$$")
	} else {
		yaml = "${DATABASE_URL:-" + open + "}"
	}
	if !plainSource.MatchString(yaml) {
		yaml = scalar(yaml, plainText)
	}
	return yaml, notes
}

// withoutPassword drops the passwords that a URL holds, and says whether there
// was any.
func withoutPassword(source string) (string, bool) {
	if !strings.HasPrefix(source, "postgres://") && !strings.HasPrefix(source, "postgresql://") {
		return source, false
	}
	u, err := url.Parse(source)
	if err != nil {
		return "postgres://user@host/database", true // what can't be read may hold one anywhere
	}
	_, secret := u.User.Password()
	if secret {
		u.User = url.User(u.User.Username())
	}
	q := u.Query()
	for name := range q {
		if strings.Contains(strings.ToLower(name), "password") {
			q.Del(name)
			secret = true
		}
	}
	if secret {
		u.RawQuery = q.Encode()
	}
	return u.String(), secret
}
