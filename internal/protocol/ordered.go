package protocol

import (
	"cmp"
	"slices"
)

// A machine of its own for the ordered lane: the commands of one group, which
// are appended as the application commits, a claim that takes the oldest, and
// the state when none waits. The remote may refuse a command, an answer may be
// lost, and a request that was given up may land later. One transaction of the
// application may be prepared, or read from a snapshot, and commit behind others.
// What must hold: the versions arrive in their order, each at least once before
// any later one that was there when it was taken, none is left out but by a
// person; but one that comes to light when a newer one has ended the record is not
// to make it again; a clean group has delivered all; and from every state it can
// become clean.

// orderedRules are those that a broken variant leaves out.
type orderedRules struct {
	stateFirst    bool // the state is sent though commands wait
	lookedOnce    bool // after the state is loaded nobody looks for commands again
	skipRefused   bool // the next command goes after a refusal
	touchRetries  bool // a later command lets the refused one be left behind
	unknownIsDone bool // a command with an unknown outcome counts as delivered
	cleanAfterOne bool // a delivered command makes the group clean
	goesInDoubt   bool // a claim does not wait until no earlier request can land
	makesAgain    bool // a version that an ended record did not see is delivered like any
	byNumber      bool // it is told by its number instead of by its snapshot
	passesAll     bool // a version behind any newer one is passed over
}

// versions is a set of them.
type versions uint8

func (v versions) has(version uint8) bool { return v&(1<<version) != 0 }
func (v *versions) add(version uint8)     { *v |= 1 << version }

// other is the transaction that may commit behind others.
type other uint8

const (
	notBegun other = iota
	began          // it reads from a snapshot, and has no number yet
	prepared       // its version has a number, and is not to be seen
	over
)

// passed is the outcome of a command that is passed over.
const passed uint8 = 200

// orderedProtocol is what is explored.
type orderedProtocol struct {
	orderedRules
	bad uint8 // the version that the remote refuses until a person mends it; 0: none
}

// orderedState is everything. Versions are 1, 2, 3, ..., and so are the states
// that no version has, as two transactions made them.
type orderedState struct {
	row       uint8 // the state that is committed
	numbers   uint8 // that were given out
	made      versions
	ends      versions // in which the record is not to be there
	waiting   [4]uint8 // commands, oldest first
	state     uint8    // what was delivered last, as the registry has it
	ended     uint8    // the version that ended the record last, as the registry has it
	clean     bool
	parked    bool
	mended    bool     // by a person: the remote takes everything
	left      versions // out: skipped by a person, or passed over
	phase     uint8    // of the worker
	number    uint8    // of the command that it took; 0: the state
	loaded    uint8    // the version that it sends
	knew      bool     // the version of the other transaction was there when it took this one
	outcome   uint8
	touched   bool  // since the claim
	remote    uint8 // the version at the remote
	delivered versions
	doubt     bool  // the group is in doubt
	late      uint8 // the version of a request that may still land; 0: none
	overtook  bool  // a version came before an older one, or was left out, or made a record again
	other     other
	behind    uint8 // its version; 0: none yet
	saw       uint8 // the newest version that it saw
	commits   uint8
	faults    uint8
}

// next calls out with every step.
func (p orderedProtocol) next(s orderedState, out func(string, kind, orderedState)) {
	p.commit(s, out)
	switch s.phase {
	case idle:
		if n := s; !s.clean && !s.parked && (!s.doubt || p.goesInDoubt) {
			n.phase, n.touched = claimed, false
			n.take(p)
			out("claim", own, n)
		}
	case claimed:
		p.loadVersion(s, out)
	case ready:
		p.deliverVersion(s, out)
	case done:
		p.recordVersion(s, out)
	}
	if s.phase != idle && s.faults > 0 {
		n := s
		n.faults--
		n.doubt = true // the lease has ended, and its holder may live
		if s.phase == ready {
			n.late = s.loaded
		}
		n.idle()
		out("crash", environment, n)
	}
	if s.late != 0 {
		n := s
		n.land(p)
		out("lands-late", environment, n)
	}
	if s.doubt && s.phase == idle {
		n := s
		n.doubt, n.late = false, 0
		out("doubt-ends", own, n)
	}
	if s.parked && s.phase == idle {
		n := s
		n.mended, n.parked = true, false
		out("retry-by-hand", own, n)
		if s.waiting[0] != 0 {
			s.parked = false
			s.left.add(s.waiting[0])
			s.drop()
			out("skip-by-hand", environment, s)
		}
	}
}

// commit is what the application does: another state of the row, or its end, and
// what the other transaction does.
func (p orderedProtocol) commit(s orderedState, out func(string, kind, orderedState)) {
	if s.commits > 0 {
		n := s
		n.commits--
		n.numbers++
		n.row = n.numbers
		n.append(p, n.row)
		out("commit", environment, n)
		if !s.ends.has(s.row) {
			n.ends.add(n.row)
			out("commit-deletion", environment, n)
		}
	}
	n := s
	switch {
	case s.other == notBegun && !s.ends.has(s.row):
		n.other, n.saw = began, s.row
		out("other-begins", environment, n)
		n.numbers++
		n.other, n.behind = prepared, n.numbers
		out("other-prepares", environment, n)
	case s.other == began || s.other == prepared:
		if s.other == began {
			n.numbers++
			n.behind = n.numbers
		}
		n.other = over
		switch {
		case s.row == s.saw:
			n.row = n.behind
		case !s.ends.has(s.row): // what both have written
			n.numbers++
			n.row = n.numbers
		}
		n.append(p, n.behind)
		out("other-commits", environment, n)
	}
}

// append makes a version a command.
func (s *orderedState) append(p orderedProtocol, version uint8) {
	s.made.add(version)
	s.waiting[len(s.waiting)-1] = version
	slices.SortStableFunc(s.waiting[:], func(a, b uint8) int { return cmp.Compare(a-1, b-1) }) // 0 comes last
	s.clean, s.touched = false, true
	if p.touchRetries && s.parked { // a touch frees: the next one goes
		s.parked = false
		s.drop()
	}
}

func (s *orderedState) drop() {
	copy(s.waiting[:], s.waiting[1:])
	s.waiting[len(s.waiting)-1] = 0
}

// land is an earlier request that is applied after it was given up.
func (s *orderedState) land(p orderedProtocol) {
	version := s.late
	s.late = 0
	if version == p.bad && !s.mended {
		return
	}
	s.arrives(version)
}

// arrives has a version, or a state that none has, be applied.
func (s *orderedState) arrives(version uint8) {
	for w := uint8(1); w <= s.numbers; w++ {
		if w != version && s.delivered.has(w) && w != s.behind {
			older := version < w && version != s.behind
			s.overtook = s.overtook || older || version == s.behind && w == s.ended && s.unseen(w)
		}
	}
	if s.made.has(version) {
		s.delivered.add(version)
	}
	s.remote = version
}

// leavesOut: a version goes out, or the state, that is behind one which was not
// delivered. What came to light since it was taken is none of them.
func (s *orderedState) leavesOut() bool {
	for w := uint8(1); w <= s.numbers; w++ {
		before := w < s.loaded
		if w == s.behind {
			before = s.knew && (before || s.number == 0)
		}
		if before && s.made.has(w) && !s.delivered.has(w) && !s.left.has(w) {
			return true
		}
	}
	return false
}

// unseen: the other transaction reads from a snapshot that does not have it.
func (s *orderedState) unseen(version uint8) bool { return version > s.saw && version != s.behind }

func (s *orderedState) idle() {
	s.phase, s.number, s.loaded, s.knew, s.outcome, s.touched = idle, 0, 0, false, 0, false
}

// take looks for the oldest command, and passes it over if the record was ended
// by a version that this one did not see.
func (s *orderedState) take(p orderedProtocol) {
	s.knew = s.other == over
	if s.waiting[0] == 0 || p.stateFirst {
		return
	}
	s.number, s.loaded, s.phase = s.waiting[0], s.waiting[0], ready
	if s.number != s.behind {
		return
	}
	late := s.ended != 0 && s.unseen(s.ended)
	passes := late
	switch {
	case p.makesAgain:
		passes = false
	case p.byNumber:
		passes = s.ended > s.number
	case p.passesAll:
		passes = s.state > s.number
	}
	if passes {
		s.phase, s.outcome = done, passed
		s.overtook = s.overtook || !late
	}
}

// loadVersion reads the state, and looks again: what came meanwhile goes first.
// The command is written in the transaction of its version, so that the state
// that is read here has no version without one.
func (p orderedProtocol) loadVersion(s orderedState, out func(string, kind, orderedState)) {
	if s.loaded == 0 {
		s.loaded = s.row
		out("load", own, s)
		return
	}
	s.phase = ready
	if !p.lookedOnce {
		s.take(p)
	}
	out("look-again", own, s)
}

// deliverVersion is the call with its answer: applied, refused or lost before
// or after it was applied.
func (p orderedProtocol) deliverVersion(s orderedState, out func(string, kind, orderedState)) {
	if s.number == 0 && s.same(s.loaded, s.state) {
		s.phase, s.outcome = done, synced
		out("no-call-needed", own, s)
		return
	}
	n := s
	n.phase = done
	if s.loaded == p.bad && !s.mended {
		n.outcome = refused
		out("remote-refuses", own, n)
	} else {
		n.overtook = n.overtook || n.leavesOut()
		n.arrives(s.loaded)
		n.outcome = synced
		out("remote-applies", own, n)
		if s.faults > 0 {
			n.faults--
			n.outcome, n.doubt = doubtful, true
			out("answer-lost", environment, n)
		}
	}
	if s.faults > 0 {
		s.faults--
		s.phase, s.outcome, s.doubt, s.late = done, doubtful, true, s.loaded
		out("request-lost", environment, s)
	}
}

// recordVersion deletes a command with its delivery, and parks the group of one
// that was refused, whatever came meanwhile.
func (p orderedProtocol) recordVersion(s orderedState, out func(string, kind, orderedState)) {
	delivered := s.outcome == synced || s.outcome == doubtful && p.unknownIsDone
	switch {
	case s.outcome == passed:
		s.waiting = without(s.waiting, s.number)
		s.left.add(s.number)
	case delivered && s.number != 0:
		s.waiting = without(s.waiting, s.number)
		s.state = s.number
		s.clean = p.cleanAfterOne
		if s.ends.has(s.number) {
			s.ended = s.number
		}
	case delivered:
		s.state = s.loaded
		s.clean = !s.touched
	case s.outcome == refused && s.number != 0 && p.skipRefused:
		s.waiting = without(s.waiting, s.number)
	case s.outcome == refused:
		s.parked = s.number != 0 || !s.touched
	}
	s.idle()
	out("record", own, s)
}

// broken looks at one state.
func (p orderedProtocol) broken(s orderedState) violation {
	switch {
	case s.overtook:
		return disordered
	case s.clean && (!s.same(s.remote, s.row) || s.waiting[0] != 0):
		return falseClean
	}
	return ""
}

// same: two states are alike for the remote.
func (s *orderedState) same(a, b uint8) bool { return a == b || s.ends.has(a) && s.ends.has(b) }

// without is the queue with one command less, whichever came meanwhile.
func without(waiting [4]uint8, number uint8) (rest [4]uint8) {
	n := 0
	for _, w := range waiting {
		if w != number {
			rest[n] = w
			n++
		}
	}
	return rest
}
