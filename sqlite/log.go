package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// logRow is one row of the touch log.
type logRow struct {
	id        int64
	table, op string
	old, new  map[string]any // logged column to value; nil: there is none
	changed   []string       // columns; nil: all, or not known
	at        sql.NullInt64
	id2       store.ID // the group, for touches by hand and references
	force     bool
	deleted   bool
}

// Append writes touches by hand. tx is a *sql.Tx on this database, or nil.
// It implements [store.Log].
func (d *DB) Append(ctx context.Context, tx any, touches []store.Touch) error {
	const what = "append touches"
	if len(touches) == 0 {
		return nil
	}
	type row struct {
		Op, Sync, Key  string
		Force, Deleted bool
	}
	list := make([]row, len(touches))
	for i, t := range touches {
		op := "touch"
		switch {
		case t.Deleted:
			op = "delete"
		case t.Register:
			op = "register"
		case t.Force:
			op = "resync"
		}
		list[i] = row{op, t.Sync, t.Key, t.Force, t.Deleted}
	}
	arg, err := json.Marshal(list)
	if err != nil {
		return explain(what, err)
	}
	add := func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO upkeep_touch (op, sync, key, force, deleted, at)
			SELECT value->>'Op', value->>'Sync', value->>'Key', value->>'Force', value->>'Deleted', ?2 FROM json_each(?1) ORDER BY key`, string(arg), d.now())
		return err
	}
	switch tx := tx.(type) {
	case nil:
		return d.update(ctx, what, add)
	case *sql.Tx:
		return explain(what, add(tx))
	}
	return fmt.Errorf("%s: a transaction on SQLite is a *sql.Tx, not a %T", what, tx)
}

// readLog reads the oldest rows of the log: up to limit, or all up to an id.
func readLog(ctx context.Context, tx *sql.Tx, limit int, upto int64) ([]logRow, error) {
	if upto > 0 {
		return queryLog(ctx, tx, `WHERE id <= ?1 ORDER BY id`, upto)
	}
	return queryLog(ctx, tx, `ORDER BY id LIMIT ?1`, int64(limit))
}

// logOf reads what the log has of a table's rows.
func logOf(ctx context.Context, tx *sql.Tx, table string) ([]logRow, error) {
	return queryLog(ctx, tx, `WHERE tbl = ?1 AND op NOT IN ('replacing', 'nothing') ORDER BY id`, table)
}

func queryLog(ctx context.Context, tx *sql.Tx, rest string, arg any) ([]logRow, error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, tbl, op, names, old, new, cols, at, coalesce(sync, ''), coalesce(key, ''), force, deleted
		FROM upkeep_touch `+rest, arg)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []logRow
	for rows.Next() {
		var r logRow
		var names, old, new, cols sql.NullString
		if err := rows.Scan(&r.id, &r.table, &r.op, &names, &old, &new, &cols, &r.at, &r.id2.Sync, &r.id2.Key, &r.force, &r.deleted); err != nil {
			return nil, err
		}
		r.decode(names, old, new, cols)
		all = append(all, r)
	}
	return all, rows.Err()
}

// decode reads what a trigger wrote. What can't be read stays unknown, which
// widens the touch and never loses it.
func (r *logRow) decode(names, old, new, cols sql.NullString) {
	var logged []string
	if json.Unmarshal([]byte(names.String), &logged) != nil {
		return
	}
	values := func(s sql.NullString) map[string]any {
		if !s.Valid {
			return nil
		}
		m := map[string]any{}
		if vs, err := literals(s.String); err == nil && len(vs) == len(logged) {
			for i, n := range logged {
				m[n] = vs[i]
			}
		}
		return m
	}
	r.old, r.new = values(old), values(new)
	if cols.Valid {
		if json.Unmarshal([]byte("["+strings.TrimSuffix(cols.String, ",")+"]"), &r.changed) != nil {
			r.changed = nil
		}
	}
}

// literals reads SQL literals joined by commas, as quote() writes them (and
// T'hex' for a text with NUL in it).
func literals(s string) ([]any, error) {
	var all []any
	for {
		v, rest, err := cutLiteral(s)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
		if rest == "" {
			return all, nil
		}
		if rest[0] != ',' {
			return nil, errors.New("a comma was expected in a logged row")
		}
		s = rest[1:]
	}
}

func cutLiteral(s string) (v any, rest string, err error) {
	if len(s) > 1 && s[1] == '\'' && (s[0] == 'X' || s[0] == 'T') {
		end := strings.IndexByte(s[2:], '\'')
		if end < 0 {
			return nil, "", errors.New("a quote is open in a logged row")
		}
		b, err := hex.DecodeString(s[2 : 2+end])
		if s[0] == 'T' {
			return string(b), s[3+end:], err
		}
		return b, s[3+end:], err
	}
	if strings.HasPrefix(s, "'") {
		var b strings.Builder
		for i := 1; i < len(s); i++ {
			if s[i] != '\'' {
				b.WriteByte(s[i])
			} else if i+1 < len(s) && s[i+1] == '\'' {
				b.WriteByte(s[i])
				i++
			} else {
				return b.String(), s[i+1:], nil
			}
		}
		return nil, "", errors.New("a quote is open in a logged row")
	}
	word, rest := s, ""
	if i := strings.IndexByte(s, ','); i >= 0 {
		word, rest = s[:i], s[i:]
	}
	if word == "NULL" {
		return nil, rest, nil
	}
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		return n, rest, nil
	}
	f, err := strconv.ParseFloat(word, 64)
	if errors.Is(err, strconv.ErrRange) { // infinity is written as 9.0e+999
		err = nil
	}
	return f, rest, err
}

// tuple takes columns out of logged values. known is false if one was not
// logged; ok is false if one is NULL (which refers to nothing).
func tuple(values map[string]any, cols []store.Column) (t []any, known, ok bool) {
	for _, c := range cols {
		v, there := values[c.Name]
		if !there {
			return nil, false, false
		}
		if v == nil {
			return nil, true, false
		}
		t = append(t, v)
	}
	return t, true, true
}

// keyOf is the text form of logged key values, as keyExpr has it in SQL.
func keyOf(t []any) (string, error) {
	parts := make([]any, len(t))
	for i, v := range t {
		switch v := v.(type) {
		case []byte:
			parts[i] = string(v)
		case float64:
			parts[i] = realText(v)
		default:
			parts[i] = v
		}
	}
	return store.Key(parts...)
}

// realText is a REAL as SQLite casts it to text.
func realText(f float64) string {
	if math.IsInf(f, 0) {
		return strings.TrimPrefix(strconv.FormatFloat(f, 'g', 15, 64), "+")
	}
	s := strconv.FormatFloat(f, 'g', 15, 64)
	mantissa, exponent, found := strings.Cut(s, "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	if found {
		return mantissa + "e" + exponent
	}
	return mantissa
}

// keyExpr is the SQL of the text form of a row's key.
func keyExpr(row string, key []store.Column) string {
	if len(key) == 1 {
		return fmt.Sprintf(`CAST(%s.%s AS TEXT)`, row, ident(key[0].Name))
	}
	parts := make([]string, len(key))
	for i, c := range key {
		parts[i] = fmt.Sprintf(`replace(replace(CAST(%s.%s AS TEXT), '\', '\\'), ',', '\,')`, row, ident(c.Name))
	}
	return strings.Join(parts, ` || ',' || `)
}

// jsonTuple puts values into a JSON array that valueExpr reads back in SQL.
func jsonTuple(t []any) []any {
	out := make([]any, len(t))
	for i, v := range t {
		switch v := v.(type) {
		case []byte:
			out[i] = map[string]string{"b": hex.EncodeToString(v)}
		case float64:
			out[i] = json.Number(realJSON(v))
		default:
			out[i] = v
		}
	}
	return out
}

// realJSON keeps a REAL a REAL: JSON's 1 would come back as an integer.
func realJSON(f float64) string {
	s := strconv.FormatFloat(f, 'e', -1, 64)
	if strings.Contains(s, "Inf") {
		return strings.Replace(strings.TrimPrefix(s, "+"), "Inf", "9.0e999", 1)
	}
	return s
}

// valueExpr is the i-th value of a JSON array: without an affinity, so that a
// comparison takes the column's and can use the column's index.
func valueExpr(array string, i int) string {
	return fmt.Sprintf(`(CASE json_type(%s, '$[%d]') WHEN 'object' THEN unhex(json_extract(%s, '$[%d].b')) ELSE json_extract(%s, '$[%d]') END)`,
		array, i, array, i, array, i)
}

// match is the condition that columns of row equal the values of an array.
func match(row string, cols []store.Column, array string) string {
	parts := make([]string, len(cols))
	for i, c := range cols {
		parts[i] = fmt.Sprintf(`%s.%s = %s`, row, ident(c.Name), valueExpr(array, i))
	}
	return strings.Join(parts, " AND ")
}
