package mapping

import "errors"

// An expression ends, since it has no loops of its own; but closures nest, and
// a text or a list may double with each step. What one evaluation may cost is
// therefore bounded, whatever the rows are.
const (
	// maxWork is how many elements an evaluation may visit and make. 64
	// bytes of text that is made count as one.
	maxWork = 10_000_000
	// maxText is the longest text that a function may make, in bytes.
	maxText = 8 << 20
	// maxDigits bounds products, whose digits double when a number is squared.
	maxDigits = 2 * maxExponent
)

var (
	errWork = errors.New("it computes too much for one record (more than 10,000,000 elements, or 600 MB of text); let the database do it, or write a Go function")
	errText = errors.New("it makes a text of more than 8 MB")
)

// spend counts work.
func (f *frame) spend(n int) error {
	if f.work += n; f.work > maxWork || n < 0 {
		return errWork
	}
	return nil
}

// made counts what a function has made.
func (f *frame) made(v any) error {
	switch v := v.(type) {
	case string:
		if len(v) > maxText {
			return errText
		}
		return f.spend(len(v) / 64)
	case []any:
		return f.spend(len(v))
	}
	return nil
}
