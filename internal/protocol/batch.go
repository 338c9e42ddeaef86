package protocol

import "slices"

// A machine of its own for a request that carries several changes: two groups,
// a remote that answers each change for itself, in any order, in part or not at
// all, and that may refuse the request as a whole because of one of them. What
// must hold: a clean group's record is there; a group is parked only if the
// remote refused its own change; no create is repeated at a remote of class
// Lookup without a look; and from every state each group can become clean, or
// parked if the remote does not take it.

// batchRules are those that a broken variant leaves out.
type batchRules struct {
	missingIsSuccess bool // a change that the answer does not name counts as done
	unknownIsFailure bool // the request's unknown outcome counts as not applied
	byPosition       bool // results are matched by their place
	refusedIsAll     bool // a request that is refused as a whole parks all of it
	alwaysTogether   bool // and is sent again as it was
}

// batchProtocol is what is explored.
type batchProtocol struct {
	batchRules
	class class
	bad   [2]bool // the remote does not take the change
	whole bool    // it refuses the whole request for it
}

// Results of one change.
const (
	resultNone uint8 = iota
	resultOK
	resultRefused
	resultMissing
	resultUnknown
)

type member struct {
	in      bool // the request under way
	alone   bool // goes by itself from now on
	applied bool // by that request
	records uint8
	clean   bool
	parked  bool
	doubt   bool // look before the next create
}

type batchState struct {
	sent, done, refused bool // the request: on its way, worked at, refused as a whole
	late                [2]bool
	group               [2]member
	faults              uint8
}

// next calls out with every step.
func (p batchProtocol) next(s batchState, out func(string, kind, batchState)) {
	for i := range s.late { // nobody waits for it any more
		if n := s; s.late[i] {
			n.late[i] = false
			out("never-applied", own, n)
			n.make(p, i)
			out("applied-late", environment, n)
		}
	}
	switch {
	case !s.sent:
		p.send(s, out)
	case !s.done:
		p.work(s, out)
	default:
		p.answer(s, out)
	}
}

func (s *batchState) make(p batchProtocol, i int) {
	g := &s.group[i]
	if p.bad[i] || g.records > 0 && p.class == upsert {
		return
	}
	g.records++
}

// send is claim, load, compare and the request: all that is due together, or
// one by itself. After a doubt no old request can land any more.
func (p batchProtocol) send(s batchState, out func(string, kind, batchState)) {
	n, size := s, 0
	for i := range n.group {
		g := &n.group[i]
		if g.clean || g.parked || g.alone && size > 0 || s.late[i] {
			continue
		}
		if g.doubt && p.class == lookup && g.records > 0 { // found
			g.clean, g.doubt, g.alone = true, false, false
			out("found", own, n)
			return
		}
		g.in, g.applied, g.doubt = true, false, false
		if size++; g.alone {
			break
		}
	}
	if size > 0 {
		n.sent = true
		out("send", own, n)
	}
}

// work is the remote's: it refuses the whole or makes what it takes.
func (p batchProtocol) work(s batchState, out func(string, kind, batchState)) {
	n := s
	n.done = true
	for i, g := range n.group {
		n.refused = n.refused || g.in && p.bad[i] && p.whole
	}
	for i := range n.group {
		if g := &n.group[i]; g.in && !n.refused {
			n.make(p, i)
			g.applied = !p.bad[i]
		}
	}
	out("remote-applies", own, n)
	if s.faults > 0 { // not answered; it may be applied later
		s.faults--
		for i := range s.group {
			s.late[i] = s.group[i].in
		}
		p.conclude(s, [2]uint8{resultUnknown, resultUnknown}, "timeout", environment, out)
	}
}

// answer is what the worker gets to know, and records.
func (p batchProtocol) answer(s batchState, out func(string, kind, batchState)) {
	if s.refused {
		p.bisect(s, out)
		return
	}
	var results [2]uint8
	both := true
	for i, g := range s.group {
		results[i] = resultRefused
		if g.applied {
			results[i] = resultOK
		}
		both = both && g.in
	}
	p.conclude(s, results, "answer", own, out)
	if both { // the remote may answer in another order
		reordered := results
		if p.byPosition {
			slices.Reverse(reordered[:])
		}
		p.conclude(s, reordered, "answer-reordered", own, out)
	}
	if s.faults == 0 {
		return
	}
	s.faults--
	for i := range results {
		short := results
		if short[i] = resultMissing; s.group[i].in {
			p.conclude(s, short, "answer-without-one", environment, out)
		}
	}
	p.conclude(s, [2]uint8{resultUnknown, resultUnknown}, "answer-lost", environment, out)
}

// bisect sends what was refused as a whole again, each by itself.
func (p batchProtocol) bisect(s batchState, out func(string, kind, batchState)) {
	both := s.group[0].in && s.group[1].in
	if !both || p.refusedIsAll {
		p.conclude(s, [2]uint8{resultRefused, resultRefused}, "refused", own, out)
		return
	}
	s.sent, s.done, s.refused = false, false, false
	for i := range s.group {
		s.group[i].in, s.group[i].alone = false, !p.alwaysTogether
	}
	out("refused-halved", own, s)
}

// conclude records each group's own result.
func (p batchProtocol) conclude(s batchState, results [2]uint8, step string, k kind, out func(string, kind, batchState)) {
	for i, result := range results {
		g := &s.group[i]
		if !g.in {
			continue
		}
		switch result {
		case resultOK:
			g.clean = true
		case resultRefused:
			g.parked = true
		case resultMissing:
			g.clean, g.doubt = p.missingIsSuccess, !p.missingIsSuccess
		case resultUnknown:
			g.doubt = !p.unknownIsFailure
			s.late[i] = s.late[i] && g.doubt // else nobody waits for it: it lands whenever
		}
		g.in, g.applied = false, false
		g.alone = g.alone && !g.clean && !g.parked
	}
	s.sent, s.done, s.refused = false, false, false
	out(step, k, s)
}

// broken looks at one state.
func (p batchProtocol) broken(s batchState) violation {
	for i, g := range s.group {
		switch {
		case g.records > 1:
			return duplicate
		case g.clean && g.records == 0:
			return falseClean
		case g.parked && !p.bad[i]:
			return wronglyParked
		}
	}
	return ""
}

// ended: each group has come to rest, as the remote takes it or not.
func (p batchProtocol) ended(s batchState) bool {
	for i, g := range s.group {
		if p.bad[i] && !g.parked || !p.bad[i] && !g.clean {
			return false
		}
	}
	return true
}
