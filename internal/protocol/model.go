// Package protocol is the claim protocol as a small machine whose every state is
// visited, so that a race is found by a search and not by luck. It is a
// specification that runs: when the contracts in internal/store change, this
// changes with them. No other package imports it.
//
// # What is modelled
//
// One group, with the columns that decide about it: generation, synced_,
// forced_ and deleted_generation, epoch, the lease, in doubt, parked, digest
// and remote id. A source row that is updated, deleted and made again, and the
// touch log that says so. Two workers that fold, claim, load, compare, find,
// send and record as store.Registry and store.Claim have it. A remote of any
// class. A database, rows and registry in one, that is put back to what it was
// (restore.go). Another mapping that is deployed beside the first (deploy.go). An
// uninstall, and an installation after it that knows nothing (install.go). A row that
// the mapping leaves out for a while, whose record is kept as it is (kept.go). A group
// that is gone and forgotten (forget.go). Faults,
// a bounded number of them at any moment: a crash, a lease that ends under a live
// worker, an answer that comes too late, a request that is lost, a load that does
// not see a row that is there. A
// request that nobody waits for any more may be applied at any later time, or
// never; once the quiet time D+Z is over it is not (settling waits for that),
// but a worker that was held up may record its answer however late.
//
// # What must hold
//
// In every state: a clean group's record is what the row is (none if it was
// deleted); there are never two records; no delete goes out for a row that
// never was deleted, and after a restore none that no person allowed; no call
// is saved that the record needed; and the protocol's own steps, without another
// commit, can still make the group clean. Each rule of the protocol is also left out once, and the search must
// then find a violation: a rule whose absence is not noticed is either not
// needed or not modelled.
//
// # What is not modelled
//
// Machines of their own have two groups that wait for one another (pair.go),
// a request with several changes (batch.go), the ordered lane (ordered.go), and
// the fields of a record, of which in doubt only some go again (fields.go), also
// where others change or delete it at the remote.
// Not modelled are deletes that set a field, refusals by the remote, its failures
// that surely changed nothing, limits, and jobs. At a remote of class Blind a
// record that was made again when the known one was gone may be left behind by a
// delete, since nobody can look for it. Folds take the entries of one row in
// their order. A lease and the quiet time have no length: they end
// whenever the search likes.
//
// # Numbers
//
// The tests log how many states each search visited: go test -v
// ./internal/protocol. Numbers in the project's documents come from there, with
// -deep for those with three faults.
package protocol

// protocol is what a search explores: rules, a class of remote and bounds.
type protocol struct {
	rules
	class    class
	commits  uint8 // of the application, after the first row
	faults   uint8
	restores uint8 // of a backup
	deploys  uint8 // of another mapping
	installs uint8 // after an uninstall
	leaves   uint8 // of the row, and returns
	forgets  uint8 // of a group that is gone
}

// Values of a row and of a remote record.
const (
	none uint8 = iota
	valueA
	valueB
)

// Entries of the touch log.
const (
	logUpdate uint8 = iota + 1
	logDelete
	logInsert
)

// Phases of a worker.
const (
	idle uint8 = iota
	claimed
	ready // loaded and compared: knows its next call
	sent
	done // knows its outcome, which is not recorded yet
)

// Calls of the remote.
const (
	callFind uint8 = iota + 1
	callCreate
	callUpdate
	callDelete
)

// Outcomes, as in store.Outcome.
const (
	released uint8 = iota + 1
	synced
	removed
	refused
	doubtful
	untold   // class Blind: refused, since a create's outcome is unknown
	vanished // class Blind: the record was gone; another claim makes it
	kept     // synced, as the row is left out: nothing was sent
)

// worker holds its claim and how far it is. A field that is not needed any
// more is zero, so that equal futures are equal states.
type worker struct {
	phase                    uint8
	epoch, generation        uint8
	forced, inDoubt, deleted bool // as claimed
	digest, remoteID         uint8
	value, call, outcome     uint8
	old                      bool  // claimed before the database was restored
	mapping                  uint8 // of its process, also while it is idle
	fresh                    bool  // claimed before the first sweep was over
	unknown                  bool  // nothing went out for the group yet
	present                  bool  // the row was there
}

// request is a request on its way, or its answer on the way back.
type request struct {
	call, value, remoteID uint8
	owner                 uint8 // 1 + the worker that waits for it; 0: nobody any more
	answered              bool
}

// group is the row of the registry.
type group struct {
	generation, synced, forced, deleted uint8 // deleted 0: no delete seen
	epoch                               uint8
	held, inDoubt, parked               bool
	digest, remoteID                    uint8
	unknown                             bool // nothing went out for it since this installation began
}

// state is everything. It is comparable.
type state struct {
	row        uint8
	wasDeleted bool     // the row was deleted at least once
	log        [3]uint8 // oldest first
	group      group
	workers    [2]worker
	net        [3]request
	records    [2]uint8 // at the remote; the remote id is 1 + the index
	gone       uint8    // the id of a record that was deleted: the next one has another
	commits    uint8    // left
	faults     uint8    // left
	unfounded  bool     // a delete went out for a row that never was deleted
	wrongSkip  bool     // a call was saved that the record needed

	restores uint8 // left
	saved    past
	restored uint8
	epochs   uint8 // since a restore: those up to here were given out before it
	sweep    bool  // still to come
	looks    bool  // class Lookup: finds before each create
	held     bool  // deletes wait for a person
	unasked  bool  // no person allowed any since a restore
	unheld   bool  // one went nevertheless

	deploys   uint8 // left
	installed uint8 // the mapping
	resweep   bool  // for it, still to come

	leaves uint8 // left
	out    bool  // the mapping leaves the row out

	forgets uint8 // left

	installs    uint8 // left
	uninstalled bool  // and not yet installed anew
	pass        uint8 // of the first sweep, the next to come
	left        bool  // a record may be there whose row went when nobody saw it
}

// kind of a step: only the protocol's own steps lead to a clean group.
type kind uint8

const (
	own         kind = iota // Upkeep's or the remote's, without a fault
	environment             // a commit or a fault: it may never come
)

// emit is given each step that is possible.
type emit func(name string, k kind, after state)

// start is a row that was registered and never sent.
func (p protocol) start() state {
	return state{row: valueA, group: group{generation: 1}, commits: p.commits, faults: p.faults, restores: p.restores, deploys: p.deploys, installs: p.installs, leaves: p.leaves, forgets: p.forgets}
}

// next calls out with every step from s.
func (p protocol) next(s state, out emit) {
	p.commit(s, out)
	p.leave(s, out)
	p.fold(s, out)
	for i := range s.workers {
		switch s.workers[i].phase {
		case idle:
			p.claim(s, i, out)
		case claimed:
			p.load(s, i, out)
		case ready:
			p.send(s, i, out)
		case sent:
			p.timeout(s, i, out)
		case done:
			p.record(s, i, out)
		}
		p.lose(s, i, out)
	}
	p.leaseEnds(s, out)
	for j := range s.net {
		p.deliver(s, j, out)
	}
	p.settle(s, out)
	p.beyond(s, out)
	p.deploy(s, out)
	p.installation(s, out)
	p.forget(s, out)
	if s.group.parked && s.row != none {
		s.group.parked = false
		out("retry-by-hand", own, s) // once the row can be seen
	}
}

func (p protocol) commit(s state, out emit) {
	if s.commits == 0 || s.log[2] != 0 && !s.uninstalled {
		return
	}
	for to, name := range [...]string{"commit-delete", "commit-A", "commit-B"} {
		if uint8(to) == s.row || s.row == none && p.class == lookup && (s.left || s.group.unknown) {
			continue // a limit that is documented: the key of what nobody looked for is used again
		}
		n := s
		n.commits--
		n.row = uint8(to)
		entry := logUpdate
		switch {
		case n.row == none:
			entry = logDelete
			n.wasDeleted, n.out = true, false
		case s.row == none:
			entry = logInsert
		}
		for j := range n.log {
			if n.log[j] == 0 && !n.uninstalled {
				n.log[j] = entry
				break
			}
		}
		out(name, environment, n)
	}
}

// fold takes the oldest entry, or all of them.
func (p protocol) fold(s state, out emit) {
	for take := range s.log {
		if s.log[take] == 0 || take == 1 && s.log[2] != 0 {
			continue
		}
		n := s
		if n.group.generation == 0 && n.row == none { // no group is made for a row that is gone
			n.left = n.left || p.forgets == 0 // what was forgotten has left nothing
			n.log = [3]uint8{}
			copy(n.log[:], s.log[take+1:])
			out("fold-nothing", own, n)
			continue
		}
		n.group.unknown = n.group.unknown || n.group.generation == 0
		n.group.generation++
		n.group.parked = false
		for _, entry := range s.log[:take+1] {
			switch {
			case entry == logDelete:
				n.group.deleted = n.group.generation
			case entry == logInsert && !p.evidenceStays:
				n.group.deleted = 0
			}
		}
		if p.foldTwice && s.faults > 0 {
			m := n
			m.faults--
			out("fold-crash", environment, m)
		}
		n.log = [3]uint8{}
		copy(n.log[:], s.log[take+1:])
		out("fold", own, n)
	}
}

// settle ends the doubt once D+Z have passed: no abandoned request can land
// any more, and a worker without its lease sends nothing more. It may still
// record, however late: only the epoch guards against that.
func (p protocol) settle(s state, out emit) {
	if !s.group.inDoubt || s.paused() {
		return
	}
	if !p.settleEarly && !s.atRest() {
		return
	}
	s.group.inDoubt = false
	s.group.generation++
	s.group.forced = s.group.generation
	out("settle", own, s)
}
