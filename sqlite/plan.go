package sqlite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// planner makes the jobs of a batch.
type planner struct {
	jobs    []*job
	byName  map[string]*job
	direct  *hits
	watched map[string]*watched
}

// planJobs says what is to be resolved for the log rows: groups that a row
// names itself, and jobs for the others. The same rows and shapes always
// give the same jobs in the same order.
func planJobs(shapes []*store.Shape, rows []logRow) ([]*job, *hits) {
	p := &planner{byName: map[string]*job{}, direct: newHits(rows), watched: watchedTables(shapes)}
	shapes = slices.SortedFunc(slices.Values(shapes), func(a, b *store.Shape) int { return strings.Compare(a.Sync, b.Sync) })
	byHand := map[string]bool{}
	for _, s := range shapes {
		byHand[s.Sync] = s.ByHand
	}
	for i := range rows {
		r := &rows[i]
		switch {
		case r.op == "replacing" || r.op == "nothing": // nothing was replaced after all
		case r.op == "reference":
			p.reference(r, i)
		case r.table == "":
			if _, known := byHand[r.id2.Sync]; known {
				p.direct.add(hit{id: r.id2, create: r.op == "register", force: r.force, fate: handFate(r), touches: 1, row: i})
			}
		default:
			for _, s := range shapes {
				p.row(s, r, i)
			}
		}
	}
	return p.jobs, p.direct
}

// row finds what one logged row means for a sync.
func (p *planner) row(s *store.Shape, r *logRow, i int) {
	ways(s, func(path string, way []*store.Member) {
		m := way[len(way)-1]
		if m.Table.Name != r.table || !p.matters(m, r) {
			return
		}
		p.direct.keys[r.table] = m.Key
		if len(way) == 1 {
			p.rootRow(s, r, i)
			return
		}
		for _, values := range []map[string]any{r.old, r.new} {
			if values == nil {
				continue
			}
			t, known, ok := tuple(values, ownSide(m))
			if !known {
				p.everything(s, i)
				return
			}
			if ok {
				p.job(s, path, func() string { return upward(s, way) }).add(t, i)
			}
		}
	})
}

// ways calls f for each member of a shape, with the members from the root to it.
func ways(s *store.Shape, f func(path string, way []*store.Member)) {
	var way []*store.Member
	depth := map[*store.Member]int{}
	s.Root.Walk(func(path string, m, parent *store.Member) {
		if parent != nil {
			depth[m] = depth[parent] + 1
		}
		way = append(way[:depth[m]], m)
		f(path, way)
	})
}

// matters reports whether a change can change m's part of a group. A column
// that no sync watches (any more) may have been renamed: it matters to all.
func (p *planner) matters(m *store.Member, r *logRow) bool {
	if r.op != "update" || r.changed == nil {
		return true
	}
	used := usedBy(m)
	return slices.ContainsFunc(r.changed, func(c string) bool {
		return slices.Contains(used, c) || !slices.Contains(p.watched[r.table].cols, c)
	})
}

// rootRow adds the groups of a changed row of the root table.
func (p *planner) rootRow(s *store.Shape, r *logRow, i int) {
	var keys [2]*string
	for k, values := range []map[string]any{r.old, r.new} {
		if values == nil {
			continue
		}
		t, known, ok := tuple(values, s.Root.Key)
		if !known {
			p.everything(s, i)
			return
		}
		if !ok {
			continue
		}
		key, err := keyOf(t)
		if err != nil {
			p.everything(s, i)
			return
		}
		keys[k] = &key
	}
	old, new := keys[0], keys[1]
	moved := old != nil && new != nil && *old != *new
	if new != nil {
		x := hit{id: store.ID{Sync: s.Sync, Key: *new}, create: !s.ByHand, touches: 1, row: i}
		if moved || r.op == "insert" {
			x.fate = inserted
		}
		p.direct.add(x)
	}
	if old != nil && (new == nil || moved) {
		x := hit{id: store.ID{Sync: s.Sync, Key: *old}, touches: 1, row: i}
		if moved || r.op == "delete" {
			x.fate = deleted
		}
		p.direct.add(x)
	}
}

// handFate is what a touch by hand says of the root row.
func handFate(r *logRow) fate {
	if r.deleted {
		return deleted
	}
	return same
}

// job is the job of a name, made when it is first asked for.
func (p *planner) job(s *store.Shape, path string, query func() string) *job {
	name := s.Sync + "\x00" + path
	j := p.byName[name]
	if j == nil {
		j = &job{sync: s.Sync, query: query(), create: !s.ByHand, seen: map[string]int{}}
		p.byName[name] = j
		p.jobs = append(p.jobs, j)
	}
	return j
}

// everything raises all groups of a sync: the row does not say which.
func (p *planner) everything(s *store.Shape, i int) {
	p.job(s, "\x00all", func() string {
		all := `SELECT key AS k FROM upkeep_groups WHERE sync = ` + literal(s.Sync)
		if !s.ByHand {
			all += ` UNION SELECT ` + keyExpr("r", s.Root.Key) + ` FROM main.` + ident(s.Root.Table.Name) + ` AS r`
		}
		return fmt.Sprintf(`SELECT %s, a.k, a.k, max(j.value->>1), sum(j.value->>2) FROM json_each(?1) AS j, (%s) AS a
			WHERE a.k IS NOT NULL AND (a.k > ?2 OR ?2 = '') GROUP BY a.k ORDER BY a.k LIMIT ?3`, literal(s.Sync), all)
	}).add(nil, i)
}

// reference raises the groups that wait for or refer to a group.
func (p *planner) reference(r *logRow, i int) {
	p.job(&store.Shape{ByHand: true}, "\x00references", func() string {
		return `SELECT e.sync, e.key, e.sync || char(0) || e.key AS k, max(j.value->>1), sum(j.value->>2)
			FROM json_each(?1) AS j CROSS JOIN upkeep_edges AS e ON e.on_sync = j.value->0->>0 AND e.on_key = j.value->0->>1
			WHERE k IS NOT NULL AND (k > ?2 OR ?2 = '') GROUP BY k ORDER BY k LIMIT ?3`
	}).add([]any{r.id2.Sync, r.id2.Key}, i)
}
