package warehouse

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// Config opens a warehouse. Only URL is needed.
type Config struct {
	// URL of the database, postgres://user:password@host/database, or
	// sqlite: and the path of a file, which is made if it is not there.
	URL connector.Secret `yaml:"url"`
	// Schema of the tables whose record type names none. Empty: public, and
	// main in SQLite.
	Schema string `yaml:"schema"`
	// Create says whether missing schemas, tables and columns are made. Nil:
	// they are. Otherwise what is missing is a problem that Prepare and Check
	// tell.
	Create *bool `yaml:"create"`
	// Batch is how many changes go into one transaction at most. Zero: 5,000.
	Batch int `yaml:"batch"`
	// Remember is for how long it is remembered that a row was deleted, so
	// that an older write does not bring it back. Zero: a week.
	Remember time.Duration `yaml:"remember"`

	// Deletes, Lists and Columns are for all tables that don't say otherwise.
	Deletes Deletes `yaml:"deletes"`
	Lists   Lists   `yaml:"lists"`
	Columns Columns `yaml:"columns"`
	// Tables are settings of single tables, by record type.
	Tables map[string]Table `yaml:"tables"`
}

// Table is how one table is kept.
type Table struct {
	Deletes Deletes `yaml:"deletes"`
	Lists   Lists   `yaml:"lists"`
	Columns Columns `yaml:"columns"`
	// Types are the types of columns, by field, in the database's own words:
	// "numeric(12,2)". The others follow from the mapping.
	Types map[string]string `yaml:"types"`
}

// Columns are the names of the columns that no field is in.
type Columns struct {
	Key       string `yaml:"key"`        // the record's external id; empty: external_id
	Version   string `yaml:"version"`    // of the last write; empty: version
	SyncedAt  string `yaml:"synced_at"`  // when that was; empty: synced_at
	DeletedAt string `yaml:"deleted_at"` // of a soft delete; empty: deleted_at
}

// Deletes says what becomes of the row of a deleted record.
type Deletes string

// The ways to delete.
const (
	// Hard removes the row, and remembers for a while that it was removed. The
	// default.
	Hard Deletes = "delete"
	// Soft keeps the row and sets its deleted_at.
	Soft Deletes = "soft"
)

// Lists says where a field goes that is a list.
type Lists string

// The places of lists.
const (
	// AsJSON keeps a list in one column. The default.
	AsJSON Lists = "jsonb"
	// AsTables keeps the elements in a table of their own, named after the
	// table and the field, if the mapping tells what is in them.
	AsTables Lists = "tables"
)

const (
	defaultBatch    = 5_000
	mostBatch       = 50_000
	defaultRemember = 7 * 24 * time.Hour
	// tombstones is the table of deleted rows, one in each schema.
	tombstones = "upkeep_deleted"
)

var typeWords = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_ ,.()"\[\]]*$`)

// validate returns every problem of the configuration.
func (c *Config) validate() error {
	var errs []error
	bad := func(message string, path ...string) {
		errs = append(errs, &connector.OptionError{Path: path, Err: errors.New(message)})
	}
	if c.URL == "" {
		bad("is missing: write postgres://user:password@host/database", "url")
	}
	if c.Batch < 0 || c.Batch > mostBatch {
		bad(fmt.Sprintf("must be between 1 and %d; leave it out for %d", mostBatch, defaultBatch), "batch")
	}
	ways := func(t Table, path ...string) {
		if !slices.Contains([]Deletes{"", Hard, Soft}, t.Deletes) {
			bad(fmt.Sprintf("%q is not a way to delete; write delete or soft", t.Deletes), append(path, "deletes")...)
		}
		if !slices.Contains([]Lists{"", AsJSON, AsTables}, t.Lists) {
			bad(fmt.Sprintf("%q is not a place for lists; write jsonb or tables", t.Lists), append(path, "lists")...)
		}
	}
	ways(Table{Deletes: c.Deletes, Lists: c.Lists})
	for _, name := range slices.Sorted(maps.Keys(c.Tables)) {
		t := c.Tables[name]
		ways(t, "tables", name)
		if _, err := c.table(name); err != nil {
			bad(err.Error(), "tables", name)
		}
		for _, field := range slices.Sorted(maps.Keys(t.Types)) {
			if !typeWords.MatchString(t.Types[field]) {
				bad(fmt.Sprintf("%q is not a type", t.Types[field]), "tables", name, "types", field)
			}
		}
	}
	return errors.Join(errs...)
}

// place is where a table is.
type place struct{ schema, name string }

func (p place) String() string { return p.schema + "." + p.name }

// settings are how the table of a record type is kept, with all defaults.
type settings struct {
	place
	soft      bool
	asTables  bool
	own       Columns
	types     map[string]string
	tombstone place
}

// table finds the settings of a record type: "orders", or "sales.orders".
func (c *Config) table(recordType string) (settings, error) {
	s := settings{place: place{c.Schema, recordType}}
	if schema, name, ok := strings.Cut(recordType, "."); ok {
		s.place = place{schema, name}
	}
	if s.schema == "" || s.name == "" || strings.Contains(s.name, ".") || strings.ContainsRune(recordType, 0) {
		return s, fmt.Errorf("the record type %q is not a table; write its name, or its schema, a dot and its name", recordType)
	}
	t := c.Tables[recordType]
	first := func(values ...string) string {
		for _, v := range values {
			if v != "" {
				return v
			}
		}
		return ""
	}
	s.soft = first(string(t.Deletes), string(c.Deletes)) == string(Soft)
	s.asTables = first(string(t.Lists), string(c.Lists)) == string(AsTables)
	s.own = Columns{
		Key:       first(t.Columns.Key, c.Columns.Key, "external_id"),
		Version:   first(t.Columns.Version, c.Columns.Version, "version"),
		SyncedAt:  first(t.Columns.SyncedAt, c.Columns.SyncedAt, "synced_at"),
		DeletedAt: first(t.Columns.DeletedAt, c.Columns.DeletedAt, "deleted_at"),
	}
	s.types = t.Types
	s.tombstone = place{s.schema, tombstones}
	if s.name == tombstones {
		return s, fmt.Errorf("the table %s is the connector's own", s.place)
	}
	return s, nil
}

// isOwn tells the columns that no field can be in.
func (s *settings) isOwn(column string) bool {
	return column == s.own.Key || column == s.own.Version || column == s.own.SyncedAt || s.soft && column == s.own.DeletedAt
}

// child is the place of a list's elements.
func (s *settings) child(field string) place { return place{s.schema, s.name + "_" + field} }

// position is the column of a list's table that orders the elements; value
// that of the elements of a list of plain values.
const (
	position = "position"
	value    = "value"
)

func (c *Config) creates() bool { return c.Create == nil || *c.Create }
