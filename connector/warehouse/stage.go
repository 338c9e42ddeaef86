package warehouse

import (
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"

	"github.com/upkeep-sync/upkeep/connector"
)

func newWrite(c *Connection, conn *sql.Conn, b *batch) *write {
	w := &write{Connection: c, conn: conn, b: b}
	w.stage = &stage{columns: []column{
		{name: "n", class: integer, typ: c.dialect.typeOf(connector.Integer)}, {name: "g", class: integer, typ: c.dialect.typeOf(connector.Integer)},
		{name: "m", class: text, typ: c.dialect.typeOf(connector.Text)}, {name: "k", class: text, typ: c.dialect.typeOf(connector.Text)},
		{name: "v", class: integer, typ: c.dialect.typeOf(connector.Integer)},
	}}
	for i, column := range b.columns {
		column.name = "c" + strconv.Itoa(i)
		w.stage.columns = append(w.stage.columns, column)
	}
	for _, child := range b.lists {
		s := &stage{columns: []column{w.stage.columns[0], {name: "p", class: integer, typ: w.stage.columns[0].typ}}}
		for i, name := range child.names() {
			column := child.columns[name]
			column.name = "c" + strconv.Itoa(i)
			s.columns = append(s.columns, column)
		}
		w.lists = append(w.lists, s)
	}
	groups := map[string]int{}
	for n, r := range b.rows {
		w.add(n, r, groups)
	}
	w.stage.name = w.stage.digest("")
	for i, s := range w.lists {
		s.name = s.digest(strconv.Itoa(i))
	}
	return w
}

// digest names a stage after its columns: a temporary table may outlive the
// transaction, and is used again by one that wants the same.
func (s *stage) digest(salt string) string {
	h := fnv.New64a()
	for _, c := range s.columns {
		fmt.Fprintf(h, "%s %s,", c.name, c.typ)
	}
	return fmt.Sprintf("upkeep_stage_%x%s", h.Sum64(), salt)
}

// add stages row n.
func (w *write) add(n int, r *row, groups map[string]int) {
	mask := make([]byte, 0, len(w.b.columns)+len(w.b.lists))
	cells := make([]cell, 5, len(w.stage.columns))
	var set []int
	for i, c := range w.b.columns {
		v, ok := r.cells[c.name]
		if !ok {
			v.null = true
		} else {
			set = append(set, i)
		}
		cells = append(cells, v)
		mask = append(mask, mark(ok))
	}
	fields := string(mask)
	for i, child := range w.b.lists {
		elements, ok := r.lists[child.field]
		mask = append(mask, mark(ok))
		for p, e := range elements {
			w.lists[i].rows = append(w.lists[i].rows, slices.Concat([]cell{number(int64(n)), number(int64(p))}, e))
		}
	}
	group := updated
	switch r.action {
	case connector.Delete:
		group = deleted
	case connector.Create:
		known := false
		if group, known = groups[fields]; !known {
			group = len(w.sets)
			groups[fields] = group
			w.sets = append(w.sets, set)
			w.count = append(w.count, 0)
		}
		w.count[group]++
	}
	cells[0], cells[1], cells[2], cells[3], cells[4] = number(int64(n)), number(int64(group)), cell{text: string(mask)}, cell{text: r.key}, number(r.version)
	w.stage.rows = append(w.stage.rows, cells)
}

func mark(set bool) byte {
	if set {
		return '1'
	}
	return '0'
}

func number(n int64) cell { return cell{text: strconv.FormatInt(n, 10)} }

// name tells which record and field an error of loading a stage is about.
func (w *write) name(s *stage, err error) error {
	var one *rowError
	if !errors.As(err, &one) || one.row >= len(s.rows) {
		return err
	}
	n, convErr := strconv.Atoi(s.rows[one.row][0].text)
	e, _ := w.dialect.judge(one.err)
	if convErr != nil || e == nil || e.Kind != connector.Rejected {
		return one.err
	}
	field := ""
	for i, c := range s.columns {
		if c.name != one.column {
			continue
		}
		for l := range w.lists {
			if w.lists[l] == s && i >= 2 {
				field = w.b.lists[l].field + "." + w.b.lists[l].names()[i-2]
			}
		}
		if s == w.stage && i >= 5 {
			field = w.b.columns[i-5].name
		}
	}
	if field != "" {
		e.Message = "field " + field + ": " + e.Message
	}
	return &blame{row: w.b.rows[n], err: e}
}
