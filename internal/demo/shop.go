package demo

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

//go:embed schema.sql
var schema string

// shop is the application: a web shop with its back office, on a database
// connection of its own. It knows nothing of Upkeep.
type shop struct {
	db     *sql.DB
	random *rand.Rand
	now    func() time.Time
	items  []item
	rest   time.Duration // how long an order lies before it is sent; see rested

	edited     map[int64]time.Time // orders by the last change of what would be sent
	refs       int                 // orders made after the beginning
	statements int                 // that changed or tried to change something
}

// item is something that the shop sells, under the id that the remote has for
// it.
type item struct {
	id    int64
	name  string
	cents int64
}

// size is how many rows the shop begins with.
type size struct{ customers, users, orders int }

func sizeOf(scale float64) size {
	n := func(k int) int { return max(4, int(float64(k)*scale)) }
	return size{customers: n(100), users: n(600), orders: n(1500)}
}

// groups is how many groups the three syncs make of it.
func (z size) groups() int64 { return int64(z.users + 2*z.orders) }

// piece is the most rows of one INSERT.
const piece = 200

func (s *shop) insert(ctx context.Context, tx *sql.Tx, into string, rows [][]any) error {
	for len(rows) > 0 {
		n := min(piece, len(rows))
		var b strings.Builder
		var args []any
		b.WriteString("INSERT INTO " + into + " VALUES ")
		for i, row := range rows[:n] {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteByte('(')
			for j, v := range row {
				if j > 0 {
					b.WriteString(", ")
				}
				args = append(args, v)
				fmt.Fprintf(&b, "$%d", len(args))
			}
			b.WriteByte(')')
		}
		if _, err := tx.ExecContext(ctx, b.String(), args...); err != nil {
			return fmt.Errorf("insert into %s: %w", into, err)
		}
		rows = rows[n:]
	}
	return nil
}

// create makes the tables and fills them. id is the database's words for a
// key that counts up.
func (s *shop) create(ctx context.Context, id string, z size) error {
	for statement := range strings.SplitSeq(strings.ReplaceAll(schema, "@ID@", id), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("create the shop: %w", err)
		}
	}
	return s.tx(ctx, func(tx *sql.Tx) error { return s.fill(ctx, tx, z) })
}

// fill relies on keys that count from 1 in a new table.
func (s *shop) fill(ctx context.Context, tx *sql.Tx, z size) error {
	var customers, users, orders, billing, lineItems [][]any
	for i := range z.customers {
		customers = append(customers, []any{fmt.Sprintf("%s %s", s.one(lastNames), s.one(forms)), segments[i%len(segments)]})
	}
	for i := range z.users {
		name, email := s.person(i + 1)
		var customer any
		if i%10 != 0 { // every tenth buys for nobody but themself
			customer = 1 + s.random.IntN(z.customers)
		}
		users = append(users, []any{customer, name, email})
	}
	for i := range z.orders {
		id := i + 1
		state := [...]string{"draft", "placed", "placed", "sent"}[i%4]
		var placed, sent, carrier, note any
		if state != "draft" {
			placed = s.day(-20 + i%10)
		}
		if state == "sent" {
			sent, carrier = s.day(-5+i%5), s.one(carriers)
		}
		if i%3 == 0 {
			note = s.one(notes)
		}
		orders = append(orders, []any{1 + s.random.IntN(z.users), fmt.Sprintf("R-%06d", id), state, note, carrier, placed, sent})
		billing = append(billing, []any{id, s.one(lastNames), s.vat(), s.phone()})
		for range s.lineCount() {
			lineItems = append(lineItems, append([]any{id}, s.line()...))
		}
	}
	for _, t := range []struct {
		into string
		rows [][]any
	}{
		{"customers (name, segment)", customers},
		{"users (customer_id, name, email)", users},
		{"orders (user_id, ref_no, state, note, carrier, placed_on, sent_on)", orders},
		{"billing_infos (order_id, name, vat, phone)", billing},
		{"line_items (order_id, item_id, qty, price)", lineItems},
	} {
		if err := s.insert(ctx, tx, t.into, t.rows); err != nil {
			return err
		}
	}
	return nil
}

// tx runs f in a transaction of the application.
func (s *shop) tx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // the error that counts is f's
		return err
	}
	return tx.Commit()
}

// runner is a *sql.DB or a *sql.Tx.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// do runs one statement that changes something and returns how many rows it
// changed.
func (s *shop) do(ctx context.Context, r runner, statement string, args ...any) (int64, error) {
	s.statements++
	res, err := r.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", statement, err)
	}
	return res.RowsAffected()
}

// ids reads a column of keys.
func (s *shop) ids(ctx context.Context, r runner, query string, args ...any) ([]int64, error) {
	rows, err := r.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

// any picks a row of a table that meets a condition; 0 when there is none.
func (s *shop) any(ctx context.Context, table, where string, args ...any) (int64, error) {
	var most int64
	if err := s.db.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM "+table).Scan(&most); err != nil || most == 0 {
		return 0, err
	}
	query := fmt.Sprintf("SELECT id FROM %s WHERE (%s) AND id >= %d ORDER BY id LIMIT 1", table, where, 1+s.random.Int64N(most))
	found, err := s.ids(ctx, s.db, query, args...)
	if err == nil && len(found) == 0 {
		found, err = s.ids(ctx, s.db, fmt.Sprintf("SELECT id FROM %s WHERE %s ORDER BY id LIMIT 1", table, where), args...)
	}
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return found[0], nil
}

// The small things that a shop is full of.

var (
	firstNames = []string{"Ada", "Bruno", "Chiara", "Dmitri", "Elif", "Farah", "Giulia", "Hugo", "Inês", "Jürgen", "Kenji", "Lucía", "Mehmet", "Noor", "Olga", "Paweł", "Rosa", "Søren", "Tariq", "Zoë"}
	lastNames  = []string{"Amato", "Berger", "Costa", "Dubois", "Eriksen", "Ferrari", "Grant", "Haddad", "Ito", "Jansen", "Kowalski", "Lopez", "Moreau", "Novák", "O'Neill", "Petrov", "Rossi", "Schmidt", "Tanaka", "Weber"}
	forms      = []string{"Ltd", "GmbH", "S.p.A.", "& Sons", "SARL", "Inc."}
	segments   = []string{"retail", "wholesale", "key account", "public sector"}
	carriers   = []string{"DHL", "UPS", "GLS", "Royal Mail"}
	notes      = []string{"Ring twice", "Leave with the neighbour", "Gift: no invoice in the box", "Deliver after 6 pm", "Call before delivery"}
)

func (s *shop) one(of []string) string { return of[s.random.IntN(len(of))] }

func (s *shop) person(n int) (name, email string) {
	first, last := s.one(firstNames), s.one(lastNames)
	return first + " " + last, fmt.Sprintf("%s.%d@example.com", strings.ToLower(strings.Trim(last, "'")), n)
}

func (s *shop) vat() any {
	if s.random.IntN(4) == 0 {
		return nil
	}
	return fmt.Sprintf("IT%011d", s.random.Int64N(1e11))
}

func (s *shop) phone() string { return fmt.Sprintf("+39 02 %07d", s.random.IntN(1e7)) }

// day is a date so many days from now.
func (s *shop) day(n int) string { return s.now().UTC().AddDate(0, 0, n).Format(time.DateOnly) }

func (s *shop) lineCount() int { return 1 + s.random.IntN(4) }

// line is item, quantity and price.
func (s *shop) line() []any {
	it := s.items[s.random.IntN(len(s.items))]
	cents := it.cents * int64(90+s.random.IntN(21)) / 100
	return []any{it.id, 1 + s.random.IntN(9), fmt.Sprintf("%d.%02d", cents/100, cents%100)}
}
