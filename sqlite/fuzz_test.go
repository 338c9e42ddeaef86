package sqlite

import (
	"bytes"
	"database/sql"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// FuzzLiterals: what quote() writes of values is read as these values, and of
// whatever else stands in the log something is read or nothing, without a panic.
func FuzzLiterals(f *testing.F) {
	for _, s := range []string{"", "a\x00'b", "'a''b',NULL", "X'00ff',T'6100'", "1,-2,9.0e+999", "'", "X'0", "1,", "''''", "X'zz'", "9223372036854775808"} {
		f.Add(s, []byte(s), int64(len(s)), 0.5)
	}
	f.Fuzz(func(t *testing.T, text string, blob []byte, n int64, x float64) {
		if vs, err := literals(text); err == nil && len(vs) == 0 {
			t.Errorf("%q is read as nothing", text)
		}
		(&logRow{}).decode(sql.NullString{String: `["a"]`, Valid: true}, sql.NullString{String: text, Valid: true}, sql.NullString{}, sql.NullString{String: text, Valid: true})
		if math.IsNaN(x) {
			return // NULL, to SQLite
		}
		quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
		if strings.ContainsRune(text, 0) {
			quoted = "T'" + hex.EncodeToString([]byte(text)) + "'"
		}
		number := fmt.Sprintf("%.17e", x)
		if math.IsInf(x, 0) {
			number = strings.TrimPrefix(fmt.Sprintf("%+.1fe+999", math.Copysign(9, x)), "+")
		}
		row := strings.Join([]string{quoted, fmt.Sprintf("X'%X'", blob), fmt.Sprint(n), number, "NULL", quoted}, ",")
		vs, err := literals(row)
		if err != nil || len(vs) != 6 {
			t.Fatalf("%s: %v, %v", row, vs, err)
		}
		b, isBlob := vs[1].([]byte)
		if vs[0] != text || vs[5] != text || !isBlob || !bytes.Equal(b, blob) || vs[2] != n || vs[3] != x || vs[4] != nil {
			t.Errorf("%s is read as %#v", row, vs)
		}
	})
}

// FuzzSpelling: the spelling of a key that needs no look at the table is the one
// that the table's columns would keep, and that one is its own spelling.
func FuzzSpelling(f *testing.F) {
	for _, s := range []string{"7", "+7", "007", " 7 ", "7.0", "1e3", "x", "", "9223372036854775808", "-0", `a\,b`, "7,8"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		for _, columns := range [][]store.Column{
			{{Name: "id", Kind: store.Int, Type: "integer"}},
			{{Name: "code", Kind: store.Text, Type: "text"}},
			{{Name: "price", Kind: store.Decimal, Type: "numeric"}},
			{{Name: "id", Kind: store.Int, Type: "integer"}, {Name: "code", Kind: store.Text, Type: "text"}},
		} {
			own, fits := written(columns, key)
			if sure, _ := sureOf(columns, []string{key}); sure[key] != "" && (!fits || sure[key] != own) {
				t.Errorf("%q is surely %q, and written as %q, %v", key, sure[key], own, fits)
			}
			if !fits {
				continue
			}
			if again, fits := written(columns, own); !fits || again != own {
				t.Errorf("%q is written as %q, and that as %q, %v", key, own, again, fits)
			}
		}
	})
}
