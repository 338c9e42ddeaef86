package netsuitetest

import (
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// targets are the records that a sales order can be transformed to.
var targets = []string{"invoice", "cashSale", "itemFulfillment", "fulfillmentRequest", "returnAuthorization"}

// transform makes the unsaved record that !transform starts from: the fields
// of the order and its open quantities.
func (s *Server) transform(c *call, order *record, target string) (*record, *apiError) {
	t := s.schema[strings.ToLower(target)]
	if order.kind.name != "salesOrder" || t == nil || !slices.Contains(targets, t.name) {
		return nil, errRequest(c, "The transformation from '"+order.kind.name+"' to '"+cut(target)+"' is not supported.")
	}
	r := newRecord(t)
	for _, name := range []string{"entity", "subsidiary", "location", "department", "class", "currency", "terms", "memo", "otherRefNum",
		"billingAddress", "shippingAddress", "exchangeRate"} {
		if f := t.field(name); f != nil && order.fields[name] != nil {
			r.fields[name] = order.fields[name]
		}
	}
	r.fields["createdFrom"] = reference{order.kind.name, order.id}
	state, _ := order.fields["status"].(chosen)
	if state == "A" || state == "C" || state == "H" && t.name != "returnAuthorization" {
		return nil, notReady(t, order)
	}
	list := t.list("item")
	for _, l := range order.lists["item"] {
		left := s.openQuantity(t.name, order, l, "")
		if left.Sign() <= 0 || l.fields["isClosed"] == true {
			continue
		}
		r.lastLine["item"]++
		made := &row{key: r.lastLine["item"], fields: map[string]any{"line": amount(strconv.Itoa(r.lastLine["item"])),
			"orderLine": amount(strconv.Itoa(l.key)), "quantity": asAmount(left, 8)}}
		for _, name := range []string{"item", "rate", "description", "price", "location", "department", "class"} {
			if list.field(name) != nil && l.fields[name] != nil {
				made.fields[name] = l.fields[name]
			}
		}
		if list.field("itemReceive") != nil {
			delete(made.fields, "rate")
			made.fields["itemReceive"] = true
		}
		r.lists["item"] = append(r.lists["item"], made)
	}
	if len(r.lists["item"]) == 0 {
		return nil, notReady(t, order)
	}
	return r, nil
}

// notReady is the account's answer when a record cannot be made from another:
// one that is not approved, is closed or has nothing left.
func notReady(t *recordType, from *record) *apiError {
	return errUser("You can not initialize " + t.name + ": invalid reference " + from.id + ".")
}

// openQuantity is how much of an order's line a record of the given type may
// still take. Invoices bill what was fulfilled.
func (s *Server) openQuantity(target string, order *record, l *row, except string) *big.Rat {
	done, billed := s.progress(order, l, except)
	quantity := number(l.fields["quantity"])
	switch target {
	case "itemFulfillment", "fulfillmentRequest":
		return quantity.Sub(quantity, done)
	case "invoice":
		if item, _ := l.fields["item"].(reference); item.typ != "inventoryItem" {
			done = quantity // nothing to ship: billed without fulfillment
		}
		return new(big.Rat).Sub(done, billed)
	case "cashSale":
		return quantity.Sub(quantity, billed)
	}
	return quantity
}

// applyTransformLines merges the body's lines over those of a transformed
// record. Lines are matched by orderLine; a line that the body does not name
// stays as proposed, unless the list is in ?replace=.
func (e *edit) applyTransformLines(v any) *apiError {
	items, err := listItems(v, "item")
	if err != nil {
		return err
	}
	list := e.record.kind.list("item")
	named := map[*row]bool{}
	for i, item := range items {
		var wanted string
		for name, x := range item {
			if strings.EqualFold(name, "orderLine") {
				wanted, _ = scalarID(x, "")
			}
		}
		if wanted == "" {
			return errContent(linePath("item", i, "orderLine"), "Error while accessing resource: Please enter value(s) for: orderLine")
		}
		var l *row
		for _, x := range e.record.lists["item"] {
			if x.fields["orderLine"] == amount(wanted) {
				l = x
			}
		}
		if l == nil {
			return errValue(linePath("item", i, "orderLine"), "orderLine", wanted)
		}
		named[l] = true
		if err := e.applyRow(list, l, item, "item", i); err != nil {
			return err
		}
	}
	if e.replace["item"] {
		e.record.lists["item"] = slices.DeleteFunc(e.record.lists["item"], func(l *row) bool { return !named[l] })
	}
	return nil
}

// finishFulfillment drops the lines that are not received.
func (e *edit) finishFulfillment() *apiError {
	r := e.record
	r.lists["item"] = slices.DeleteFunc(r.lists["item"], func(l *row) bool {
		return l.fields["itemReceive"] == false || l.fields["quantity"] != nil && number(l.fields["quantity"]).Sign() == 0
	})
	if len(r.lists["item"]) == 0 {
		return errUser("You must enter at least one line item for this transaction.")
	}
	if r.kind.field("shipStatus") != nil {
		if r.fields["shipStatus"] == nil {
			r.fields["shipStatus"] = chosen("C")
		}
		r.fields["status"] = r.fields["shipStatus"]
	}
	return e.checkAgainstOrder()
}

// checkAgainstOrder refuses quantities that the order does not have open. The
// preferences that allow more are off.
func (e *edit) checkAgainstOrder() *apiError {
	r, s := e.record, e.server
	from, ok := r.fields["createdFrom"].(reference)
	if !ok {
		return nil
	}
	order := s.find(from.typ, from.id)
	for i, l := range r.lists["item"] {
		if l.fields["orderLine"] == nil {
			continue
		}
		var of *row
		for _, x := range order.lists["item"] {
			if l.fields["orderLine"] == amount(strconv.Itoa(x.key)) {
				of = x
			}
		}
		if of == nil {
			return errValue(linePath("item", i, "orderLine"), "orderLine", literal(l.fields["orderLine"]))
		}
		quantity := number(l.fields["quantity"])
		open := s.openQuantity(r.kind.name, order, of, r.id)
		if quantity.Sign() <= 0 || quantity.Cmp(open) > 0 {
			q, _ := l.fields["quantity"].(amount)
			return errValue(linePath("item", i, "quantity"), "quantity", string(q))
		}
	}
	return nil
}
