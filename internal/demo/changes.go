package demo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// change is one thing that an application does to its data.
type change struct {
	what string // for people: what kind of change it is
	// every: it is done in each round, every second one, ... of a burst, and
	// as much less often when the shop just goes on.
	every int
	// do returns what it did, or "" when there was nothing to do it with.
	do func(*shop, context.Context) (string, error)
}

// changes is everything that goes on in the shop. A sent order keeps its lines
// and its user: that is the shop's rule, and NetSuite's.
func changes() []change {
	return []change{
		{"one row", 1, (*shop).renameUser},
		{"one row", 1, (*shop).writeNote},
		{"one row", 1, (*shop).changeQuantity},
		{"one row", 1, (*shop).changeVAT},
		{"one row", 2, (*shop).changeSegment},
		{"one row, again and again", 2, (*shop).typeNote},
		{"there and back", 2, (*shop).thereAndBack},
		{"bulk update", 6, (*shop).raisePrices},
		{"bulk update", 12, (*shop).newSegment},
		{"bulk update", 8, (*shop).changeMail},
		{"columns nobody maps", 2, (*shop).countViews},
		{"columns nobody maps", 2, (*shop).seen},
		{"columns nobody maps", 3, (*shop).pick},
		{"to another parent", 1, (*shop).moveUser},
		{"to another parent", 1, (*shop).moveOrder},
		{"to another parent", 1, (*shop).moveLine},
		{"to another parent", 2, (*shop).swapBilling},
		{"insert", 1, (*shop).newOrder},
		{"insert", 3, (*shop).newUser},
		{"insert", 2, (*shop).addLine},
		{"state", 1, (*shop).place},
		{"state", 1, (*shop).send},
		{"state", 6, (*shop).sendMany},
		{"state", 3, (*shop).reopen},
		{"delete", 2, (*shop).deleteLine},
		{"delete", 2, (*shop).deleteOrder},
		{"delete", 3, (*shop).deleteUser},
		{"rolled back", 4, (*shop).rollBack},
	}
}

// step does one change, or another one when there is nothing to do it with.
func (s *shop) step(ctx context.Context, all []change) (string, error) {
	for {
		c := all[s.random.IntN(len(all))]
		if s.random.IntN(c.every) > 0 {
			continue
		}
		did, err := c.do(s, ctx)
		if err != nil || did != "" {
			return did, err
		}
	}
}

// burst does so many rounds of changes, each in an order of its own, as fast
// as the database takes them. told, if not nil, hears what was done.
func (s *shop) burst(ctx context.Context, rounds int, told func(string)) error {
	all := changes()
	for round := range rounds {
		s.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, c := range all {
			if round%c.every != 0 {
				continue
			}
			did, err := c.do(s, ctx)
			if err != nil {
				return err
			}
			if did != "" && told != nil {
				told(did)
			}
		}
	}
	return nil
}

// touchOrder notes that what would be sent of an order changed.
func (s *shop) touchOrder(ids ...int64) {
	for _, id := range ids {
		s.edited[id] = s.now()
	}
}

// rested says whether an order lay long enough without a change to be sent:
// nobody packs an order that is being edited. NetSuite lets no line be taken
// out of an order that was fulfilled, so a change that comes after the
// fulfillment could not go there any more.
func (s *shop) rested(id int64) bool {
	at, ok := s.edited[id]
	return !ok || s.rest > 0 && s.now().Sub(at) > s.rest
}

const unsent = "state <> 'sent'"

// ofUnsent is a condition on a table that hangs on orders.
const ofUnsent = "order_id IN (SELECT id FROM orders WHERE " + unsent + ")"

func (s *shop) renameUser(ctx context.Context) (string, error) {
	id, err := s.any(ctx, "users", "true")
	if err != nil || id == 0 {
		return "", err
	}
	name, _ := s.person(int(id))
	_, err = s.do(ctx, s.db, "UPDATE users SET name = $1 WHERE id = $2", name, id)
	return fmt.Sprintf("user %d is now called %s", id, name), err
}

func (s *shop) writeNote(ctx context.Context) (string, error) {
	id, err := s.any(ctx, "orders", "true")
	if err != nil || id == 0 {
		return "", err
	}
	note := fmt.Sprintf("%s (%d)", s.one(notes), s.random.IntN(100))
	_, err = s.do(ctx, s.db, "UPDATE orders SET note = $1 WHERE id = $2", note, id)
	return fmt.Sprintf("note on order %d", id), err
}

// typeNote is a form that saves as its user types.
func (s *shop) typeNote(ctx context.Context) (string, error) {
	id, err := s.any(ctx, "orders", unsent)
	if err != nil || id == 0 {
		return "", err
	}
	text := s.one(notes)
	n := 0
	for end := range text {
		if end%3 == 2 {
			n++
			if _, err := s.do(ctx, s.db, "UPDATE orders SET note = $1 WHERE id = $2", text[:end], id); err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprintf("note on order %d saved %d times while it is typed", id, n), nil
}

func (s *shop) thereAndBack(ctx context.Context) (string, error) {
	id, err := s.any(ctx, "users", "true")
	if err != nil || id == 0 {
		return "", err
	}
	for _, statement := range []string{"UPDATE users SET name = name || '!' WHERE id = $1",
		"UPDATE users SET name = substr(name, 1, length(name) - 1) WHERE id = $1"} {
		if _, err := s.do(ctx, s.db, statement, id); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("user %d renamed, and back", id), nil
}

func (s *shop) changeQuantity(ctx context.Context) (string, error) {
	id, order, err := s.anyLine(ctx, ofUnsent)
	if err != nil || id == 0 {
		return "", err
	}
	s.touchOrder(order)
	_, err = s.do(ctx, s.db, "UPDATE line_items SET qty = 1 + (qty + 2) % 9 WHERE id = $1", id)
	return fmt.Sprintf("quantity of a line of order %d", order), err
}

func (s *shop) anyLine(ctx context.Context, where string) (line, order int64, err error) {
	if line, err = s.any(ctx, "line_items", where); err != nil || line == 0 {
		return 0, 0, err
	}
	err = s.db.QueryRowContext(ctx, "SELECT order_id FROM line_items WHERE id = $1", line).Scan(&order)
	return line, order, err
}

func (s *shop) changeVAT(ctx context.Context) (string, error) {
	id, err := s.any(ctx, "billing_infos", "true")
	if err != nil || id == 0 {
		return "", err
	}
	_, err = s.do(ctx, s.db, "UPDATE billing_infos SET vat = $1, phone = $2 WHERE id = $3", s.vat(), s.phone(), id)
	return fmt.Sprintf("billing info %d has another VAT number", id), err
}

func (s *shop) changeSegment(ctx context.Context) (string, error) {
	id, err := s.any(ctx, "customers", "true")
	if err != nil || id == 0 {
		return "", err
	}
	segment := s.one(segments)
	_, err = s.do(ctx, s.db, "UPDATE customers SET segment = $1 WHERE id = $2", segment, id)
	return fmt.Sprintf("customer %d is now %s: all its users", id, segment), err
}

func (s *shop) newSegment(ctx context.Context) (string, error) {
	n, err := s.do(ctx, s.db, "UPDATE customers SET segment = $1 WHERE segment = $2", s.one(segments), s.one(segments))
	return fmt.Sprintf("bulk: %d customers get another segment", n), err
}

func (s *shop) raisePrices(ctx context.Context) (string, error) {
	it := s.items[s.random.IntN(len(s.items))]
	var n int64
	err := s.tx(ctx, func(tx *sql.Tx) error {
		orders, err := s.ids(ctx, tx, "SELECT DISTINCT order_id FROM line_items WHERE item_id = $1 AND "+ofUnsent, it.id)
		if err != nil {
			return err
		}
		s.touchOrder(orders...)
		n, err = s.do(ctx, tx, "UPDATE line_items SET price = round(price + 0.50, 2) WHERE item_id = $1 AND "+ofUnsent, it.id)
		return err
	})
	return fmt.Sprintf("bulk: %s costs 0.50 more in %s", it.name, many(n, "line")), err
}

func (s *shop) changeMail(ctx context.Context) (string, error) {
	k := s.random.IntN(12)
	n, err := s.do(ctx, s.db, "UPDATE users SET email = replace(email, '@', '.x@') WHERE id % 12 = $1", k)
	return fmt.Sprintf("bulk: %d users get another e-mail address", n), err
}

func (s *shop) countViews(ctx context.Context) (string, error) {
	n, err := s.do(ctx, s.db, "UPDATE orders SET views = views + 1 WHERE id % 5 = $1", s.random.IntN(5))
	return fmt.Sprintf("bulk: views of %d orders (nobody maps that)", n), err
}

func (s *shop) seen(ctx context.Context) (string, error) {
	at := s.now().UTC().Format(time.DateTime)
	n, err := s.do(ctx, s.db, "UPDATE users SET last_seen_at = $1 WHERE id % 3 = $2", at, s.random.IntN(3))
	return fmt.Sprintf("bulk: %d users were seen (nobody maps that)", n), err
}

func (s *shop) pick(ctx context.Context) (string, error) {
	n, err := s.do(ctx, s.db, "UPDATE line_items SET picked = true WHERE id % 50 = $1", s.random.IntN(50))
	return fmt.Sprintf("bulk: %s picked (nobody maps that)", many(n, "line")), err
}

func (s *shop) moveUser(ctx context.Context) (string, error) {
	user, err := s.any(ctx, "users", "true")
	if err != nil || user == 0 {
		return "", err
	}
	customer, err := s.any(ctx, "customers", "true")
	if err != nil {
		return "", err
	}
	_, err = s.do(ctx, s.db, "UPDATE users SET customer_id = $1 WHERE id = $2", customer, user)
	return fmt.Sprintf("user %d now buys for customer %d", user, customer), err
}

func (s *shop) moveOrder(ctx context.Context) (string, error) {
	order, err := s.any(ctx, "orders", unsent)
	if err != nil || order == 0 {
		return "", err
	}
	user, err := s.any(ctx, "users", "true")
	if err != nil {
		return "", err
	}
	s.touchOrder(order)
	_, err = s.do(ctx, s.db, "UPDATE orders SET user_id = $1 WHERE id = $2", user, order)
	return fmt.Sprintf("order %d moved to user %d", order, user), err
}

// moveLine leaves the order that the line came from at least one.
func (s *shop) moveLine(ctx context.Context) (string, error) {
	line, from, err := s.anyLine(ctx, ofUnsent+" AND order_id IN (SELECT order_id FROM line_items GROUP BY order_id HAVING count(*) > 1)")
	if err != nil || line == 0 {
		return "", err
	}
	to, err := s.any(ctx, "orders", unsent+" AND id <> $1", from)
	if err != nil || to == 0 {
		return "", err
	}
	s.touchOrder(from, to)
	_, err = s.do(ctx, s.db, "UPDATE line_items SET order_id = $1 WHERE id = $2", to, line)
	return fmt.Sprintf("a line moved from order %d to order %d", from, to), err
}

func (s *shop) swapBilling(ctx context.Context) (string, error) {
	a, err := s.any(ctx, "orders", unsent)
	if err != nil || a == 0 {
		return "", err
	}
	b, err := s.any(ctx, "orders", unsent)
	if err != nil || a == b {
		return "", err
	}
	_, err = s.do(ctx, s.db, "UPDATE billing_infos SET order_id = CASE order_id WHEN $1 THEN CAST($2 AS integer) ELSE $1 END WHERE order_id IN ($1, $2)", a, b)
	return fmt.Sprintf("orders %d and %d swapped their billing infos", a, b), err
}

func (s *shop) newOrder(ctx context.Context) (string, error) {
	user, err := s.any(ctx, "users", "true")
	if err != nil || user == 0 {
		return "", err
	}
	state := []any{"draft", nil}
	if s.random.IntN(2) == 0 {
		state = []any{"placed", s.day(0)}
	}
	var id int64
	n := s.lineCount()
	err = s.tx(ctx, func(tx *sql.Tx) error {
		s.statements++
		s.refs++
		err := tx.QueryRowContext(ctx, "INSERT INTO orders (user_id, ref_no, state, placed_on) VALUES ($1, $2, $3, $4) RETURNING id",
			user, fmt.Sprintf("R-%06d", 500_000+s.refs), state[0], state[1]).Scan(&id)
		if err != nil {
			return fmt.Errorf("insert an order: %w", err)
		}
		if _, err := s.do(ctx, tx, "INSERT INTO billing_infos (order_id, name, vat, phone) VALUES ($1, $2, $3, $4)", id, s.one(lastNames), s.vat(), s.phone()); err != nil {
			return err
		}
		for range n {
			if _, err := s.do(ctx, tx, "INSERT INTO line_items (order_id, item_id, qty, price) VALUES ($1, $2, $3, $4)", append([]any{id}, s.line()...)...); err != nil {
				return err
			}
		}
		return nil
	})
	return fmt.Sprintf("new order %d (%s) with %s", id, state[0], many(n, "line")), err
}

func (s *shop) newUser(ctx context.Context) (string, error) {
	customer, err := s.any(ctx, "customers", "true")
	if err != nil {
		return "", err
	}
	name, email := s.person(s.random.IntN(1e6))
	_, err = s.do(ctx, s.db, "INSERT INTO users (customer_id, name, email) VALUES ($1, $2, $3)", customer, name, email)
	return "new user " + name, err
}

func (s *shop) addLine(ctx context.Context) (string, error) {
	order, err := s.any(ctx, "orders", unsent)
	if err != nil || order == 0 {
		return "", err
	}
	s.touchOrder(order)
	_, err = s.do(ctx, s.db, "INSERT INTO line_items (order_id, item_id, qty, price) VALUES ($1, $2, $3, $4)", append([]any{order}, s.line()...)...)
	return fmt.Sprintf("one more line in order %d", order), err
}

func (s *shop) place(ctx context.Context) (string, error) {
	id, err := s.any(ctx, "orders", "state = 'draft'")
	if err != nil || id == 0 {
		return "", err
	}
	_, err = s.do(ctx, s.db, "UPDATE orders SET state = 'placed', placed_on = $1 WHERE id = $2", s.day(0), id)
	return fmt.Sprintf("order %d was placed", id), err
}

// sendable picks placed orders that may be sent.
func (s *shop) sendable(ctx context.Context, most int) ([]int64, error) {
	placed, err := s.ids(ctx, s.db, "SELECT id FROM orders WHERE state = 'placed' ORDER BY id")
	if err != nil {
		return nil, err
	}
	placed = slices.DeleteFunc(placed, func(id int64) bool { return !s.rested(id) })
	s.random.Shuffle(len(placed), func(i, j int) { placed[i], placed[j] = placed[j], placed[i] })
	return placed[:min(most, len(placed))], nil
}

func (s *shop) send(ctx context.Context) (string, error) {
	ids, err := s.sendable(ctx, 1)
	if err != nil || len(ids) == 0 {
		return "", err
	}
	_, err = s.do(ctx, s.db, "UPDATE orders SET state = 'sent', sent_on = $1, carrier = $2 WHERE id = $3", s.day(0), s.one(carriers), ids[0])
	return fmt.Sprintf("order %d was sent", ids[0]), err
}

func (s *shop) sendMany(ctx context.Context) (string, error) {
	ids, err := s.sendable(ctx, 12)
	if err != nil || len(ids) == 0 {
		return "", err
	}
	list := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(ids)), ", "), "[]")
	n, err := s.do(ctx, s.db, "UPDATE orders SET state = 'sent', sent_on = $1, carrier = $2 WHERE id IN ("+list+")", s.day(0), s.one(carriers))
	return fmt.Sprintf("bulk: the truck takes %d orders", n), err
}

func (s *shop) reopen(ctx context.Context) (string, error) {
	id, err := s.any(ctx, "orders", "state = 'placed'"+butShown)
	if err != nil || id == 0 {
		return "", err
	}
	s.touchOrder(id)
	_, err = s.do(ctx, s.db, "UPDATE orders SET state = 'draft', placed_on = NULL WHERE id = $1", id)
	return fmt.Sprintf("order %d is a draft again", id), err
}

func (s *shop) deleteLine(ctx context.Context) (string, error) {
	line, order, err := s.anyLine(ctx, ofUnsent+" AND order_id IN (SELECT order_id FROM line_items GROUP BY order_id HAVING count(*) > 1)")
	if err != nil || line == 0 {
		return "", err
	}
	s.touchOrder(order)
	_, err = s.do(ctx, s.db, "DELETE FROM line_items WHERE id = $1", line)
	return fmt.Sprintf("one line less in order %d", order), err
}

// butShown leaves the order out that the demo's first lines name, which is to be
// there for whoever tries them after an hour.
const butShown = " AND id <> 42"

// deleteOrder leaves billing info and lines to the foreign keys' cascade.
func (s *shop) deleteOrder(ctx context.Context) (string, error) {
	id, err := s.any(ctx, "orders", unsent+butShown)
	if err != nil || id == 0 {
		return "", err
	}
	_, err = s.do(ctx, s.db, "DELETE FROM orders WHERE id = $1", id)
	return fmt.Sprintf("order %d deleted", id), err
}

func (s *shop) deleteUser(ctx context.Context) (string, error) {
	id, err := s.any(ctx, "users", "NOT EXISTS (SELECT 1 FROM orders WHERE orders.user_id = users.id)")
	if err != nil || id == 0 {
		return "", err
	}
	_, err = s.do(ctx, s.db, "DELETE FROM users WHERE id = $1", id)
	return fmt.Sprintf("user %d deleted", id), err
}

var errChangedMind = errors.New("changed their mind")

func (s *shop) rollBack(ctx context.Context) (string, error) {
	var n int64
	err := s.tx(ctx, func(tx *sql.Tx) error {
		for _, statement := range []string{
			"UPDATE users SET name = 'nobody'",
			"UPDATE line_items SET qty = qty + 100",
			"DELETE FROM orders WHERE " + unsent,
		} {
			changed, err := s.do(ctx, tx, statement)
			if err != nil {
				return err
			}
			n += changed
		}
		return errChangedMind
	})
	if !errors.Is(err, errChangedMind) {
		return "", err
	}
	return fmt.Sprintf("%d rows changed or deleted, then rolled back", n), nil
}
