package protocol

// A machine of its own for what of a record goes again after a call whose outcome
// is unknown: one record with two fields, a remote that may apply a request late,
// and workers that lose their lease. Somebody may delete the record at the remote,
// or change it there and have it forced, and the registry may be put back to an
// earlier state. A person may ask to leave what is to be sent as it is there. What must
// hold: a clean group's record, if it is there, is as its row, but for what is left;
// and from every state the group can become clean.

// fieldRules are those that a broken variant leaves out.
type fieldRules struct {
	lostIsKnown  bool // what a call in doubt sent stays among what is surely there
	lateIsKnown  bool // so does what was acknowledged in doubt, and a late request may undo
	anyNote      bool // a note counts also where a later claim left none
	lostIsNoted  bool // a doubt that nobody noted anything of leaves all that was known
	forcedInPart bool // what something else forced goes without what is surely there
	settledEarly bool // the end of a doubt ends what something else forced
	remadeInPart bool // an update that may make a record anew is noted as any other
	doneIsUnsaid bool // what was done in a try that recorded no success is not noted
	unswept      bool // a restore forces nothing
	skipsLater   bool // what is left is what the row has come to be, and not what was asked for
	leftForgot   bool // what is sent of another field makes that one as good as sent
}

// fieldProtocol is what is explored, and how often what may happen.
type fieldProtocol struct {
	fieldRules
	commits, faults, edits, losses, restores, skips uint8

	remakes bool // an update of a record that is not there makes it, of its fields
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

// fieldRequest is a write that nobody waits for any more.
type fieldRequest struct {
	mask, value pairOf
	makes       bool
}

// fieldGroup is what the registry has of the group.
type fieldGroup struct {
	dirty, inDoubt bool
	forced         uint8
	known, names   pairOf // the digests, and of which fields there are any
	noted          bool   // names lacks all that the doubt's calls sent
	current        bool   // by the last claim
	asked          bool   // to leave what differs, where the row is as wanted
	wanted         pairOf
	left, leftAs   pairOf // the fields that are left so, and what the person saw of them
}

type fieldState struct {
	row                                             pairOf
	record, there                                   pairOf // what the record has, and of which fields
	exists                                          bool
	commits, faults, edits, losses, restores, skips uint8
	late                                            [2]fieldRequest // mask zero: none

	fieldGroup
	backup                 fieldGroup
	backed, unswept, rests bool // rests: until no request of before a restore can land

	// The worker that holds it.
	creates, remade, any  bool // the call makes it; it was made of some fields; anything may have been written
	held, sent, applied   bool
	touched, forcedSince  bool // since the claim
	loaded, mask          pairOf
	claimDoubt, unsettled bool
	traced                bool
}

func (p fieldProtocol) start() fieldState {
	s := fieldState{commits: p.commits, faults: p.faults, edits: p.edits, losses: p.losses, restores: p.restores, skips: p.skips, exists: true, there: both}
	s.names = both
	return s
}

// next calls out with every step.
func (p fieldProtocol) next(s fieldState, out func(string, kind, fieldState)) {
	p.outside(s, out)
	for i, r := range s.late {
		if n := s; r.mask != 0 {
			n.late[i] = fieldRequest{}
			out("never-applied", own, n)
			n.write(p, r)
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
		if n := s; s.edits > 0 && s.exists {
			n.edits--
			n.record ^= field
			n.dirty, n.touched = true, s.held
			n.forced, n.forcedSince, n.asked, n.wanted = otherForce, s.held, false, 0
			out("edited-and-forced", environment, n)
		}
	}
	if n := s; s.skips > 0 && s.dirty && !s.held {
		n.skips--
		n.asked, n.wanted = true, s.row
		if s.inDoubt {
			n.settle(p)
		}
		if !s.inDoubt || s.late == [2]fieldRequest{} { // or the person is told to wait
			out("to-be-left", environment, n)
		}
	}
	if n := s; s.losses > 0 && s.exists {
		n.losses--
		n.exists, n.record, n.there = false, 0, 0
		out("deleted-there", environment, n)
	}
	if n := s; s.restores > 0 && !s.backed {
		n.backed, n.backup = true, s.fieldGroup
		out("backup", environment, n)
	}
	if n := s; s.restores > 0 && s.backed && s.late[1].mask == 0 {
		n.restores--
		if n.held && !n.applied {
			n.giveUp()
		}
		n.held, n.fieldGroup, n.backed, n.backup = false, s.backup, false, fieldGroup{}
		n.dirty, n.unswept, n.rests = true, !p.unswept, true // the log is back, too
		out("restore", environment, n.rest())
	}
	if n := s; s.unswept {
		n.unswept, n.dirty, n.touched = false, true, s.held
		n.forced, n.forcedSince, n.asked, n.wanted = otherForce, s.held, false, 0
		out("swept", own, n)
	}
}

// write is what the remote does with a request.
func (s *fieldState) write(p fieldProtocol, r fieldRequest) {
	if s.exists {
		s.record, s.there = put(s.record, r.value, r.mask), s.there|r.mask
	} else if r.makes || p.remakes {
		s.exists, s.record, s.there = true, r.value&r.mask, r.mask
	}
}

// claim is claim, load and compare. The time of a doubt is over when no request can
// land any more.
func (p fieldProtocol) claim(s fieldState, out func(string, kind, fieldState)) {
	if s.rests && s.late != [2]fieldRequest{} {
		return
	}
	s.rests = false
	if s.inDoubt && s.late == [2]fieldRequest{} {
		n := s
		n.settle(p)
		p.lease(n, "settle", out)
	}
	if s.dirty {
		p.lease(s, "claim", out)
	}
}

// settle is the end of a doubt.
func (s *fieldState) settle(p fieldProtocol) {
	s.inDoubt, s.dirty = false, true
	if s.forced != otherForce || p.settledEarly {
		s.forced = settledForce
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
	if s.asked && (s.wanted == s.loaded || p.skipsLater) && !s.claimDoubt {
		s.left, s.leftAs, s.mask = s.left|s.mask, put(s.leftAs, s.wanted, s.mask), 0
	}
	if s.mask == 0 {
		s.acknowledge(p)
		out(step+"-equal", own, s)
		return
	}
	out(step, own, s)
}

// answer is what the remote does, and what the worker gets to know and records.
func (p fieldProtocol) answer(s fieldState, out func(string, kind, fieldState)) {
	p.leave(s, "lease-over", out)
	switch n := s; {
	case s.applied && s.remade:
		n.applied, n.remade, n.any, n.creates, n.mask = false, false, !p.doneIsUnsaid, true, both
		out("made-in-part", own, n)
	case s.applied:
		n.acknowledge(p)
		out("acknowledged", own, n)
	case !s.exists && !s.creates && !p.remakes:
		n.creates, n.mask = true, both
		out("not-found", own, n)
	default:
		n.applied, n.remade = true, !s.exists && !s.creates
		n.write(p, fieldRequest{s.mask, s.loaded, s.creates})
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
			switch {
			case s.any, s.creates, p.remakes && !p.remadeInPart:
				n.names = 0
			case !p.lostIsKnown:
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
		if s.any && (!s.unsettled || s.traced) {
			n.noted, n.current, n.names = true, true, 0
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
			s.late[i] = fieldRequest{s.mask, s.loaded & s.mask, s.creates}
			return true
		}
	}
	return false
}

// acknowledge records a success.
func (s *fieldState) acknowledge(p fieldProtocol) {
	names := both
	s.noted, s.asked, s.wanted = false, false, 0
	if s.left &^= s.mask; s.mask != 0 && p.leftForgot {
		s.left = 0
	}
	s.leftAs &= s.left
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
	s.creates, s.remade, s.any = false, false, false
	s.sent, s.applied, s.touched, s.forcedSince = false, false, false, false
	s.loaded, s.mask, s.claimDoubt, s.unsettled, s.traced = 0, 0, false, false, false
	return s
}

// clean is what the registry says.
func (p fieldProtocol) clean(s fieldState) bool {
	return !s.dirty && !s.held && !s.inDoubt && !s.unswept
}

// broken looks at one state.
func (p fieldProtocol) broken(s fieldState) violation {
	asRow := s.there|s.left == both && (s.record^s.row)&^s.left == 0 && (s.leftAs^s.row)&s.left == 0
	if p.clean(s) && s.exists && !asRow {
		return falseClean
	}
	return ""
}
