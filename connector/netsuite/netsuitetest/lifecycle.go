package netsuitetest

import (
	"math/big"
	"strconv"
)

var one = amount("1")

// finishTransaction checks and computes lines, totals and state.
func (e *edit) finishTransaction() *apiError {
	r, s := e.record, e.server
	switch r.kind.name {
	case "itemFulfillment", "fulfillmentRequest":
		// There is no order-less fulfillment: the account makes them from
		// an order only.
		if r.fields["createdFrom"] == nil {
			return errMissing("Created From")
		}
		return e.finishFulfillment()
	}
	lines := r.lists["item"]
	if len(lines) == 0 {
		return errUser("You must enter at least one line item for this transaction.")
	}
	total := new(big.Rat)
	for _, l := range lines {
		if err := e.price(l); err != nil {
			return err
		}
		total.Add(total, number(l.fields["amount"]))
	}
	for _, name := range []string{"subtotal", "total"} {
		if r.kind.field(name) != nil {
			r.fields[name] = asAmount(total, 2)
		}
	}
	if r.kind.field("taxTotal") != nil {
		// Taxes are computed by SuiteTax, which a sandbox does not have.
		r.fields["taxTotal"] = amount("0")
	}
	if r.fields["subsidiary"] == nil {
		r.fields["subsidiary"] = reference{"subsidiary", "1"}
		if entity, ok := r.fields["entity"].(reference); ok {
			if c := s.find(entity.typ, entity.id); c != nil && c.fields["subsidiary"] != nil {
				r.fields["subsidiary"] = c.fields["subsidiary"]
			}
		}
	}
	switch r.kind.name {
	case "salesOrder":
		return e.finishOrder()
	case "invoice":
		r.fields["amountRemaining"], r.fields["amountPaid"] = r.fields["total"], amount("0")
		r.fields["status"] = chosen("A")
	}
	return e.checkAgainstOrder()
}

// price completes quantity, rate and amount of a line. An amount that the
// body names wins over the rate; else the amount is quantity times rate,
// rounded to the cent. A line with neither takes the item's price.
func (e *edit) price(l *row) *apiError {
	set := e.touched[l]
	if l.fields["quantity"] == nil {
		l.fields["quantity"] = one
	}
	quantity := number(l.fields["quantity"])
	if set["amount"] && l.fields["amount"] != nil && !(set["rate"] && l.fields["rate"] != nil) {
		if quantity.Sign() != 0 {
			l.fields["rate"] = asAmount(new(big.Rat).Quo(number(l.fields["amount"]), quantity), 8)
		}
		return nil
	}
	if set["amount"] && set["rate"] && l.fields["amount"] != nil {
		return nil
	}
	if l.fields["rate"] == nil {
		rate, ok := e.listPrice(l)
		if !ok {
			return errUser("Please enter a value for amount.")
		}
		l.fields["rate"] = rate
	}
	l.fields["amount"] = asAmount(new(big.Rat).Mul(quantity, number(l.fields["rate"])), 2)
	return nil
}

func (e *edit) listPrice(l *row) (amount, bool) {
	level := "1"
	if p, ok := l.fields["price"].(reference); ok {
		level = p.id
	}
	item, _ := l.fields["item"].(reference)
	r := e.server.find(item.typ, item.id)
	if r == nil {
		return "", false
	}
	for _, p := range r.lists["price"] {
		of, ok := p.fields["priceLevel"].(reference)
		if rate, priced := p.fields["price"].(amount); priced && (!ok || of.id == level) {
			return rate, true
		}
	}
	return "", false
}

// finishOrder settles the state of a sales order that the body changed.
func (e *edit) finishOrder() *apiError {
	r, s := e.record, e.server
	before := s.find("salesOrder", r.id)
	state, _ := r.fields["orderStatus"].(chosen)
	was := chosen("")
	if before != nil {
		was, _ = before.fields["orderStatus"].(chosen)
	}
	switch {
	case state == "":
		r.fields["orderStatus"] = chosen("A")
	case state != was && state != "A" && state != "B":
		return errValue("orderStatus", "orderStatus", string(state))
	}
	for _, l := range r.lists["item"] {
		done, billed := s.progress(r, l, "")
		if l.fields["isClosed"] == nil {
			l.fields["isClosed"] = false
		}
		quantity := number(l.fields["quantity"])
		if quantity.Cmp(done) < 0 || quantity.Cmp(billed) < 0 {
			// The account's own words are not recorded in public.
			return errUser("The quantity of line " + strconv.Itoa(l.key) + " cannot be less than what has been fulfilled or billed.")
		}
		if state == "A" && state != was && done.Sign()+billed.Sign() > 0 {
			return errValue("orderStatus", "orderStatus", "A")
		}
	}
	if state == "B" && was != "" && was != "A" {
		// Approving what is already past approval changes nothing.
		r.fields["orderStatus"] = was
	}
	s.compute(r)
	return nil
}

// progress sums what the records made from an order fulfilled and billed of
// one of its lines. except leaves one record out.
func (s *Server) progress(order *record, line *row, except string) (done, billed *big.Rat) {
	done, billed = new(big.Rat), new(big.Rat)
	for _, ref := range s.made[reference{"salesOrder", order.id}] {
		r := s.find(ref.typ, ref.id)
		if r == nil || r.id == except {
			continue
		}
		sum := billed
		switch ref.typ {
		case "itemFulfillment":
			sum = done
		case "invoice", "cashSale":
		default:
			continue
		}
		for _, l := range r.lists["item"] {
			if l.fields["orderLine"] == amount(strconv.Itoa(line.key)) {
				sum.Add(sum, number(l.fields["quantity"]))
			}
		}
	}
	return done, billed
}

// settleOrder brings an order up to date with the records made from it.
func (s *Server) settleOrder(ref reference) {
	order := s.find(ref.typ, ref.id)
	if order == nil || ref.typ != "salesOrder" {
		return
	}
	c := order.clone()
	s.compute(c)
	s.shelf(c.kind).byID[c.id] = c
}

// compute derives a sales order's state and its lines' quantities. Unlike an
// account with the Pick, Pack and Ship feature, a fulfillment counts from the
// moment it exists, whatever its shipStatus.
func (s *Server) compute(r *record) {
	state, _ := r.fields["orderStatus"].(chosen)
	var open, anyDone, allDone, anyUnbilled, allBilled = false, false, true, false, true
	for _, l := range r.lists["item"] {
		done, billed := s.progress(r, l, "")
		quantity := number(l.fields["quantity"])
		left := new(big.Rat).Sub(quantity, done)
		l.fields["quantityFulfilled"], l.fields["quantityBilled"] = asAmount(done, 8), asAmount(billed, 8)
		l.fields["quantityBackOrdered"] = amount("0")
		l.fields["quantityCommitted"] = amount("0")
		closed := l.fields["isClosed"] == true
		if state != "A" && !closed {
			l.fields["quantityCommitted"] = asAmount(left, 8) // stock has no end here
		}
		anyDone = anyDone || done.Sign() > 0 || billed.Sign() > 0
		anyUnbilled = anyUnbilled || done.Cmp(billed) > 0
		if closed {
			continue
		}
		open = true
		allDone = allDone && (left.Sign() <= 0 || billed.Cmp(quantity) >= 0)
		allBilled = allBilled && billed.Cmp(quantity) >= 0
	}
	switch {
	case len(r.lists["item"]) > 0 && !open && !anyUnbilled:
		state = "H"
	case state == "A" && !anyDone:
	case open && !anyDone:
		state = "B"
	case allBilled && open:
		state = "G"
	case allDone:
		state = "F"
	case anyUnbilled:
		state = "E"
	default:
		state = "D"
	}
	r.fields["orderStatus"], r.fields["status"] = state, state
}
