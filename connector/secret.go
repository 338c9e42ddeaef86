package connector

import (
	"fmt"
	"io"
	"log/slog"
)

const mask = "***"

// Secret is a text that never shows itself: printed, logged or encoded in any
// way it is "***". It is read from text, YAML and JSON as a plain string. The
// zero value is no secret.
type Secret string

// Reveal returns the secret itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// String is "***", or "" when there is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// Format writes String for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String; JSON and YAML encoders use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the text as it is; JSON and YAML decoders use it.
func (s *Secret) UnmarshalText(b []byte) error {
	*s = Secret(b)
	return nil
}
