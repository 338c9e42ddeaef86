package upkeep

import (
	"context"
	"errors"
	"fmt"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// ErrElsewhere: a sync is declared with another record type, or for another
// remote, than its records were made with. They can't be moved, and the remote
// ids in the registry mean nothing there. Nothing is changed; the text says
// what to do.
var ErrElsewhere = errors.New("the sync's records are elsewhere")

// versionOf joins the digest of a declaration with where its records are, so
// that the two are written down in one step.
func versionOf(digest, remote, record string) string {
	return fmt.Sprintf("%s %q %q", digest, remote, record)
}

// placeOf undoes [versionOf].
func placeOf(version string) (remote, record string, known bool) {
	var digest string
	_, err := fmt.Sscanf(version, "%s %q %q", &digest, &remote, &record)
	return remote, record, err == nil
}

// elsewhere finds the syncs that have records of another type, or at another
// remote, than they are declared with. A sync of which nothing is at the remote
// may change both.
func (e *Engine) elsewhere(ctx context.Context) (found []*moved, err error) {
	for _, d := range e.defs {
		state, err := e.db.Sync(ctx, d.Name)
		if errors.Is(err, ErrNotInstalled) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		remote, record, known := placeOf(state.Version)
		if !known || remote == d.To.Name && record == d.Record {
			continue
		}
		some, err := e.hasRecords(ctx, d.Name)
		if err != nil {
			return nil, err
		}
		if some {
			found = append(found, &moved{d, remote, record})
		}
	}
	return found, nil
}

// inPlace is an error of each sync that [Engine.elsewhere] finds.
func (e *Engine) inPlace(ctx context.Context) error {
	found, err := e.elsewhere(ctx)
	errs := []error{err}
	for _, m := range found {
		errs = append(errs, m)
	}
	return errors.Join(errs...)
}

// hasRecords says whether a record of the sync is at the remote, or may be.
func (e *Engine) hasRecords(ctx context.Context, sync string) (bool, error) {
	for after := (ID{}); ; {
		groups, err := e.db.Groups(ctx, sync, "", after, maxRecord)
		if err != nil || len(groups) == 0 {
			return false, err
		}
		for _, g := range groups {
			if g.RemoteID != "" || !g.InDoubtUntil.IsZero() || g.State == store.Claimed {
				return true, nil
			}
		}
		after = groups[len(groups)-1].ID
	}
}

// moved is an [ErrElsewhere] of one sync.
type moved struct {
	def            *definition
	remote, record string // that its records were made with
}

func (m *moved) Error() string {
	return fmt.Sprintf("sync %q: %s; %s", m.def.Name, m.what(), m.fix())
}

func (m *moved) Is(target error) bool { return target == ErrElsewhere }

func (m *moved) what() string {
	if m.remote != m.def.To.Name {
		return fmt.Sprintf("it has records of type %s at remote %s, and is declared with %s at remote %s; records can't be moved", m.record, m.remote, m.def.Record, m.def.To.Name)
	}
	return fmt.Sprintf("it has records of type %s at remote %s, and is declared with type %s; records can't change their type", m.record, m.remote, m.def.Record)
}

func (m *moved) fix() string {
	return "give the sync another name: it makes new records then, and the old ones stay at the remote as they are. To have those deleted, let the sync run as it was with when: false and when_false: delete first, until upkeep status has them all as gone"
}

// movedFindings tells them to [Engine.Check].
func movedFindings(found []*moved) (findings []Finding) {
	for _, m := range found {
		f := Finding{Severity: Problem, Subject: m.def.Name, Message: m.what(), Fix: m.fix()}
		if m.remote == m.def.To.Name {
			f.Sync = m.def.Name // a file has its place: that of the record type
		}
		findings = append(findings, f)
	}
	return findings
}
