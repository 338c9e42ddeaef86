package protocol

// walk visits every state of a small machine from start, breadth first, and
// stops at the first that breaks something. In the end every state must lead
// to a goal by the machine's own steps.
func walk[S comparable](start S, next func(S, func(string, kind, S)), broken func(S) violation, goal func(S) bool) verdict {
	r := search[S]{index: map[S]int32{}}
	r.reach(start, 0, "")
	var goals []int32
	for i := int32(0); int(i) < len(r.states); i++ {
		s := r.states[i]
		if v := broken(s); v != "" {
			return verdict{states: len(r.states), clean: len(goals), violation: v, trace: r.trace(i)}
		}
		if goal(s) {
			goals = append(goals, i)
		}
		next(s, func(step string, k kind, n S) {
			if to := r.reach(n, i, step); k == own && to != i {
				r.edges = append(r.edges, [2]int32{i, to})
			}
		})
	}
	v := verdict{states: len(r.states), clean: len(goals)}
	if lost := r.cannotReach(goals); lost >= 0 {
		v.violation, v.trace = stuck, r.trace(lost)
	}
	return v
}
