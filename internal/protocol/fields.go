package protocol

// A machine of its own for what of a record goes again after a call whose outcome
// is unknown: one record with two fields, a remote that may apply a request late,
// and workers that lose their lease. What must hold: a clean group's record is as
// its row, also where somebody changed it at the remote and a person forced it; and
// from every state it can become clean.

// fieldRules are those that a broken variant leaves out.
type fieldRules struct {
	lostIsKnown  bool // what a call in doubt sent stays among what is surely there
	lateIsKnown  bool // so does what was acknowledged in doubt, and a late request may undo
	anyNote      bool // a note counts also where a later claim left none
	lostIsNoted  bool // a doubt that nobody noted anything of leaves all that was known
	forcedInPart bool // what something else forced goes without what is surely there
	settledEarly bool // the end of a doubt ends what something else forced
}

// fieldProtocol is what is explored, and how often what may happen.
type fieldProtocol struct {
	fieldRules
	commits, faults, edits uint8
}

// pairOf is a value of both fields, a bit each; as a mask, it names fields.
type pairOf uint8

// put is old with the fields of mask from v.
func put(old, v, mask pairOf) pairOf { return old&^mask | v&mask }

const both pairOf = 3

// What forces a group.
const (
	unforced     uint8 = iota
	settledForce       // the end of a doubt
	otherForce
)

// fieldRequest is an update that nobody waits for any more.
type fieldRequest struct{ mask, value pairOf }

type fieldState struct {
	row, record            pairOf
	commits, faults, edits uint8
	late                   [2]fieldRequest // mask zero: none

	// The group.
	dirty, inDoubt bool
	forced         uint8
	known, names   pairOf // the digests, and of which fields there are any
	noted          bool   // names lacks all that the doubt's calls sent
	current        bool   // by the last claim

	// The worker that holds it.
	held, sent, applied   bool
	touched, forcedSince  bool // since the claim
	loaded, mask          pairOf
	claimDoubt, unsettled bool
	traced                bool
}

func (p fieldProtocol) start() fieldState {
	return fieldState{commits: p.commits, faults: p.faults, edits: p.edits, names: both}
}

// next calls out with every step.
func (p fieldProtocol) next(s fieldState, out func(string, kind, fieldState)) {
	p.outside(s, out)
	for i, r := range s.late {
		if n := s; r.mask != 0 {
			n.late[i] = fieldRequest{}
			out("never-applied", own, n)
			n.record = put(n.record, r.value, r.mask)
			out("applied-late", environment, n)
		}
	}
	switch {
	case !s.held:
		p.claim(s, out)
	case !s.sent:
		n := s
		n.sent = true
		out("send", own, n)
		p.leave(n, "killed", out)
	default:
		p.answer(s, out)
	}
}

// outside is what others do: the application writes a field, somebody changes one
// at the remote, and a person who sees it forces the record.
func (p fieldProtocol) outside(s fieldState, out func(string, kind, fieldState)) {
	for field := pairOf(1); field <= 2; field++ {
		if n := s; s.commits > 0 {
			n.commits--
			n.row ^= field
			n.dirty, n.touched = true, s.held
			out("commit", environment, n)
		}
		if n := s; s.edits > 0 {
			n.edits--
			n.record ^= field
			n.dirty, n.touched = true, s.held
			n.forced, n.forcedSince = otherForce, s.held
			out("edited-and-forced", environment, n)
		}
	}
}

// claim is claim, load and compare. The time of a doubt is over when no request can
// land any more.
func (p fieldProtocol) claim(s fieldState, out func(string, kind, fieldState)) {
	if s.inDoubt && s.late == [2]fieldRequest{} {
		n := s
		n.inDoubt, n.dirty = false, true
		if n.forced != otherForce || p.settledEarly {
			n.forced = settledForce
		}
		p.lease(n, "settle", out)
	}
	if s.dirty {
		p.lease(s, "claim", out)
	}
}

func (p fieldProtocol) lease(s fieldState, step string, out func(string, kind, fieldState)) {
	s.held, s.sent, s.applied, s.touched, s.forcedSince = true, false, false, false, false
	s.traced = s.noted && (s.current || p.anyNote)
	s.current = false
	s.loaded, s.claimDoubt, s.unsettled = s.row, s.inDoubt, s.inDoubt || s.forced != unforced
	sure := s.names
	if s.unsettled && (!s.traced && !p.lostIsNoted || s.forced == otherForce && !p.forcedInPart) {
		sure = 0
	}
	s.mask = both&^sure | (s.known ^ s.loaded)
	if s.mask == 0 && !s.unsettled {
		s.acknowledge(p)
		out(step+"-equal", own, s)
		return
	}
	if s.mask == 0 {
		s.mask = both
	}
	out(step, own, s)
}

// answer is what the remote does, and what the worker gets to know and records.
func (p fieldProtocol) answer(s fieldState, out func(string, kind, fieldState)) {
	p.leave(s, "lease-over", out)
	if s.applied {
		n := s
		n.acknowledge(p)
		out("acknowledged", own, n)
	} else {
		n := s
		n.applied, n.record = true, put(s.record, s.loaded, s.mask)
		out("remote-applies", own, n)
	}
	if s.faults == 0 {
		return
	}
	if n := s; n.giveUp() {
		n.faults--
		n.held, n.inDoubt = false, true
		if !s.unsettled || s.traced {
			n.noted, n.current = true, true
			if !p.lostIsKnown {
				n.names &^= s.mask
			}
		}
		out("unknown", environment, n.rest())
	}
	if n := s; !s.applied {
		n.faults--
		n.held = false
		if s.unsettled && s.traced {
			n.current = true
		}
		out("refused-for-now", environment, n.rest())
	}
}

// leave is a worker that ends, or stalls past its lease: what it sent, or will send
// at once, may land, and it records nothing.
func (p fieldProtocol) leave(s fieldState, step string, out func(string, kind, fieldState)) {
	if s.faults == 0 || !s.giveUp() {
		return
	}
	s.faults--
	s.held, s.inDoubt = false, true
	out(step, environment, s.rest())
}

// giveUp leaves the request alone: false if there is no room for one more.
func (s *fieldState) giveUp() bool {
	if s.applied {
		return true
	}
	for i := range s.late {
		if s.late[i].mask == 0 {
			s.late[i] = fieldRequest{s.mask, s.loaded & s.mask}
			return true
		}
	}
	return false
}

// acknowledge records a success.
func (s *fieldState) acknowledge(p fieldProtocol) {
	names := both
	s.noted = false
	if s.claimDoubt && s.traced {
		s.noted, s.current = true, true
		if !p.lateIsKnown {
			names = s.names
		}
	}
	s.known, s.names = s.loaded&names, names
	s.held, s.dirty = false, s.touched
	if !s.forcedSince {
		s.forced = unforced
	}
	*s = s.rest()
}

// rest is the state without what a worker knew that holds nothing any more.
func (s fieldState) rest() fieldState {
	s.known &= s.names
	s.sent, s.applied, s.touched, s.forcedSince = false, false, false, false
	s.loaded, s.mask, s.claimDoubt, s.unsettled, s.traced = 0, 0, false, false, false
	return s
}

// clean is what the registry says.
func (p fieldProtocol) clean(s fieldState) bool { return !s.dirty && !s.held && !s.inDoubt }

// broken looks at one state.
func (p fieldProtocol) broken(s fieldState) violation {
	if p.clean(s) && s.record != s.row {
		return falseClean
	}
	return ""
}
