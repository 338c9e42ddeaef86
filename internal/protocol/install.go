package protocol

// Upkeep is uninstalled and installed anew: the registry, the log and the
// triggers go, and what the next installation begins with knows nothing of the
// records that the first one made. At a remote of class Blind those are no
// concern of this machine: nothing finds them, and each installation makes its
// own.

// Passes of the first sweep of an installation, in their order.
const (
	swept uint8 = iota
	passForced
	passRows
)

// installation are the steps of an uninstall, an install and its first sweep.
func (p protocol) installation(s state, out emit) {
	switch {
	case s.uninstalled:
		p.install(s, out)
	case s.installs > 0:
		p.uninstall(s, out)
	}
	if s.pass != swept {
		p.firstSweep(s, out)
	}
}

// uninstall may come at any moment. What workers have under way goes on.
func (p protocol) uninstall(s state, out emit) {
	s.installs--
	s.uninstalled, s.pass = true, swept
	epoch := s.group.epoch
	for i := range s.workers {
		w := &s.workers[i]
		w.old = w.phase != idle
		epoch = max(epoch, w.epoch)
	}
	s.group, s.log = group{}, [3]uint8{}
	if !p.epochsRestart {
		s.group.epoch = epoch + 1 // they are taken from the clock
	}
	if p.class == blind {
		s.records, s.gone, s.net, s.workers = [2]uint8{}, 0, [3]request{}, [2]worker{}
	}
	out("uninstall", environment, s)
}

// install waits, as people are told, until no request of before can arrive.
func (p protocol) install(s state, out emit) {
	if !p.installsAtOnce && !s.atRest() {
		return
	}
	s.uninstalled, s.pass = false, passForced
	s.left = s.row == none
	out("install", own, s)
}

// firstSweep gives each row that is there its group. At a remote of class Lookup
// it forces all groups, so that their records are looked for.
func (p protocol) firstSweep(s state, out emit) {
	g := &s.group
	force := p.class == lookup && !p.firstUnforced
	switch {
	case s.pass == passRows && s.row != none && g.generation == 0:
		g.generation, g.unknown = 1, true
	case s.pass == passForced && force && g.generation > 0,
		s.pass == passRows && force && s.row != none && g.forced == 0:
		g.generation++
		g.parked = false
	default:
		force = false
	}
	if force {
		g.forced = g.generation
	}
	if s.pass == passRows && s.row != none {
		g.deleted = 0
	}
	s.left = s.left || s.row == none && g.generation == 0
	s.pass = (s.pass + 1) % (passRows + 1)
	out("first-sweep", own, s)
}
