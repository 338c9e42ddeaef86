package protocol

// deliver moves request j on: the remote applies it, it is lost, or its
// answer arrives.
func (p protocol) deliver(s state, j int, out emit) {
	r := s.net[j]
	switch {
	case r == request{}:
	case r.answered:
		s.net[j] = request{}
		w := &s.workers[r.owner-1]
		w.remoteID = r.remoteID
		switch {
		case r.call == callDelete && (w.forced && !p.settledUnfound || w.inDoubt) && p.class != blind && !p.deleteUnfound:
			w.remoteID = 0
			w.then(callFind) // one may have been made when this was gone
		case r.call == callDelete && p.class == blind && w.forced && s.looks && !p.goneForSure:
			w.finish(vanished) // it may have been made again in what was forgotten
		case r.call == callDelete:
			w.finish(removed)
		case r.remoteID == 0:
			p.planCreate(&s, w)
			out("answer-not-found", own, s)
			return
		default:
			w.finish(synced)
		}
		out("answer", own, s)
	default:
		n := s
		n.net[j].remoteID = p.apply(&n, r)
		n.net[j].answered = true
		if r.owner == 0 {
			n.net[j] = request{}
		}
		out("remote-applies", own, n)
		if r.owner != 0 {
			if s.faults == 0 {
				return
			}
			s.faults--
			p.unknown(&s.workers[r.owner-1])
		}
		s.net[j] = request{}
		out("request-lost", environment, s)
	}
}

// apply changes the remote and returns the record's id; 0: not found.
func (p protocol) apply(s *state, r request) uint8 {
	id := r.remoteID
	switch r.call {
	case callDelete:
		if s.records[id-1] != none {
			s.records[id-1], s.gone = none, id
		}
		return id
	case callUpdate:
		if s.records[id-1] == none {
			return 0
		}
	case callCreate:
		unique := p.class == upsert && !p.noKey
		switch {
		case s.records[0] != none && unique, s.records[1] != none && !unique, s.gone == 2:
			id = 1
		case s.records[0] != none, s.records[1] != none, s.gone == 1:
			id = 2
		default:
			id = 1
		}
		s.gone = 0
	}
	s.records[id-1] = r.value
	return id
}
