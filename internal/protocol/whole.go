package protocol

// A remote may refuse an update for a part that it holds already and lets nobody
// write any more. That is nobody's fault as long as only what differs is sent; while
// a force or a doubt has the record go whole, it keeps what does differ from
// arriving. So the record is read back then, and what differs goes alone.

// whole: an update of more than what is known to differ.
func (w *worker) whole() bool {
	return w.call == callUpdate && (w.forced || w.inDoubt) && !w.read
}

// refuse is the remote's refusal of an update that goes whole.
func (p protocol) refuse(s state, j int, out emit) {
	r := &s.net[j]
	if !p.refuses || !r.whole || r.owner == 0 || s.records[r.remoteID-1] == none {
		return
	}
	r.answered, r.refused = true, true
	out("remote-refuses-the-whole", environment, s)
}

// readBack asks and is answered in one step, like find. What is there already
// needs no update, and ends no doubt: an older request may land after it.
func (p protocol) readBack(s *state, w *worker) {
	there := s.records[w.remoteID-1]
	if p.knownIsThere {
		there = w.digest
	}
	w.digest = none
	switch there {
	case w.value:
		w.finish(found)
	case none:
		w.call = callUpdate
		p.planCreate(s, w)
	default:
		w.read = true
		w.then(callUpdate)
	}
}
