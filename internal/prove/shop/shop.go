// Package shop is the application of the proofs: its tables, what it writes,
// the syncs over them, and what the remote has to hold in the end. The last is
// computed with plain SQL and loops, apart from the engine.
package shop

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"sync"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
)

// Schema works on both databases.
const Schema = `
create table customers (id integer primary key, name text not null, segment text);
create table orders (id integer primary key, customer_id integer not null references customers(id) on delete cascade, state text not null, ref text);
create index orders_customer on orders(customer_id);
create table lines (id integer primary key, order_id integer not null references orders(id) on delete cascade, sku text not null, qty integer not null);
create index lines_order on lines(order_id);
create table labels (id integer primary key, text text not null, shown integer not null);
`

// Canary is in every value that the application writes. No table of the
// registry and no log may have it: values are only passed on.
const Canary = "canary-in-a-value"

type customer struct {
	ID      int64   `db:"id"`
	Name    string  `db:"name"`
	Segment *string `db:"segment"`
	Orders  int64   `count:"orders.customer_id" where:"state <> 'draft'"`
}

type order struct {
	ID       int64     `db:"id"`
	Customer int64     `db:"customer_id"`
	State    string    `db:"state"`
	Ref      *string   `db:"ref"`
	Lines    []line    `has_many:"lines.order_id" order:"id"`
	Of       *customer `belongs_to:"customers.customer_id"`
}

type line struct {
	SKU string `db:"sku"`
	Qty int64  `db:"qty"`
}

// A label that is not shown keeps its record as it is. What is written then has
// another text ([Hidden]), which must never be at the remote.
type label struct {
	ID    int64  `db:"id"`
	Text  string `db:"text"`
	Shown int64  `db:"shown"`
}

// Hidden is in the text of each label that is not shown.
const Hidden = "hidden"

// enough deletes for every proof: the limit is not what is proved.
const enough = 1_000_000

// Syncs are the declarations. at is called in each translation. Of another
// edition all records differ, and other orders are left out ([LeftOut]):
// between two of them everything is looked at again. Of edition zero no record
// tells, and nothing is left out.
func Syncs(to *upkeep.Remote, edition int, at func()) []upkeep.AnySync {
	return Form{}.Syncs(to, edition, at)
}

// Form is how a remote has the records. The zero value has them as they are.
type Form struct {
	// Records are the remote's types, by sync.
	Records map[string]string
	// Fields are the remote's, made of those of a record of a sync.
	Fields func(sync string, f upkeep.Fields) upkeep.Fields
	// Columns are for remotes that make tables of them, by sync.
	Columns map[string][]connector.Column
	// Every version is delivered; PostgreSQL only.
	Every bool
}

// Syncs are [Syncs] in this form.
func (in Form) Syncs(to *upkeep.Remote, edition int, at func()) []upkeep.AnySync {
	record := func(sync string) string { return cmp.Or(in.Records[sync], sync) }
	version := ""
	if edition > 0 {
		version = strconv.Itoa(edition)
	}
	mark := func(sync string, f upkeep.Fields) upkeep.Fields {
		if edition > 0 {
			f["edition"] = edition
		}
		if in.Fields != nil {
			return in.Fields(sync, f)
		}
		return f
	}
	deliver := upkeep.Latest
	if in.Every {
		deliver = upkeep.Every
	}
	return []upkeep.AnySync{
		upkeep.Sync[customer]{
			// A function of one's own may give two groups one external id, so that the
			// registry is asked for others that have it.
			ExternalID: func(c customer) string { return fmt.Sprintf("customer-%d", c.ID) },
			Name:       "customer", Version: version, Table: "customers", To: to, Record: record("customer"), Columns: in.Columns["customer"], Deliver: deliver, DeleteLimit: enough,
			Translate: func(c customer) (upkeep.Fields, error) {
				at()
				return mark("customer", upkeep.Fields{"name": c.Name, "segment": c.Segment, "orders": c.Orders}), nil
			},
		},
		upkeep.Sync[order]{
			Name: "order", Version: version, Table: "orders", To: to, Record: record("order"), Columns: in.Columns["order"], Deliver: deliver, RefersTo: []string{"customer"}, DeleteLimit: enough,
			When:      func(o order) bool { return o.State != "draft" && !LeftOut(edition, o.ID) },
			WhenFalse: upkeep.Ending{Action: upkeep.Delete},
			Translate: func(o order) (upkeep.Fields, error) {
				at()
				lines := []upkeep.Fields{}
				for _, l := range o.Lines {
					lines = append(lines, upkeep.Fields{"sku": l.SKU, "qty": l.Qty})
				}
				f := upkeep.Fields{"customer": upkeep.Ref("customer", o.Customer), "ref": o.Ref, "state": o.State, "lines": lines}
				if o.Of != nil {
					f["segment"] = o.Of.Segment
				}
				return mark("order", f), nil
			},
		},
		upkeep.Sync[label]{
			Name: "label", Version: version, Table: "labels", To: to, Record: record("label"), Columns: in.Columns["label"], Deliver: deliver, DeleteLimit: enough,
			When:      func(l label) bool { return l.Shown != 0 },
			WhenFalse: upkeep.Ending{Action: upkeep.Keep},
			Translate: func(l label) (upkeep.Fields, error) {
				at()
				return mark("label", upkeep.Fields{"text": l.Text}), nil
			},
		},
	}
}

// LeftOut says whether an edition leaves an order out: every third one, and of
// the next edition others.
func LeftOut(edition int, order int64) bool { return edition > 0 && (order+int64(edition))%3 == 0 }

// Want is what the remote has to hold: the records' fields by "type/external
// id", with references by external id. A field that is null is not there. Of a
// record that is kept as it is no fields are told ([Want.Kept]).
type Want map[string]map[string]string

// Kept says whether a record is to be left as it was when its row passed last:
// if it was made by then it is there, and nothing that was written since is.
func (w Want) Kept(key string) bool { return w[key][kept] != "" }

const kept = "(kept)"

// Expect computes what the remote has to hold from the rows as they are, and an
// edition of the syncs.
func Expect(ctx context.Context, db *sql.DB, edition int) (Want, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	w := Want{}
	orders := map[int64]int{}
	segments := map[int64]sql.NullString{}
	lines := map[int64][]map[string]any{}
	err = each(ctx, tx, `select order_id, sku, qty from lines order by order_id, id`, func(r *sql.Rows) error {
		var id, qty int64
		var sku string
		err := r.Scan(&id, &sku, &qty)
		lines[id] = append(lines[id], map[string]any{"sku": sku, "qty": qty})
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, tx, `select id, name, segment from customers`, func(r *sql.Rows) error {
		var id int64
		var name string
		var segment sql.NullString
		err := r.Scan(&id, &name, &segment)
		segments[id] = segment
		w.set(key("customer", id), "name", name)
		w.optional(key("customer", id), "segment", segment)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, tx, `select id, customer_id, state, ref from orders`, func(r *sql.Rows) error {
		var id, of int64
		var state string
		var ref sql.NullString
		if err := r.Scan(&id, &of, &state, &ref); err != nil || state == "draft" {
			return err
		}
		orders[of]++
		if LeftOut(edition, id) {
			return nil
		}
		k := key("order", id)
		w.set(k, "state", state)
		w.optional(k, "ref", ref)
		w.optional(k, "segment", segments[of])
		w.set(k, "customer", map[string]string{"ref": key("customer", of)})
		w.set(k, "lines", append([]map[string]any{}, lines[id]...))
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, tx, `select id, text, shown from labels`, func(r *sql.Rows) error {
		var id, shown int64
		var text string
		err := r.Scan(&id, &text, &shown)
		if shown == 0 {
			w.set(key("label", id), kept, true)
		} else {
			w.set(key("label", id), "text", text)
		}
		return err
	})
	for id := range segments {
		w.set(key("customer", id), "orders", orders[id])
	}
	for k := range w {
		if edition > 0 {
			w.set(k, "edition", edition)
		}
	}
	return w, err
}

// key is "type/external id" of a row's record.
func key(kind string, id int64) string { return fmt.Sprintf("%[1]s/%[1]s-%[2]d", kind, id) }

func (w Want) set(key, field string, v any) {
	if w[key] == nil {
		w[key] = map[string]string{}
	}
	b, err := json.Marshal(v)
	if err != nil { // only plain values are set
		panic(err)
	}
	w[key][field] = string(b)
}

func (w Want) optional(key, field string, v sql.NullString) {
	if v.Valid {
		w.set(key, field, v.String)
	}
}

func each(ctx context.Context, tx *sql.Tx, query string, f func(*sql.Rows) error) error {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Ended remembers whose records may be deleted: those whose row was deleted,
// or did not pass its condition, at least once. It is safe for concurrent use.
type Ended struct {
	mu     sync.Mutex
	keys   map[string]bool
	lately map[string]bool // since Mark
	undone map[string]bool // ended in commits that were lost since
}

// Note marks a record as one that may be deleted; before the statement runs.
func (e *Ended) Note(kind string, id int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.keys == nil {
		e.keys = map[string]bool{}
	}
	e.keys[key(kind, id)] = true
	if e.lately != nil {
		e.lately[key(kind, id)] = true
	}
}

// Mark begins anew to remember what ended lately.
func (e *Ended) Mark() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lately = map[string]bool{}
}

// Lately tells whether a record was noted since Mark.
func (e *Ended) Lately(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lately[key]
}

// Reset forgets all, but for some keys.
func (e *Ended) Reset(keys map[string]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keys = keys
}

// Undo is Reset where commits were lost in which others ended: their records may have
// been deleted, and nothing is sent for those that are to be kept as they are.
func (e *Ended) Undo(keys map[string]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.undone == nil {
		e.undone = map[string]bool{}
	}
	maps.Copy(e.undone, e.keys)
	e.keys = keys
}

// Undone tells whether a record ended in commits that were lost.
func (e *Ended) Undone(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.undone[key]
}

// Has tells whether a record may be deleted.
func (e *Ended) Has(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.keys[key]
}

// Remote is a remote of the shop over a connection, as the proofs use it.
func Remote(c connector.Connection) *upkeep.Remote {
	return &upkeep.Remote{Name: "ledger", Connection: c}
}
