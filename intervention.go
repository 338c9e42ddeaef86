package upkeep

import (
	"context"
	"fmt"
	"os"
	"os/user"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Intervention is something that a person did by hand, as the registry notes it: a
// method of [Engine] that was called which changes what is sent, or a configuration
// that took the place of another one.
//
//	At     time.Time // by the database's clock
//	By     string    // who: Config.By
//	Role   string    // the role that logged in to the database; empty on SQLite
//	Did    string    // "pause", "resume", "retry", "adopt", "not there", "skip", "resync", "allow deletes", "fix", "forget", "install"
//	Remote string    // what it was done to; without Remote and Sync everything
//	Sync   string
//	Key    string    // of one group; empty: all of the sync
//	Detail string    // how many, why; empty: there is no more to say
type Intervention = store.Intervention

// Interventions lists what was done by hand, the newest first, limit at most: with a
// sync and a key what was done to that group, with a sync alone all that names the sync,
// else all. It is noted before it is done, so that nothing is done that is not noted;
// what was refused then is there, too. It is kept for a year.
func (e *Engine) Interventions(ctx context.Context, sync, key string, limit int) ([]Intervention, error) {
	if key != "" {
		id, err := e.group(ctx, sync, key)
		if err != nil {
			return nil, err
		}
		sync, key = id.Sync, id.Key
	}
	return e.db.Interventions(ctx, sync, key, limit)
}

// intervene notes what is about to be done by hand. What can't be noted is not done.
func (e *Engine) intervene(ctx context.Context, i Intervention) error {
	i.By = e.cfg.By
	return e.db.NoteIntervention(ctx, i)
}

// person is who runs this program, on which machine.
func person(host string) string {
	if u, err := user.Current(); err == nil {
		return u.Username + "@" + host
	}
	return fmt.Sprintf("%d@%s", os.Getuid(), host)
}
