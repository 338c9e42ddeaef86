package protocol

// The database, rows and registry in one, is put back to what it was: a backup,
// or a failover that lost commits. The remote, what is on its way there and the
// workers stay as they are.

// past is a backup.
type past struct {
	there      bool
	row        uint8
	wasDeleted bool
	out        bool
	log        [3]uint8
	group      group
}

// How far a restore is got over.
const (
	intact    uint8 = iota // there was none
	unnoticed              // nobody has looked at where the registry comes from
	resting                // noticed: no group is claimed while an old request may land
	resumed
)

// beyond are the steps of a backup, a restore and what follows it.
func (p protocol) beyond(s state, out emit) {
	switch {
	case s.restores == 0:
	case !s.saved.there:
		n := s
		n.saved = past{there: true, row: s.row, wasDeleted: s.wasDeleted, out: s.out, log: s.log, group: s.group}
		out("backup", environment, n)
	default:
		p.restore(s, out)
	}
	switch s.restored {
	case unnoticed:
		s.restored, s.sweep, s.looks = resting, true, !p.restoredUnfound
		s.held = !p.deletesGo
		out("restore-noticed", own, s)
		return
	case resting:
		if p.noRest || s.atRest() {
			n := s
			n.restored = resumed
			out("rest-over", own, n)
		}
	}
	if s.sweep {
		n := s
		n.sweep = false
		n.group.generation++
		if !p.sweepsRows || s.row != none {
			n.group.forced = n.group.generation
		}
		n.group.parked = false
		out("sweep", own, n)
	}
	if s.restored != intact && (s.unasked || s.group.parked && s.row == none) {
		s.unasked, s.held, s.group.parked = false, false, false
		out("deletes-allowed-by-hand", own, s)
	}
}

func (p protocol) restore(s state, out emit) {
	epoch := s.group.epoch
	s.row, s.wasDeleted, s.out, s.log, s.group = s.saved.row, s.saved.wasDeleted, s.saved.out, s.saved.log, s.saved.group
	s.saved, s.restores, s.unasked = past{}, s.restores-1, true
	for i := range s.workers {
		w := &s.workers[i]
		w.old = w.phase != idle
		epoch = max(epoch, w.epoch)
	}
	if !p.epochsRestart {
		s.epochs = epoch
	}
	if !p.notNoticed {
		s.restored = unnoticed
	}
	out("restore", environment, s)
}

// atRest: a worker whose lease the registry does not know sends nothing more,
// and no request is left that nobody waits for.
func (s *state) atRest() bool {
	for i, w := range s.workers {
		if w.phase != idle && w.phase != done && !s.alive(i) {
			return false
		}
	}
	for _, r := range s.net {
		if r != (request{}) && r.owner == 0 {
			return false
		}
	}
	return true
}

// paused: nothing is claimed, which is also what ends leases and doubts.
func (s *state) paused() bool { return s.restored == unnoticed || s.restored == resting }

// forgetful: what the registry says may be older than the remote, and the sweep
// that sends everything again is still to come.
func (s *state) forgetful() bool {
	return s.paused() || s.sweep || s.resweep || s.uninstalled || s.pass != swept
}
