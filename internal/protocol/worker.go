package protocol

func (p protocol) claim(s state, i int, out emit) {
	g := s.group
	if g.held || g.parked || g.generation == g.synced || s.paused() {
		return
	}
	if p.class != upsert && g.inDoubt && g.remoteID == 0 && !p.claimInDoubt {
		return // HoldInDoubt
	}
	if s.workers[i].mapping != s.installed && !p.anyMapping {
		return
	}
	if s.workers[1-i].phase == idle && s.workers[0].mapping == s.workers[1].mapping && i == 1 {
		return // the workers are alike
	}
	s.group.epoch = max(s.group.epoch, s.epochs) + 1
	s.epochs = 0
	s.group.held = true
	s.workers[i] = worker{
		phase: claimed, epoch: s.group.epoch, generation: g.generation,
		forced: g.forced > g.synced, inDoubt: g.inDoubt, deleted: g.deleted != 0,
		digest: g.digest, remoteID: g.remoteID, mapping: s.workers[i].mapping,
		fresh: s.pass != swept, unknown: g.unknown,
	}
	if p.evidenceSpent {
		s.workers[i].deleted = g.deleted > g.synced
	}
	out("claim", own, s)
}

// load reads the row, compares, and decides on the next call.
func (p protocol) load(s state, i int, out emit) {
	if s.row != none && s.faults > 0 {
		n := s
		n.faults--
		p.plan(&n, i, none)
		out("load-does-not-see-the-row", environment, n)
	}
	p.plan(&s, i, s.row)
	out("load", own, s)
}

func (p protocol) plan(s *state, i int, value uint8) {
	w := &s.workers[i]
	w.present = value != none
	if value != none && s.out {
		p.keep(w)
		return
	}
	value = translate(value, w.mapping)
	w.value = value
	digest := w.digest
	w.digest = none
	switch {
	case value == none && !w.deleted && !(p.hiddenIsDeleted && w.remoteID != 0):
		w.finish(refused) // not visible is not deleted
	case value == none && s.held && (w.remoteID != 0 || w.inDoubt || w.forced) && !(p.forcedGo && (w.inDoubt || w.forced)):
		w.finish(refused) // until a person allows it
	case value == none && w.remoteID != 0:
		w.then(callDelete)
	case value == none && (w.inDoubt || w.forced) && p.class == blind:
		w.finish(refused)
	case value == none && (w.inDoubt || w.forced && !p.removeUnfound || w.unknown && p.class != blind && !p.unknownIsGone):
		w.then(callFind)
	case value == none:
		w.finish(removed)
	case w.remoteID == 0:
		p.planCreate(s, w)
	case digest == value && !w.forced && (!w.inDoubt || p.skipInDoubt):
		s.wrongSkip = s.alive(i) && s.records[w.remoteID-1] != value &&
			!s.forgetful() && !(s.looks && s.group.forced > w.generation) // the sweep sends it
		w.finish(synced)
	default:
		w.then(callUpdate)
	}
}

func (p protocol) planCreate(s *state, w *worker) {
	gone := w.call == callUpdate
	switch {
	case p.class == blind && gone && w.inDoubt:
		w.finish(released)
	case p.class == blind && (w.inDoubt || w.forced):
		if gone && p.goneRepeats || !gone && p.touchRepeats {
			w.then(callCreate)
		} else {
			w.finish(refused)
		}
	case p.class == blind && gone && !p.goneAtOnce:
		w.finish(vanished)
	case p.class == blind && (s.sweep || s.looks && s.group.forced > w.generation) && !gone && !p.unsweptMade:
		w.finish(released) // what the sweep forces is not made
	case p.class == lookup && w.inDoubt && !p.claimInDoubt && !(gone && p.remakeInDoubt):
		w.finish(released) // until the doubt is over
	case p.class == lookup && (w.forced || s.looks || w.fresh && !p.firstUnfound) && !p.createUnfound:
		w.then(callFind)
	default:
		w.then(callCreate)
	}
}

func (w *worker) then(call uint8) { w.phase, w.call = ready, call }

// finish forgets all that the recording does not need.
func (w *worker) finish(outcome uint8) {
	f := worker{phase: done, outcome: outcome, epoch: w.epoch, generation: w.generation, old: w.old, mapping: w.mapping, unknown: w.unknown && w.call == 0, present: w.present}
	if outcome == synced {
		f.value, f.remoteID = w.value, w.remoteID
	}
	*w = f
}

func (p protocol) send(s state, i int, out emit) {
	w := &s.workers[i]
	if w.call == callFind {
		p.find(&s, w)
		out("find", own, s)
		return
	}
	for j := range s.net {
		if s.net[j] == (request{}) {
			s.unfounded = w.call == callDelete && !s.wasDeleted && !w.old
			s.unheld = w.call == callDelete && s.unasked && !w.old
			s.net[j] = request{call: w.call, value: w.value, remoteID: w.remoteID, owner: uint8(i + 1)}
			w.phase = sent
			out([...]string{callCreate: "send-create", callUpdate: "send-update", callDelete: "send-delete"}[w.call], own, s)
			return
		}
	}
}

// find asks and is answered in one step: it changes nothing, so that a lost
// answer is the same as a later question.
func (p protocol) find(s *state, w *worker) {
	for slot, value := range s.records {
		if value != none && !p.noKey {
			w.remoteID = uint8(slot + 1)
		}
	}
	switch {
	case w.value == none && w.remoteID == 0:
		w.finish(removed)
	case w.value == none:
		w.then(callDelete)
	case w.remoteID == 0:
		w.then(callCreate)
	default:
		w.then(callUpdate)
	}
}

func (p protocol) timeout(s state, i int, out emit) {
	if s.faults == 0 {
		return
	}
	s.faults--
	p.unknown(&s.workers[i])
	s.abandon(i)
	out("timeout", environment, s)
}

// unknown is the outcome of a call that was not answered.
func (p protocol) unknown(w *worker) {
	if p.class == blind && w.call == callCreate {
		w.finish(untold)
		return
	}
	w.finish(doubtful)
}

// abandon leaves worker i's request without anyone who waits for it.
func (s *state) abandon(i int) {
	for j := range s.net {
		if r := &s.net[j]; r.owner == uint8(i+1) {
			r.owner = 0
			if r.answered {
				*r = request{}
			}
		}
	}
}

func (p protocol) record(s state, i int, out emit) {
	w := s.workers[i]
	alive := s.alive(i)
	s.workers[i] = worker{mapping: w.mapping}
	if w.epoch != s.group.epoch && !p.noEpochGuard {
		out("record-stale", own, s)
		return
	}
	g := &s.group
	g.unknown = g.unknown && w.unknown
	if w.present && !w.old && (g.deleted <= w.generation || p.presentForGood) {
		g.deleted = 0 // it came back since
	}
	if alive || p.noEpochGuard {
		g.held = false
	}
	switch w.outcome {
	case synced:
		g.digest, g.remoteID = w.value, w.remoteID
		s.left = false
		g.inDoubt = g.inDoubt && !p.syncedEndsDoubt
	case kept:
		if w.forced {
			g.forced = max(g.forced, w.generation+1)
		}
	case removed, vanished:
		g.digest, g.remoteID = none, 0
	case refused, untold:
		g.parked = g.generation == w.generation || p.parkOverTouch
	}
	if w.outcome == doubtful || w.outcome == untold {
		g.inDoubt = !p.noDoubt
	}
	if w.outcome == synced || w.outcome == removed || w.outcome == kept {
		g.synced = w.generation
		if p.syncedIsNow {
			g.synced = g.generation
		}
		if p.forcedIsFlag {
			g.forced = 0
		}
	}
	out([...]string{
		released: "record-released", synced: "record-synced", removed: "record-removed",
		vanished: "record-vanished", refused: "record-refused", doubtful: "record-doubtful", untold: "record-untold", kept: "record-kept",
	}[w.outcome], own, s)
}

// lose is what may happen to a worker in any phase.
func (p protocol) lose(s state, i int, out emit) {
	if s.workers[i].phase == idle || s.faults == 0 {
		return
	}
	s.faults--
	if s.alive(i) {
		n := s
		n.group.held = false
		n.group.inDoubt = !p.noDoubt
		out("lease-ends-under-live-worker", environment, n)
	}
	s.workers[i] = worker{mapping: s.workers[i].mapping}
	s.abandon(i)
	out("crash", environment, s)
}

// leaseEnds is the end of a dead worker's lease.
func (p protocol) leaseEnds(s state, out emit) {
	if !s.group.held || s.alive(0) || s.alive(1) || s.paused() {
		return
	}
	s.group.held = false
	s.group.inDoubt = !p.noDoubt
	out("lease-ends", own, s)
}

// alive: worker i still has the lease that it works under.
func (s *state) alive(i int) bool {
	return s.workers[i].phase != idle && s.group.held && s.workers[i].epoch == s.group.epoch
}
