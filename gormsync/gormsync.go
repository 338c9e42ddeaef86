// Package gormsync declares a sync over a GORM model, so that what the model
// says of its columns and relations is not said again:
//
//	type Order struct {
//		gorm.Model
//		State  string
//		UserID uint
//		User   User
//		Lines  []LineItem
//	}
//
//	gormsync.Model[Order]{
//		Name: "sales_order", To: netsuite, Record: "salesOrder",
//		Load: []string{"State", "User.Name", "Lines.SKU", "Lines.Price"},
//		Translate: func(o Order) (upkeep.Fields, error) { ... },
//	}
//
// A Model stands among the syncs of an upkeep.Config as an upkeep.Sync does.
// The package reads the models only: it opens no database and needs none of
// GORM's drivers, and Upkeep sees every change, whether GORM made it or not. For
// what it can't see, [Tx] takes a transaction of GORM to the engine's calls.
package gormsync

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"gorm.io/gorm/schema"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
)

// Model declares a sync over a GORM model T. Its functions follow the rules of
// [upkeep.Mapping].
//
// A row of a model with a gorm.DeletedAt that is set counts as deleted, here as
// in GORM: of a root row it is as if When were false, has_one and has_many
// leave it out, and a belongs_to finds nothing.
//
// Values are set as GORM sets them when it reads: through the Scan of the
// field's type, whatever its kind, or its serializer; NULL leaves the zero value
// in a field that is not a pointer (in a time.Time the year 1, which is sent as
// such: take a pointer where there may be none), and a decimal goes into a
// float64. A Scan gets what the driver of PostgreSQL hands over: a string, int64,
// float64, bool, []byte or time.Time; of numeric a string with all digits, of
// json []byte, on SQLite too. JSON is written anew for it, without white space; a
// JSON column with a text, true, false or null alone comes as that value. Times
// are in UTC. What GORM can't read parks the group. Hooks such as AfterFind are
// not called. A field that is write-only (->:false) is neither loaded nor
// watched. A has_one that finds several rows parks the group, since nothing says
// which of them is meant: make it a has_many, and choose in Translate. Relations of
// kind many2many can't be loaded: declare the join table as a model of its own.
type Model[T any] struct {
	// Name of the sync, unique in a configuration.
	Name string
	// To is the remote, and Record its name for the kind of record.
	To     *upkeep.Remote
	Record string
	// Load names what the functions read, by the names of the Go fields:
	// columns ("State"), relations ("User", "Lines.Product") and columns of
	// relations ("Lines.Price"). An embedded struct's ("Address") are all of its
	// columns, or those named ("Address.City"). Of a model of which no column is named, all
	// are loaded, but for the time of update that GORM keeps; relations are
	// loaded only if they are named. Fields that are not loaded are zero.
	// Primary keys are always there. What is loaded is watched, so a column
	// that is not named here costs nothing when it changes.
	Load []string
	// ExternalID defaults to the sync's name, a dash and the root key. It is
	// made from the primary key alone: of a row that is gone there is no more.
	ExternalID func(T) string
	// When says whether the row is to be at the remote. Nil means always.
	When func(T) bool
	// Translate makes the representation. Required. nil without an error parks
	// the group: When leaves rows out.
	Translate func(T) (upkeep.Fields, error)
	// CreateFields are sent when the record is created, and never again. A
	// field of Translate's can't be one of them: such a group is parked.
	CreateFields func(T) (upkeep.Fields, error)
	// Initialize lets the remote make the record from another one.
	Initialize func(T) upkeep.Reference
	// The others are as in upkeep.Mapping, but for WhenFalse of a model with a
	// DeletedAt: it is done for soft deleted rows too, its zero value is
	// OnDelete's, and with a When it must be said.
	RefersTo            []string
	Sends               []string
	Columns             []connector.Column
	OnDelete, WhenFalse upkeep.Ending
	ByHand              bool
	Deliver             upkeep.Delivery
	Version             string
	DeleteLimit         int
	MemberLimit         int
	// Naming is the naming strategy of the gorm.Config. Nil: GORM's own.
	Naming schema.Namer
}

// Declaration reads the model. It is an error if T is a pointer, if GORM can't
// parse it, or if Load names what is not there.
func (m Model[T]) Declaration() (*upkeep.Mapping, error) {
	from, err := m.from()
	if err != nil {
		return nil, each(err, fmt.Sprintf("sync %q: gorm model %s: ", m.Name, reflect.TypeFor[T]()))
	}
	whenFalse := m.WhenFalse
	if from.deleted != nil && whenFalse.Action == "" {
		if m.When != nil {
			return nil, fmt.Errorf("sync %q: WhenFalse is missing: it is done when When turns false and when the row is soft deleted", m.Name)
		}
		if whenFalse = m.OnDelete; whenFalse.Action == "" {
			whenFalse.Action = upkeep.Delete
		}
	}
	return &upkeep.Mapping{
		Name: m.Name, From: from.relation, To: m.To, Record: m.Record, RefersTo: m.RefersTo, Sends: m.Sends, Columns: m.Columns,
		OnDelete: m.OnDelete, WhenFalse: whenFalse, ByHand: m.ByHand, Deliver: m.Deliver, Version: m.Version, MemberLimit: m.MemberLimit, DeleteLimit: m.DeleteLimit,
		Translate:    filled(from, m.Translate),
		CreateFields: filled(from, m.CreateFields),
		ExternalID:   filled(from, plain(m.ExternalID)),
		Initialize:   filled(from, plain(m.Initialize)),
		When:         when(from, m.When),
	}, nil
}

// each puts a prefix before each of joined errors.
func each(err error, prefix string) error {
	many, joined := err.(interface{ Unwrap() []error })
	if !joined {
		return fmt.Errorf("%s%w", prefix, err)
	}
	var errs []error
	for _, one := range many.Unwrap() {
		errs = append(errs, each(one, prefix))
	}
	return errors.Join(errs...)
}

// from is what is to be loaded.
func (m Model[T]) from() (*table, error) {
	switch t := reflect.TypeFor[T](); t.Kind() {
	case reflect.Pointer:
		return nil, fmt.Errorf("the functions get the model itself, not a pointer: gormsync.Model[%s]", t.Elem())
	case reflect.Struct:
	default:
		return nil, errors.New("a model is a struct, whose fields are the columns: gormsync.Model[Order]")
	}
	naming := m.Naming
	if naming == nil {
		naming = schema.NamingStrategy{}
	}
	parsed, err := schema.Parse(new(T), &sync.Map{}, naming)
	if err != nil {
		return nil, err
	}
	return read(parsed, m.Load)
}

// filled lifts a function of a model to one of a row; nil stays nil.
func filled[T, R any](from *table, f func(T) (R, error)) func(upkeep.Row) (R, error) {
	if f == nil {
		return nil
	}
	return func(r upkeep.Row) (R, error) {
		var v T
		if err := from.fill(context.Background(), r, reflect.ValueOf(&v).Elem()); err != nil {
			var zero R
			return zero, err
		}
		return f(v)
	}
}

func plain[T, R any](f func(T) R) func(T) (R, error) {
	if f == nil {
		return nil
	}
	return func(v T) (R, error) { return f(v), nil }
}

func when[T any](from *table, f func(T) bool) func(upkeep.Row) (bool, error) {
	rest := filled(from, plain(f))
	if from.deleted == nil {
		return rest
	}
	return func(r upkeep.Row) (bool, error) {
		if from.gone(r) {
			return false, nil
		}
		if rest == nil {
			return true, nil
		}
		return rest(r)
	}
}
