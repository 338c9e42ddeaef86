package exchange

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// longestRetryAfter keeps what a remote asks for within what can be counted. How
// much of it is waited is for who calls.
const longestRetryAfter = 365 * 24 * time.Hour

// RetryAfter reads the header of that name, as seconds or as a date (RFC 9110,
// section 10.2.3); zero if there is none, a year at most.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.Atoi(v); err == nil {
		return time.Duration(min(max(n, 0), int(longestRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(at.Sub(now), 0), longestRetryAfter)
	}
	return 0
}

// IsJSON tells a remote's own answers from pages of gateways and portals:
// application/json, and every media type that ends in +json.
func IsJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// Cut shortens a remote's words to most bytes, at a whole character, and makes
// them valid UTF-8.
func Cut(s string, most int) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= most {
		return s
	}
	i := most
	for i > 0 && !utf8.RuneStart(s[i]) {
		i--
	}
	return s[:i] + "..."
}
