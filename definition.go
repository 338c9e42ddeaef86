package upkeep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// definition is a mapping that has been examined: names are unique, remotes
// have what it asks for, references lead somewhere.
type definition struct {
	Mapping
	traits   connector.Traits
	version  string   // of the declaration, and where its records are: a change leads to a sweep
	circular bool     // references can lead back to it
	among    []string // the syncs with which its records could have an external id in common; nil: none
	located  located
}

// located is an [AnySync] that comes from a file and knows the places in it.
type located interface {
	// Misfits compares the file's sync with the tables as they are; the error
	// names each place that no longer fits, on one line. Nil: all does.
	Misfits(ctx context.Context, catalog store.Catalog) error
	// Outdated names in the same way the places that compare a column with one of
	// these labels, which its enum has no more. err: that can't be told now.
	Outdated(ctx context.Context, catalog store.Catalog, labels []string) (outdated, err error)
}

// define examines the mappings and returns every problem at once.
func define(syncs []AnySync) ([]*definition, error) {
	var defs, declared []*definition // those that nothing is wrong with by themselves, and all
	var errs []error
	byName, unnamed := map[string]*definition{}, false
	for i, s := range syncs {
		if isNil(s) {
			unnamed = true
			errs = append(errs, fmt.Errorf("Config.Syncs[%d] is nil: set it to an upkeep.Sync, an upkeep.Mapping or a gormsync.Model", i))
			continue
		}
		m, err := s.Declaration()
		if err != nil {
			unnamed = true
			errs = append(errs, each(err, "Config.Syncs[%d]: ", i))
			continue
		}
		d := &definition{Mapping: *m}
		d.located, _ = s.(located)
		wrong := d.examine()
		if wrong != nil {
			errs = append(errs, each(wrong, "sync %q: ", m.Name))
		}
		if d.Name != "" && byName[d.Name] != nil {
			errs = append(errs, fmt.Errorf("two syncs are called %q; names must differ", d.Name))
			declared = append(declared, d) // what else is wrong with it is told as well
			continue
		}
		byName[d.Name] = d
		declared = append(declared, d)
		if wrong == nil {
			defs = append(defs, d)
		}
	}
	for _, d := range declared {
		errs = append(errs, d.references(byName, unnamed)...)
	}
	errs = append(errs, strayRemotes(declared, defs)...)
	sound := map[string]*definition{}
	for _, d := range defs {
		sound[d.Name] = d
	}
	circular(defs, sound)
	namesakes(defs)
	for _, d := range defs {
		if through := d.initializeCircle(sound); through != "" {
			errs = append(errs, fmt.Errorf("sync %q initializes its record from one of sync %q, which refers to it in turn: each would wait for the other for ever", d.Name, through))
		}
	}
	if len(syncs) == 0 {
		errs = append(errs, errors.New("Config.Syncs is empty: no syncs are declared"))
	}
	return defs, errors.Join(errs...)
}

// references says which syncs that it refers to are none, or go elsewhere. A sync
// whose name is not known may be the one.
func (d *definition) references(byName map[string]*definition, unnamed bool) (errs []error) {
	for _, to := range d.RefersTo {
		target := byName[to]
		switch {
		case target == nil && !unnamed:
			errs = append(errs, fmt.Errorf("sync %q refers to sync %q, which does not exist", d.Name, to))
		case target != nil && target.To != nil && d.To != nil && target.To != d.To:
			errs = append(errs, fmt.Errorf("sync %q refers to sync %q, which goes to another remote (%s, not %s)", d.Name, to, target.To.Name, d.To.Name))
		}
	}
	return errs
}

// strayRemotes says what is wrong with remotes of syncs with which something else
// is wrong; [gather] has those of the others.
func strayRemotes(declared, sound []*definition) (errs []error) {
	var seen []*Remote
	for _, d := range sound {
		seen = append(seen, d.To)
	}
	for _, d := range declared {
		if d.To != nil && !slices.Contains(seen, d.To) {
			seen = append(seen, d.To)
			errs = append(errs, d.To.examine())
		}
	}
	return errs
}

// each puts a prefix before each of joined errors, so that each is a line that
// says where it belongs.
func each(err error, format string, args ...any) error {
	var errs []error
	for _, one := range split(err) {
		errs = append(errs, fmt.Errorf(format+"%w", append(slices.Clone(args), one)...))
	}
	return errors.Join(errs...)
}

// isNil is also true of a nil pointer in an interface, such as of a function
// whose error was not looked at.
func isNil(v any) bool {
	r := reflect.ValueOf(v)
	return !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil()
}

// finds says whether the remote can look the sync's records up.
func (d *definition) finds() bool {
	if d.traits.Class == connector.Blind {
		return false
	}
	f, ok := d.To.Connection.(connector.Finder)
	return !ok || f.Finds(d.Record)
}

// looks says whether the remote takes a second record of one external id, and
// can be asked for the first: what may be there of an earlier installation is
// looked for before it is made.
func (d *definition) looks() bool { return d.traits.Class == connector.Lookup && d.finds() }

// digest is of everything declared, so that an edited mapping is noticed.
func (d *definition) digest() string {
	b, err := json.Marshal(struct {
		From                *Relation
		Remote, Record      string
		OnDelete, WhenFalse Ending
		Sends               []string
		Version             string
		Every               bool `json:",omitempty"`
	}{d.From, d.To.Name, d.Record, d.OnDelete, d.WhenFalse, d.Sends, d.Version, d.Deliver == Every})
	if err != nil { // only an Ending's fields could fail to encode; then they can't be sent either
		return d.Version
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// traitsOf asks a connector for its traits; err: it panicked.
func traitsOf(c connector.Connection) (t connector.Traits, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the connector's Traits panicked: %v, at %s", p, panicSite())
		}
	}()
	return c.Traits(), nil
}

// traits are the connector's, with its zeros and the remote's own settings
// filled in.
func (r *Remote) traits() connector.Traits {
	t, _ := traitsOf(r.Connection) // [Remote.examine] tells what is wrong with them
	pick := func(into *time.Duration, own, fallback time.Duration) {
		if own != 0 {
			*into = own
		} else if *into == 0 {
			*into = fallback
		}
	}
	pick(&t.Quiet, r.Quiet, time.Minute)
	pick(&t.Timeout, r.Timeout, time.Minute)
	if r.Concurrency != 0 {
		t.Concurrency = r.Concurrency
	} else if t.Concurrency == 0 {
		t.Concurrency = 10
	}
	return t
}
