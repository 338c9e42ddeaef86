package store

import (
	"slices"
	"strings"
)

// Labels are what the labels of enums are called, in the columns that a sync reads: by
// the column ("public.tickets.state"), then by what tells a label apart from the others
// of its type whatever it is called, the names that it has had, the newest last.
type Labels map[string]map[string][]string

// Labels are the shape's own, each with the one name that it has.
func (s *Shape) Labels() Labels {
	all := Labels{}
	s.Root.Walk(func(_ string, m, _ *Member) {
		for _, c := range slices.Concat(m.Key, m.Columns, m.Fragment) {
			if c.Labels == "" {
				continue
			}
			column := m.Table.String() + "." + c.Name
			if all[column] == nil {
				all[column] = map[string][]string{}
			}
			for line := range strings.SplitSeq(c.Labels, "\n") {
				label, name, _ := strings.Cut(line, " ")
				all[column][label] = []string{name}
			}
		}
	})
	return all
}
