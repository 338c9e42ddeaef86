package protocol

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// violation is a property that some state breaks.
type violation string

const (
	falseClean    violation = "clean, and the remote is wrong"
	duplicate     violation = "two records of one group"
	unfounded     violation = "a delete without a deleted row"
	unheld        violation = "after a restore, a delete that no person allowed"
	falseSkip     violation = "a call was saved that was needed"
	wronglyParked violation = "parked for another's fault"
	disordered    violation = "a version was overtaken or left out"
	stuck         violation = "can never become clean again"
)

// verdict is what a search found out.
type verdict struct {
	states, clean int
	violation     violation // empty: none
	trace         []string  // the shortest one to it
	full          bool      // stopped at the limit of states
}

// String is a line for a person.
func (v verdict) String() string {
	s := fmt.Sprintf("%d states, %d of them clean", v.states, v.clean)
	if v.violation != "" {
		s += fmt.Sprintf("; %s after %d steps: %s", v.violation, len(v.trace), strings.Join(v.trace, ", "))
	}
	return s
}

// clean is what the registry and the touch log say.
func (s *state) clean() bool {
	g := s.group
	return !s.uninstalled && s.pass == swept && s.log[0] == 0 && g.generation == g.synced && !g.held && !g.inDoubt && !g.parked
}

// broken looks at one state.
func (s *state) broken() violation {
	switch {
	case s.records[0] != none && s.records[1] != none:
		return duplicate
	case s.unfounded:
		return unfounded
	case s.unheld:
		return unheld
	case s.wrongSkip:
		return falseSkip
	case s.clean() && !s.out && !s.forgetful() && !(s.left && s.row == none) && s.records[0]|s.records[1] != translate(s.row, s.installed):
		return falseClean
	}
	return ""
}

// search holds every state that was reached, with the step that first led to
// it, breadth first: the first way to a state is a shortest one.
type search[S comparable] struct {
	index  map[S]int32
	states []S
	from   []int32
	step   []string
	edges  [][2]int32 // the protocol's own steps
}

func (r *search[S]) reach(n S, from int32, step string) int32 {
	i, seen := r.index[n]
	if !seen {
		i = int32(len(r.states))
		r.index[n] = i
		r.states = append(r.states, n)
		r.from = append(r.from, from)
		r.step = append(r.step, step)
	}
	return i
}

func (r *search[S]) trace(i int32) []string {
	var steps []string
	for ; i != 0; i = r.from[i] {
		steps = append(steps, r.step[i])
	}
	slices.Reverse(steps)
	return steps
}

// check explores every state up to a limit and stops at the first that
// breaks a property.
func (p protocol) check(limit int) verdict {
	r := search[state]{index: map[state]int32{}}
	r.reach(p.start().canonical(), 0, "")
	var clean []int32
	for i := int32(0); int(i) < len(r.states); i++ {
		s := r.states[i]
		v := s.broken()
		if v == falseClean && p.class == blind && s.row == none {
			v = "" // who can't look can't find what was made when the known one was gone
		}
		if v != "" {
			return verdict{states: len(r.states), clean: len(clean), violation: v, trace: r.trace(i)}
		}
		if s.clean() || p.class == blind && s.group.parked { // or a person has to look
			clean = append(clean, i)
		}
		if len(r.states) > limit {
			return verdict{states: len(r.states), clean: len(clean), full: true}
		}
		p.next(s, func(step string, k kind, n state) {
			to := r.reach(n.canonical(), i, step)
			if k == own && to != i {
				r.edges = append(r.edges, [2]int32{i, to})
			}
		})
	}
	v := verdict{states: len(r.states), clean: len(clean)}
	if lost := r.cannotReach(clean); lost >= 0 {
		v.violation, v.trace = stuck, r.trace(lost)
	}
	return v
}

// cannotReach returns a state from which the protocol's own steps lead to
// none of the goals: the first where they end, or else the first; -1: there
// is none.
func (r *search[S]) cannotReach(goals []int32) int32 {
	slices.SortFunc(r.edges, func(a, b [2]int32) int { return int(a[1] - b[1]) })
	into := make([]int32, len(r.states)+1) // edges into i: into[i] to into[i+1]
	for _, e := range r.edges {
		into[e[1]+1]++
	}
	for i := range r.states {
		into[i+1] += into[i]
	}
	can := make([]bool, len(r.states))
	for _, i := range goals {
		can[i] = true
	}
	for queue := goals; len(queue) > 0; {
		i := queue[0]
		queue = queue[1:]
		for _, e := range r.edges[into[i]:into[i+1]] {
			if !can[e[0]] {
				can[e[0]] = true
				queue = append(queue, e[0])
			}
		}
	}
	goesOn := make([]bool, len(r.states))
	for _, e := range r.edges {
		goesOn[e[0]] = true
	}
	for i := range can {
		if !can[i] && !goesOn[i] {
			return int32(i)
		}
	}
	return int32(slices.Index(can, false))
}

// canonical gives states with the same future one form: of epochs only
// matters which are the group's, of generations only their order, and the
// workers and the requests are alike.
func (s state) canonical() state {
	s.rankEpochs()
	s.rank()
	if s.workers[1].less(s.workers[0]) {
		s.workers[0], s.workers[1] = s.workers[1], s.workers[0]
		for j := range s.net {
			if s.net[j].owner != 0 {
				s.net[j].owner = 3 - s.net[j].owner
			}
		}
	}
	for range s.net {
		for j := 1; j < len(s.net); j++ {
			if s.net[j-1].order() < s.net[j].order() {
				s.net[j-1], s.net[j] = s.net[j], s.net[j-1]
			}
		}
	}
	return s
}

// rankEpochs forgets the epochs that no claim can have again.
func (s *state) rankEpochs() {
	all := [...]*uint8{&s.group.epoch, &s.saved.group.epoch, &s.epochs, &s.workers[0].epoch, &s.workers[1].epoch}
	for i := range s.workers {
		w := &s.workers[i]
		if w.phase == idle || w.epoch < s.group.epoch && (!s.saved.there || w.epoch < s.saved.group.epoch) && s.forgets == 0 {
			w.epoch = 0
		}
	}
	if s.epochs <= s.group.epoch {
		s.epochs = 0
	}
	rank(all[:])
	s.group.epoch = max(s.group.epoch, 1)
}

// rank numbers the generations 0, 1, 2, ... in their order.
func (s *state) rank() {
	g, b := &s.group, &s.saved.group
	rank([]*uint8{&g.synced, &g.forced, &g.deleted, &g.generation, &s.workers[0].generation, &s.workers[1].generation,
		&b.synced, &b.forced, &b.deleted, &b.generation})
}

// rank numbers values in their order; 0 stays 0.
func rank(all []*uint8) {
	var seen uint64
	for _, v := range all {
		seen |= 1 << *v
	}
	seen &^= 1
	for _, v := range all {
		*v = uint8(bits.OnesCount64(seen & (1<<(*v+1) - 1)))
	}
}

func (w worker) order() [10]uint8 {
	flags := uint8(0)
	for i, b := range [...]bool{w.forced, w.inDoubt, w.deleted, w.old, w.fresh, w.unknown, w.present} {
		if b {
			flags |= 1 << i
		}
	}
	return [10]uint8{w.phase, w.epoch, w.generation, flags, w.digest, w.remoteID, w.value, w.call, w.outcome, w.mapping}
}

func (w worker) less(v worker) bool {
	a, b := w.order(), v.order()
	return slices.Compare(a[:], b[:]) < 0
}

func (r request) order() int {
	n := int(r.call)<<16 | int(r.value)<<12 | int(r.remoteID)<<8 | int(r.owner)<<4
	if r.answered {
		n++
	}
	return n
}
