package protocol

// forget erases a group that is gone: its row was deleted, its record is not there, and
// nothing of it is in doubt. The next group of that key knows nothing of it.
func (p protocol) forget(s state, out emit) {
	g := s.group
	if s.forgets == 0 || g.generation == 0 || g.generation != g.synced || g.deleted == 0 || g.remoteID != 0 || g.held || g.parked {
		return
	}
	if g.inDoubt && !p.forgetsInDoubt {
		return
	}
	s.forgets--
	s.group = group{}
	if !p.epochsRestart {
		s.group.epoch = g.epoch // the next one is taken from the clock
	}
	out("forget", own, s)
}
