package protocol

// A deployment installs another mapping of the same rows while processes with the
// first one are at work. They claim nothing from then on, end, and are started
// again with the new one; what they had claimed before they may still send and
// record.

// translate is what a mapping makes of a row.
func translate(row, mapping uint8) uint8 {
	if row == none {
		return none
	}
	return row + 2*mapping
}

// deploy are the steps of a deployment and of what follows it.
func (p protocol) deploy(s state, out emit) {
	if s.deploys > 0 {
		n := s
		n.deploys--
		n.installed++
		n.resweep = !p.mappingUnswept
		out("another-mapping-is-installed", environment, n)
	}
	if s.resweep {
		n := s
		n.resweep = false
		n.group.generation++
		n.group.parked = false
		out("sweep-of-the-mapping", own, n)
	}
	for i, w := range s.workers {
		if w.phase == idle && w.mapping != s.installed {
			n := s
			n.workers[i].mapping = s.installed
			out("restart-with-the-mapping", own, n)
		}
	}
}
