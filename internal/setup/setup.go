// Package setup makes an engine out of a configuration file: it opens the
// database and the remotes that the file names, and compiles its syncs.
package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/config"
	"github.com/upkeep-sync/upkeep/postgres"
	"github.com/upkeep-sync/upkeep/sqlite"
)

// Options say what to set up.
type Options struct {
	// Path of the configuration file.
	Path string
	// Env looks an environment variable up: os.LookupEnv.
	Env func(string) (string, bool)
	// Connectors are those that the file may name.
	Connectors config.Connectors
	// Engine is what the engine gets besides; Database and Syncs are filled
	// in from the file.
	Engine upkeep.Config
}

// ConfigError is an error that only an edit of the configuration file mends.
type ConfigError struct{ Err error }

// Error is the cause's text.
func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

// misfitError is what the file's syncs and the tables disagree about; the file
// is sound for itself.
type misfitError struct{ error }

func (e *misfitError) Unwrap() error { return e.error }

// Misfit says whether the error is that the tables are not as the syncs of a
// file, which is sound for itself, have them: a column was renamed, say.
func Misfit(err error) bool {
	var misfit *misfitError
	return errors.As(err, &misfit)
}

// Setup is all that a configuration file names, open.
type Setup struct {
	Engine   *upkeep.Engine // nil: no sync fits
	Database upkeep.Database
	Remotes  map[string]*upkeep.Remote

	file   *config.File
	fit    []string
	unfit  []string
	doubts config.Errors
}

// Open opens everything. The error tells all problems that can be told at
// once; what was opened is closed again then.
func Open(ctx context.Context, o Options) (*Setup, error) {
	s, misfit, err := OpenFitting(ctx, o)
	if err == nil && misfit != nil {
		return nil, errors.Join(misfit, s.Close())
	}
	return s, err
}

// OpenFitting is Open that leaves out the syncs that don't fit the tables, and
// those that refer to them. [Setup.Fits] tells which are left, and misfit, for
// which [Misfit] is true, what is wrong; nil: nothing.
func OpenFitting(ctx context.Context, o Options) (s *Setup, misfit, err error) {
	file, err := read(o)
	if err != nil {
		return nil, nil, err
	}
	s = &Setup{file: file}
	remotes, configErr := file.Open(o.Connectors)
	s.Remotes = remotes
	if s.Database, err = openDatabase(ctx, file.Source); err != nil {
		if configErr != nil { // it is certain, and the database may be back soon
			return nil, nil, &ConfigError{configErr}
		}
		return nil, nil, errors.Join(err, s.Close())
	}
	fit := file.Fitting(ctx, s.Database, remotes)
	if configErr != nil {
		return nil, nil, errors.Join(&ConfigError{errors.Join(append([]error{configErr}, fit.Problems...)...)}, s.Close())
	}
	if len(fit.Problems) > 0 {
		misfit = &ConfigError{&misfitError{errors.Join(fit.Problems...)}}
	}
	s.doubts, s.unfit = fit.Doubts, fit.Unfit
	c := o.Engine
	c.LosslessFailover = file.LosslessFailover
	c.Database = s.Database
	for _, m := range fit.Mappings {
		c.Syncs = append(c.Syncs, file.Located(m))
		s.fit = append(s.fit, m.Name)
	}
	if misfit != nil && len(s.fit) == 0 {
		return s, misfit, nil
	}
	if s.Engine, err = upkeep.New(c); err != nil {
		return nil, nil, errors.Join(&ConfigError{err}, s.Close())
	}
	return s, misfit, nil
}

// Names lists the syncs and the remotes that the file declares. It opens nothing, and
// takes variables that are not set for anything: for completion, not for work.
func Names(o Options) (syncs, remotes []string, err error) {
	env := o.Env
	o.Env = func(name string) (string, bool) {
		if env != nil {
			if v, ok := env(name); ok {
				return v, true
			}
		}
		return "1", true
	}
	file, err := read(o)
	if err != nil {
		return nil, nil, err
	}
	return file.Syncs(), file.Remotes(), nil
}

// OpenDatabase opens the database that the file names, and nothing else.
func OpenDatabase(ctx context.Context, o Options) (upkeep.Database, error) {
	file, err := read(o)
	if err != nil {
		return nil, err
	}
	return openDatabase(ctx, file.Source)
}

// Close closes the remotes and the database.
func (s *Setup) Close() error {
	var errs []error
	for _, r := range s.Remotes {
		errs = append(errs, r.Connection.Close())
	}
	if s.Database != nil {
		errs = append(errs, s.Database.Close())
	}
	return errors.Join(errs...)
}

// Syncs lists the names of the syncs, in the order of the file.
func (s *Setup) Syncs() []string { return s.file.Syncs() }

// Fits says whether a sync of the file fits the tables, as all do unless
// [OpenFitting] said otherwise.
func (s *Setup) Fits(name string) bool { return slices.Contains(s.fit, name) }

// Unfit lists the syncs that don't fit the tables themselves, and not only refer to
// one that does not.
func (s *Setup) Unfit() []string { return s.unfit }

// When is the condition of a sync as the file has it, and what it names of a row,
// each as the way to it over relations; empty: there is none.
func (s *Setup) When(sync string) (source string, reads [][]string) { return s.file.When(sync) }

// Known returns an error that names the syncs unless there is one called
// name. Empty is known: it stands for all.
func (s *Setup) Known(name string) error {
	if name == "" || slices.Contains(s.Syncs(), name) {
		return nil
	}
	return fmt.Errorf("there is no sync %q; there are: %s", name, strings.Join(s.Syncs(), ", "))
}

func read(o Options) (*config.File, error) {
	data, err := os.ReadFile(o.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &ConfigError{fmt.Errorf("there is no configuration file %s; name one with --config or UPKEEP_CONFIG", o.Path)}
	}
	if err != nil {
		return nil, &ConfigError{fmt.Errorf("read the configuration file: %w", err)}
	}
	file, err := config.Parse(o.Path, data, o.Env)
	if err != nil {
		return nil, &ConfigError{err}
	}
	return file, nil
}

// OpenSource opens the database that a configuration's source would name,
// without a file. Its errors hold no password.
func OpenSource(ctx context.Context, source string) (upkeep.Database, error) {
	return openDatabase(ctx, source)
}

// openDatabase opens what source names; its errors hold no password.
func openDatabase(ctx context.Context, source string) (upkeep.Database, error) {
	if strings.HasPrefix(source, "postgres://") || strings.HasPrefix(source, "postgresql://") {
		db, err := postgres.Open(ctx, source)
		if err != nil {
			return nil, err
		}
		return db, nil
	}
	if strings.HasPrefix(source, "sqlite:") || strings.HasPrefix(source, "file:") {
		db, err := sqlite.Open(source, sqlite.Config{})
		if err != nil {
			return nil, err
		}
		return db, nil
	}
	return nil, &ConfigError{errors.New("source is not a database that Upkeep knows; write postgres://user:password@host/database, or sqlite: and the path of a file")}
}
