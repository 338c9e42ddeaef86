package netsuitetest

import (
	"encoding/json"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
)

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// maxLines bounds a sublist; the account's own bound is of this order.
const maxLines = 10_000

// applyList merges {"items":[...]} into a sublist.
//
// A keyed sublist: a line whose key is there is updated, a line without a
// key, or with one that matches nothing, is appended. Under ?replace= the
// existing lines that no line of the body matches are removed. A sublist
// without a key is replaced whole, and a static one of a record that is stored
// takes no lines and gives none up.
func (e *edit) applyList(list *sublist, v any, path string) *apiError {
	items, err := listItems(v, path)
	if err != nil {
		return err
	}
	old := e.record.lists[list.name]
	replace := e.replace[strings.ToLower(list.name)]
	if list.key == "" || replace {
		e.record.lists[list.name] = nil
	}
	byKey := map[int]*row{}
	for _, l := range old {
		byKey[l.key] = l
	}
	if list.key == "" {
		clear(byKey)
	}
	kept := map[int]bool{}
	var added []*row
	static := list.static && e.record.id != ""
	for i, item := range items {
		l := byKey[lineKey(list, item)]
		if l == nil && static {
			return errStatic()
		}
		if l == nil {
			l = &row{fields: map[string]any{}}
			added = append(added, l)
		} else {
			kept[l.key] = true
		}
		if err := e.applyRow(list, l, item, path, i); err != nil {
			return err
		}
	}
	if static && replace && len(kept) < len(old) {
		return errStatic()
	}
	var rows []*row
	for _, l := range old {
		if list.key != "" && (!replace || kept[l.key]) {
			rows = append(rows, l)
		}
	}
	for _, l := range added {
		// The number that the body asked for is not honoured: whether the
		// account would is not documented, and nobody may depend on it.
		e.record.lastLine[list.name]++
		l.key = e.record.lastLine[list.name]
		if list.key != "" {
			l.fields[list.key] = amount(strconv.Itoa(l.key))
		}
		if list.field("lineUniqueKey") != nil {
			e.server.lastID["line"]++
			l.fields["lineUniqueKey"] = strconv.Itoa(e.server.lastID["line"])
		}
		rows = append(rows, l)
	}
	if len(rows) > maxLines {
		return errContent(path, "Error while accessing resource: The sublist "+list.name+" has too many lines.")
	}
	for _, l := range old {
		if replace && !kept[l.key] && number(l.fields["quantityFulfilled"]).Sign()+number(l.fields["quantityBilled"]).Sign() > 0 {
			// The account's own words are not recorded in public.
			return errUser("You cannot delete line " + strconv.Itoa(l.key) + " because it has been fulfilled or billed.")
		}
	}
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].key < rows[j].key })
	e.record.lists[list.name] = rows
	return nil
}

// errStatic has the words of the account's scripts; those of REST, and whether
// it matches such lines by orderLine too, are not recorded in public.
func errStatic() *apiError {
	return errUser("You have attempted an invalid sublist or line item operation. You are either trying to access a field on a non-existent line or you are trying to add or remove lines from a static sublist.")
}

func listItems(v any, path string) ([]map[string]any, *apiError) {
	if v == nil {
		return nil, nil
	}
	bad := errContent(path, "Error while accessing resource: Invalid content of the sublist "+path+": an object with an array of items is expected.")
	m, ok := v.(map[string]any)
	if !ok {
		return nil, bad
	}
	raw, ok := m["items"].([]any)
	if !ok {
		return nil, bad
	}
	out := make([]map[string]any, len(raw))
	for i, x := range raw {
		if out[i], ok = x.(map[string]any); !ok {
			return nil, errContent(linePath(path, i, ""), bad.detail)
		}
	}
	return out, nil
}

func lineKey(list *sublist, item map[string]any) int {
	for name, v := range item {
		if list.key != "" && strings.EqualFold(name, list.key) {
			if n, ok := v.(json.Number); ok {
				if k, err := strconv.Atoi(n.String()); err == nil {
					return k
				}
			}
			if t, ok := v.(string); ok && list.key == "id" {
				k, _ := strconv.Atoi(t)
				return k
			}
		}
	}
	return 0
}

func (e *edit) applyRow(list *sublist, l *row, item map[string]any, path string, i int) *apiError {
	set := map[string]bool{}
	for _, name := range sortedKeys(item) {
		if list.key != "" && strings.EqualFold(name, list.key) {
			continue
		}
		f, err := e.allowed(list.field(name), name, linePath(path, i, name))
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		if err := e.set(l.fields, f, item[name], linePath(path, i, f.name)); err != nil {
			return err
		}
		set[f.name] = true
	}
	for _, f := range list.fields {
		if f.required && l.fields[f.name] == nil {
			return errContent(linePath(path, i, f.name), "Error while accessing resource: Please enter value(s) for: "+f.label)
		}
	}
	if e.touched == nil {
		e.touched = map[*row]map[string]bool{}
	}
	e.touched[l] = set
	return nil
}
