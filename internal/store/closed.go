package store

// Closed says whether an error is that of a pool of connections that the program
// has closed itself: no later try can do better. Neither pgx nor database/sql
// exports the error, so it is known by its text.
func Closed(err error) bool {
	switch inner := err.(type) {
	case nil:
		return false
	case interface{ Unwrap() error }:
		return Closed(inner.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range inner.Unwrap() {
			if Closed(e) {
				return true
			}
		}
		return false
	}
	text := err.Error()
	return text == "closed pool" || text == "sql: database is closed"
}
