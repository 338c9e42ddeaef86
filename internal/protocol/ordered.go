package protocol

// A machine of its own for the ordered lane: the commands of one group, which
// are appended as the application commits, a claim that takes the oldest, and
// the state when none waits. The remote may refuse a command, an answer may be
// lost, and a request that was given up may land later. What must hold: the versions arrive in their order, each at least
// once before any later one, none is left out but by a person; a clean group has
// delivered all; and from every state it can become clean.

// orderedRules are those that a broken variant leaves out.
type orderedRules struct {
	stateFirst    bool // the state is sent though commands wait
	lookedOnce    bool // after the state is loaded nobody looks for commands again
	skipRefused   bool // the next command goes after a refusal
	touchRetries  bool // a later command lets the refused one be left behind
	unknownIsDone bool // a command with an unknown outcome counts as delivered
	cleanAfterOne bool // a delivered command makes the group clean
	goesInDoubt   bool // a claim does not wait until no earlier request can land
}

// orderedProtocol is what is explored.
type orderedProtocol struct {
	orderedRules
	bad uint8 // the version that the remote refuses until a person mends it; 0: none
}

// orderedState is everything. Versions are 1, 2, 3, ...
type orderedState struct {
	row      uint8    // the version that is committed
	waiting  [3]uint8 // commands, oldest first
	state    uint8    // the version that was delivered last, as the registry has it
	clean    bool
	parked   bool
	mended   bool  // by a person: the remote takes everything
	skipped  uint8 // by a person: a bit for each version
	phase    uint8 // of the worker
	number   uint8 // of the command that it took; 0: the state
	loaded   uint8 // the version that it sends
	outcome  uint8
	touched  bool  // since the claim
	remote   uint8 // the version at the remote
	doubt    bool  // the group is in doubt
	late     uint8 // the version of a request that may still land; 0: none
	overtook bool  // a version came before an older one, or that was left out
	commits  uint8
	faults   uint8
}

// next calls out with every step.
func (p orderedProtocol) next(s orderedState, out func(string, kind, orderedState)) {
	if s.commits > 0 {
		n := s
		n.commits--
		n.row++
		n.append(n.row)
		n.clean, n.touched = false, true
		if p.touchRetries && n.parked { // a touch frees: the next one goes
			n.parked = false
			n.drop()
		}
		out("commit", environment, n)
	}
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
			s.parked, s.skipped = false, s.skipped|1<<s.waiting[0]
			s.drop()
			out("skip-by-hand", environment, s)
		}
	}
}

func (s *orderedState) append(version uint8) {
	for i := range s.waiting {
		if s.waiting[i] == 0 {
			s.waiting[i] = version
			return
		}
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
	s.overtook = s.overtook || version < s.remote
	s.remote = version
}

func (s *orderedState) idle() {
	s.phase, s.number, s.loaded, s.outcome, s.touched = idle, 0, 0, 0, false
}

// take looks for the oldest command.
func (s *orderedState) take(p orderedProtocol) {
	if s.waiting[0] != 0 && !p.stateFirst {
		s.number, s.loaded, s.phase = s.waiting[0], s.waiting[0], ready
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
	if s.number == 0 && s.loaded == s.state {
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
		after := s.remote + 1
		for s.skipped&(1<<after) != 0 {
			after++
		}
		n.overtook = s.loaded > after || s.loaded < s.remote
		n.remote, n.outcome = s.loaded, synced
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
	case delivered && s.number != 0:
		s.drop()
		s.state = s.number
		s.clean = p.cleanAfterOne
	case delivered:
		s.state = s.loaded
		s.clean = !s.touched
	case s.outcome == refused && s.number != 0 && p.skipRefused:
		s.drop()
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
	case s.clean && (s.remote != s.row || s.waiting[0] != 0):
		return falseClean
	}
	return ""
}
