package demo

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// record is a record as the comparison sees it: the key fields as text.
type record map[string]string

// expected is what must be at the remote, by record type and external id, as
// plain SQL over the shop's tables says it. Neither the registry nor the
// mapping is asked.
func (s *shop) expected(ctx context.Context) (map[string]map[string]record, error) {
	out := map[string]map[string]record{"customer": {}, "salesOrder": {}, "itemFulfillment": {}}
	read := func(recordType, id string, names []string, query string) error {
		rows, err := readRecords(ctx, s.db, names, query)
		for key, r := range rows {
			out[recordType][id+key] = r
		}
		return err
	}
	if err := read("customer", "user-", []string{"companyName", "email", "custentity_segment", "custentity_orders", "isInactive"}, `
		SELECT u.id, u.name, u.email, c.segment,
			(SELECT count(*) FROM orders o WHERE o.user_id = u.id AND o.state <> 'draft'), 'false'
		FROM users u LEFT JOIN customers c ON c.id = u.customer_id`); err != nil {
		return nil, err
	}
	if err := read("salesOrder", "order-", []string{"entity", "otherRefNum", "tranDate", "memo", "custbody_vat"}, `
		SELECT o.id, 'user-' || CAST(o.user_id AS text), o.ref_no, CAST(o.placed_on AS text), o.note,
			(SELECT b.vat FROM billing_infos b WHERE b.order_id = o.id)
		FROM orders o WHERE o.state <> 'draft'`); err != nil {
		return nil, err
	}
	if err := read("itemFulfillment", "fulfillment-", []string{"createdFrom", "tranDate", "memo"}, `
		SELECT o.id, 'order-' || CAST(o.id AS text), CAST(o.sent_on AS text), 'Sent with ' || o.carrier
		FROM orders o WHERE o.state = 'sent'`); err != nil {
		return nil, err
	}
	return out, s.expectLines(ctx, out["salesOrder"])
}

// expectLines adds each order's lines: "201 x 3 at 10.5; 204 x 1 at 41".
func (s *shop) expectLines(ctx context.Context, orders map[string]record) error {
	rows, err := s.db.QueryContext(ctx, "SELECT order_id, item_id, qty, CAST(price AS text) FROM line_items ORDER BY order_id, id")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var order, item, qty, price string
		if err := rows.Scan(&order, &item, &qty, &price); err != nil {
			return err
		}
		if r := orders["order-"+order]; r != nil {
			r.addLine(item, qty, price)
		}
	}
	return rows.Err()
}

func (r record) addLine(item, qty, rate string) {
	if r["item"] != "" {
		r["item"] += "; "
	}
	r["item"] += fmt.Sprintf("%s x %s at %s", item, number(qty), number(rate))
}

// number is one spelling of a number: "10.50" and "10.5" are the same.
func number(s string) string {
	n, ok := new(big.Rat).SetString(s)
	if !ok || len(s) > 40 {
		return s
	}
	const places = 10 // more than anything here has
	return strings.TrimSuffix(strings.TrimRight(n.FloatString(places), "0"), ".")
}

// stored is what is at the remote, in the form of expected.
func (a *account) stored() map[string]map[string]record {
	out := map[string]map[string]record{}
	names := map[string]map[string]string{} // external ids, by type and id
	for _, t := range []string{"customer", "salesOrder", "itemFulfillment"} {
		out[t], names[t] = map[string]record{}, map[string]string{}
		for _, r := range a.Records(t) {
			id := text(r["id"])
			key := text(r["externalId"])
			if key == "" {
				key = "(internal id " + id + ", without an external id)"
			}
			names[t][id] = key
			got := record{}
			for name, v := range r {
				got[name] = text(v)
			}
			got["custentity_orders"] = number(got["custentity_orders"])
			got["entity"] = names["customer"][got["entity"]]
			got["createdFrom"] = names["salesOrder"][got["createdFrom"]]
			got.addLines(r["item"])
			out[t][key] = got
		}
	}
	return out
}

func (r record) addLines(list any) {
	delete(r, "item")
	m, _ := list.(map[string]any)
	items, _ := m["items"].([]any)
	for _, x := range items {
		if line, ok := x.(map[string]any); ok {
			r.addLine(text(line["item"]), text(line["quantity"]), text(line["rate"]))
		}
	}
}

// compare lists, for people, everything in which the remote is not what the
// shop's tables say.
func compare(want, got map[string]map[string]record) []string {
	var out []string
	for _, t := range slices.Sorted(maps.Keys(want)) {
		for _, key := range slices.Sorted(maps.Keys(want[t])) {
			r, there := got[t][key]
			if !there {
				out = append(out, fmt.Sprintf("%s %s is missing", t, key))
				continue
			}
			for _, name := range slices.Sorted(maps.Keys(want[t][key])) {
				if w := want[t][key][name]; w != r[name] {
					out = append(out, fmt.Sprintf("%s %s: %s is %q, the database says %q", t, key, name, r[name], w))
				}
			}
		}
		for _, key := range slices.Sorted(maps.Keys(got[t])) {
			// The customer of a deleted user stays, out of use.
			if want[t][key] == nil && got[t][key]["isInactive"] != "true" {
				out = append(out, fmt.Sprintf("%s %s should not be there", t, key))
			}
		}
	}
	return out
}

// duplicates lists records that ought to be one.
func (a *account) duplicates() []string {
	var out []string
	for _, d := range a.Duplicates("otherRefNum") {
		out = append(out, fmt.Sprintf("%s records %s have the same %s", d.Type, strings.Join(d.IDs, ", "), d.Key))
	}
	return out
}
