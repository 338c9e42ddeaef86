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
		case r.call == callDelete:
			w.finish(removed)
		case r.remoteID == 0:
			p.planCreate(w)
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
			s.workers[r.owner-1].finish(doubtful)
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
		s.records[id-1] = none
		return id
	case callUpdate:
		if s.records[id-1] == none {
			return 0
		}
	case callCreate:
		id = 1
		if s.records[0] != none && (p.class == lookup || p.noKey) {
			id = 2
		}
	}
	s.records[id-1] = r.value
	return id
}
