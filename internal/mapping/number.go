package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/shopspring/decimal"
)

const (
	// divisionScale is how many decimal places a quotient is rounded to.
	divisionScale = 16
	// maxExponent bounds decimals, so that a small text can't become a
	// number of many megabytes.
	maxExponent = 1000
)

var (
	errDivision = errors.New("division by zero")
	errOverflow = errors.New("the integer is too large; use decimal(...)")
	errTooLarge = errors.New("the number is too large or too small")
)

// arithmetic computes a op b for numbers of any of the three kinds.
func arithmetic(op string, a, b any) (any, error) {
	i, aInt := a.(int64)
	j, bInt := b.(int64)
	if aInt && bInt && op != "/" {
		return integers(op, i, j)
	}
	_, aFloat := a.(float64)
	_, bFloat := b.(float64)
	if aFloat || bFloat {
		return floats(op, toFloat(a), toFloat(b))
	}
	x, err := toDecimal(a)
	if err != nil {
		return nil, err
	}
	y, err := toDecimal(b)
	if err != nil {
		return nil, err
	}
	switch op {
	case "+":
		return x.Add(y), nil
	case "-":
		return x.Sub(y), nil
	case "*":
		return bounded(x.Mul(y))
	}
	if y.IsZero() {
		return nil, errDivision
	}
	if op == "%" {
		return x.Mod(y), nil
	}
	return x.DivRound(y, divisionScale), nil
}

func bounded(d decimal.Decimal) (any, error) {
	if e := d.Exponent(); e > maxExponent || e < -maxExponent || d.NumDigits() > maxDigits {
		return nil, errTooLarge
	}
	return d, nil
}

func integers(op string, a, b int64) (any, error) {
	switch op {
	case "+":
		if s := a + b; (s > a) == (b > 0) {
			return s, nil
		}
		return nil, errOverflow
	case "-":
		if s := a - b; (s < a) == (b > 0) {
			return s, nil
		}
		return nil, errOverflow
	case "*":
		hi, lo := bits.Mul64(magnitude(a), magnitude(b))
		if hi != 0 || lo > math.MaxInt64 {
			return nil, errOverflow
		}
		return a * b, nil
	}
	if b == 0 {
		return nil, errDivision
	}
	if b == -1 {
		return int64(0), nil
	}
	return a % b, nil
}

func magnitude(i int64) uint64 {
	if i < 0 {
		return -uint64(i)
	}
	return uint64(i)
}

func floats(op string, a, b float64) (any, error) {
	var r float64
	switch op {
	case "+":
		r = a + b
	case "-":
		r = a - b
	case "*":
		r = a * b
	default:
		if b == 0 {
			return nil, errDivision
		}
		if r = a / b; op == "%" {
			r = math.Mod(a, b)
		}
	}
	return r, nil
}

func negate(v any) (any, error) {
	switch v := v.(type) {
	case int64:
		return integers("-", 0, v)
	case float64:
		return -v, nil
	}
	d, err := toDecimal(v)
	return d.Neg(), err
}

// toDecimal is exact, but for what a float64 has lost before.
func toDecimal(v any) (decimal.Decimal, error) {
	switch v := v.(type) {
	case decimal.Decimal:
		return v, nil
	case int64:
		return decimal.NewFromInt(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return decimal.Decimal{}, fmt.Errorf("%v is not a decimal", v)
		}
		return decimal.NewFromFloat(v), nil
	case json.Number:
		return parseDecimal(v.String())
	case string:
		return parseDecimal(v)
	}
	return decimal.Decimal{}, fmt.Errorf("%s is not a number", jsonWord(v))
}

func parseDecimal(s string) (decimal.Decimal, error) {
	d, err := decimal.NewFromString(s)
	if err != nil || len(s) > maxExponent {
		return decimal.Decimal{}, fmt.Errorf("%q is not a number", shorten(s))
	}
	if _, err := bounded(d); err != nil {
		return decimal.Decimal{}, err
	}
	return d, nil
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

func toFloat(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	case decimal.Decimal:
		f, _ := v.Float64()
		return f
	}
	return math.NaN()
}

// isNumber says whether a value is a number, with it as a decimal.
func isNumber(v any) (decimal.Decimal, bool) {
	switch v.(type) {
	case int64, decimal.Decimal, float64, json.Number:
		d, err := toDecimal(v)
		return d, err == nil
	}
	return decimal.Decimal{}, false
}
