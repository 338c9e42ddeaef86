package upkeep

// AnySync is a [Mapping] or a [Sync] of any type.
type AnySync interface {
	// mapping is the declaration that both end as.
	mapping() (*Mapping, error)
}

func (m Mapping) mapping() (*Mapping, error) { return &m, nil }

// Sync declares a sync over a struct type, whose tags are the whole
// declaration of what is loaded and watched:
//
//	type Order struct {
//		ID      int64    `db:"id,key"`
//		State   string   `db:"state"`
//		UserID  *int64   `db:"user_id"`              // a pointer: may be NULL
//		User    *User    `belongs_to:"users.user_id"` // table.foreign key here
//		Billing *Billing `has_one:"billing_infos.order_id"`
//		Lines   []Line   `has_many:"line_items.order_id" order:"id" where:"qty > 0"`
//		Notes   int64    `count:"notes.order_id" where:"visible"`
//		Total   decimal.Decimal `sum:"line_items.order_id" column:"amount"`
//	}
//
// Fields without a tag are left alone. A foreign key of several columns is
// written a+b. The functions follow the rules of [Mapping].
type Sync[T any] struct {
	// Name of the sync, unique in a configuration.
	Name string
	// Table is the root table.
	Table string
	// To is the remote, and Record its name for the kind of record.
	To     *Remote
	Record string
	// ExternalID defaults to the sync's name, a dash and the root key.
	ExternalID func(T) string
	// When says whether the row is to be at the remote. Nil means always.
	When func(T) bool
	// Translate makes the representation. Required.
	Translate func(T) (Fields, error)
	// CreateFields are sent when the record is created, and never again.
	CreateFields func(T) (Fields, error)
	// Initialize lets the remote make the record from another one.
	Initialize func(T) Reference
	// The others are as in [Mapping].
	RefersTo            []string
	OnDelete, WhenFalse Ending
	ByHand              bool
	Version             string
	MemberLimit         int
}

func (s Sync[T]) mapping() (*Mapping, error) {
	d, err := describe[T](s.Table)
	if err != nil {
		return nil, err
	}
	m := &Mapping{
		Name: s.Name, From: d.from, To: s.To, Record: s.Record, RefersTo: s.RefersTo,
		OnDelete: s.OnDelete, WhenFalse: s.WhenFalse, ByHand: s.ByHand, Version: s.Version, MemberLimit: s.MemberLimit,
	}
	m.Translate = decoded(d, s.Translate)
	m.CreateFields = decoded(d, s.CreateFields)
	m.ExternalID = decoded(d, withoutError(s.ExternalID))
	m.When = decoded(d, withoutError(s.When))
	m.Initialize = decoded(d, withoutError(s.Initialize))
	return m, nil
}

// decoded lifts a function of a struct to one of a row; nil stays nil.
func decoded[T, R any](d *description, f func(T) (R, error)) func(Row) (R, error) {
	if f == nil {
		return nil
	}
	return func(r Row) (R, error) {
		var v T
		if err := d.decode(r, &v); err != nil {
			var zero R
			return zero, err
		}
		return f(v)
	}
}

func withoutError[T, R any](f func(T) R) func(T) (R, error) {
	if f == nil {
		return nil
	}
	return func(v T) (R, error) { return f(v), nil }
}
