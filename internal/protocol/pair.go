package protocol

// A second, smaller machine: two groups whose records refer to each other, and
// a remote that may refuse either of them without its reference. Each group has
// a worker of its own, so that every order of looking, sending and recording is
// visited. What must hold: a clean group's record has its reference; no record
// is made twice; and from every state both can become clean or, if the remote
// takes neither without its reference, both end parked.

// pairRules are those that a broken variant leaves out.
type pairRules struct {
	neverPart     bool // both always wait
	noNet         bool // who waits is only woken
	partIsSynced  bool // a record without its reference counts as synced
	digestsAll    bool // digests of what was left out, too
	parkedForgets bool // who is refused without its reference waits for nobody
	parkedStays   bool // the other's success does not free it
	parkedMissed  bool // nor does one that came before the refusal was recorded
}

// half is one of the two groups with its worker.
type half struct {
	phase, plan uint8 // of the worker
	there       bool  // the remote id is known
	waits       bool
	parked      bool
	clean       bool
	refused     bool  // the answer
	digest      uint8 // none, bare or whole
	record      uint8 // at the remote: the same
	twice       bool  // it was made twice
}

// What is at the remote, or was acknowledged: none, or
const (
	bare  uint8 = iota + 1 // without the reference
	whole                  // with it
)

// Plans.
const (
	planWait uint8 = iota + 1
	planPart
	planFull
)

type pairState [2]half

// pair is what is explored: rules, and which of the two the remote refuses
// without its reference.
type pair struct {
	pairRules
	needs [2]bool
}

// next returns the states that a step leads to.
func (p pair) next(s pairState) []pairState {
	var out []pairState
	for i := range s {
		n := s
		me, other := &n[i], &n[1-i]
		switch me.phase {
		case idle:
			if me.clean || me.parked || me.waits && p.noNet {
				continue
			}
			p.look(me, other)
		case ready:
			p.sendHalf(me, p.needs[i])
		case done:
			p.recordHalf(me, other)
		}
		out = append(out, n)
	}
	return out
}

// look is the claim with the look at the other one.
func (p pair) look(me, other *half) {
	me.phase = ready
	switch {
	case other.there:
		me.plan = planFull
	case other.waits && !p.neverPart:
		me.plan = planPart
	default:
		me.plan = planWait
	}
}

func (p pair) sendHalf(me *half, needs bool) {
	me.phase = done
	switch {
	case me.plan == planWait, me.plan == planFull && me.digest == whole: // no call
	case me.plan == planPart && needs:
		me.refused = true
	default:
		me.twice = me.twice || me.record != none && !me.there
		me.record = whole
		if me.plan == planPart {
			me.record = bare
		}
	}
}

func (p pair) recordHalf(me, other *half) {
	plan, refused, was := me.plan, me.refused, me.there
	me.phase, me.plan, me.refused, me.waits = idle, 0, false, false
	switch {
	case plan == planWait:
		me.waits = !other.there
	case refused:
		came := other.there && !p.parkedMissed
		me.parked, me.waits = !came, !came && !p.parkedForgets
		if other.waits && !other.parked {
			other.waits = false // it gets its try
		}
		return
	case plan == planPart:
		me.there, me.digest, me.waits = true, bare, !other.there
		me.clean = p.partIsSynced
		if p.digestsAll {
			me.digest = whole
		}
	default:
		me.there, me.digest, me.clean = true, whole, true
	}
	if me.there && !was && other.waits { // a remote id that is new
		other.waits = false
		other.parked = other.parked && p.parkedStays
	}
}

// ended: both are clean, or both are parked because neither can be first.
func (p pair) ended(s pairState) bool {
	return s[0].clean && s[1].clean || p.needs == [2]bool{true, true} && s[0].parked && s[1].parked
}

// check visits every state.
func (p pair) check() (states int, found violation) {
	index := map[pairState]int{{}: 0}
	all := []pairState{{}}
	var from [][]int // who leads here
	from = append(from, nil)
	for i := 0; i < len(all); i++ {
		for _, h := range all[i] {
			if h.twice {
				return len(all), duplicate
			}
			if h.clean && h.record != whole {
				return len(all), falseClean
			}
		}
		for _, n := range p.next(all[i]) {
			to, seen := index[n]
			if !seen {
				to = len(all)
				index[n] = to
				all = append(all, n)
				from = append(from, nil)
			}
			from[to] = append(from[to], i)
		}
	}
	can := make([]bool, len(all))
	var queue []int
	for i, s := range all {
		if p.ended(s) {
			can[i] = true
			queue = append(queue, i)
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		for _, i := range from[queue[0]] {
			if !can[i] {
				can[i] = true
				queue = append(queue, i)
			}
		}
	}
	for _, ok := range can {
		if !ok {
			return len(all), stuck
		}
	}
	return len(all), ""
}
