package protocol

// leave is a row that the mapping leaves out, and that passes again: its record is
// kept as it is meanwhile, whatever that is.
func (p protocol) leave(s state, out emit) {
	if s.leaves == 0 || s.row == none {
		return
	}
	if s.log[2] != 0 && !s.uninstalled {
		return // no room: it is folded first
	}
	s.leaves--
	s.out = !s.out
	for j := range s.log {
		if s.log[j] == 0 && !s.uninstalled {
			s.log[j] = logUpdate
			break
		}
	}
	if s.out {
		out("leaves", environment, s)
	} else {
		out("passes-again", environment, s)
	}
}

// keep ends a claim of a row that is left out: a success, for which nothing was
// sent. What was forced or in doubt stays so for the next touch, also where nothing
// is known to have gone out: a worker may have lost its lease before it noted that.
func (p protocol) keep(w *worker) {
	unsure := w.forced || w.inDoubt
	if p.unknownIsSure && w.unknown && !w.inDoubt {
		unsure = false
	}
	unknown := w.unknown && !w.inDoubt
	w.finish(kept)
	w.forced, w.unknown = unsure && !p.keptSettles, unknown
}
