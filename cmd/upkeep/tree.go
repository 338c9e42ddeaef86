package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep"
)

// tree prints a composite: columns first, then the rows below, indented.
type tree struct{ w io.Writer }

const treeRows = 50 // rows of one relation that are shown

func (t tree) row(r upkeep.Row, depth int) {
	indent := strings.Repeat("  ", depth)
	var relations []string
	for _, name := range slices.Sorted(maps.Keys(r)) {
		switch r[name].(type) {
		case upkeep.Row, []upkeep.Row:
			relations = append(relations, name)
		default:
			fmt.Fprintf(t.w, "%s%s: %s\n", indent, oneLine(name), value(r[name]))
		}
	}
	for _, name := range relations {
		switch v := r[name].(type) {
		case upkeep.Row:
			if v == nil {
				fmt.Fprintf(t.w, "%s%s: none\n", indent, oneLine(name))
				continue
			}
			fmt.Fprintf(t.w, "%s%s\n", indent, oneLine(name))
			t.row(v, depth+1)
		case []upkeep.Row:
			fmt.Fprintf(t.w, "%s%s: %d\n", indent, oneLine(name), len(v))
			for i, one := range v {
				if i == treeRows {
					fmt.Fprintf(t.w, "%s  ... and %d more\n", indent, len(v)-i)
					break
				}
				fmt.Fprintf(t.w, "%s- %d\n", indent+"  ", i+1)
				t.row(one, depth+2)
			}
		}
	}
}

const valueMost = 200 // characters of a value that are shown

// value is one column's value on one line.
func value(v any) string {
	var s string
	switch v := v.(type) {
	case nil:
		return "null"
	case error:
		s = "can't be used: " + v.Error()
	case string:
		s = strconv.Quote(v)
	case decimal.Decimal:
		s = v.String()
	case time.Time:
		s = v.Format(time.RFC3339Nano)
	case []byte:
		return number(int64(len(v)), "byte")
	case fmt.Stringer:
		s = v.String()
	case map[string]any, []any:
		b, err := json.Marshal(v)
		if err != nil {
			return "a value that is no JSON: " + err.Error()
		}
		s = string(b)
	default:
		s = fmt.Sprint(v)
	}
	s = oneLine(s)
	if r := []rune(s); len(r) > valueMost {
		s = string(r[:valueMost]) + "..."
	}
	return s
}
