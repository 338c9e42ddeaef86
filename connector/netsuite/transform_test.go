package netsuite_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/netsuite"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
)

// approvedOrder has two lines of five each.
func approvedOrder(t *testing.T) (*netsuitetest.Server, *netsuite.Connection, connector.Origin) {
	t.Helper()
	account, conn := sandbox(t, netsuitetest.Config{}, auths()["oauth2"], itself)
	customer, err := account.Add("customer", []byte(`{"companyName":"Shop","subsidiary":"1"}`))
	if err != nil {
		t.Fatal(err)
	}
	order, err := account.Add("salesOrder", fmt.Appendf(nil, `{"entity":{"id":%q},"orderStatus":"B","item":{"items":[
		{"item":{"id":"201"},"quantity":5,"rate":2},{"item":{"id":"202"},"quantity":5,"rate":2}]}}`, customer))
	if err != nil {
		t.Fatal(err)
	}
	return account, conn, connector.Origin{Type: "salesOrder", RemoteID: order}
}

// shipped are the lines of all records of a type: order line x quantity.
func shipped(t *testing.T, account *netsuitetest.Server, recordType string) (lines []string) {
	t.Helper()
	for _, r := range account.Records(recordType) {
		b, err := json.Marshal(r["item"])
		if err != nil {
			t.Fatal(err)
		}
		var list struct {
			Items []struct{ OrderLine, Quantity json.Number }
		}
		if err := json.Unmarshal(b, &list); err != nil {
			t.Fatal(err)
		}
		for _, l := range list.Items {
			lines = append(lines, fmt.Sprintf("%s x %s", l.OrderLine, l.Quantity))
		}
	}
	return lines
}

// A list says all that the new record has: of an order's open lines those that
// it leaves out stay open.
func TestATransformMakesWhatItsListSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ recordType, lines, want string }{
		{"itemFulfillment", `[{"orderLine":1,"quantity":1}]`, "1 x 1.0"},
		{"itemFulfillment", `{"items":[{"orderLine":2,"quantity":4}]}`, "2 x 4.0"},
		{"itemFulfillment", `[{"orderLine":1,"quantity":1},{"orderLine":2,"itemReceive":false}]`, "1 x 1.0"},
		{"itemFulfillment", `[{"orderLine":2,"quantity":1},{"orderLine":1,"quantity":5}]`, "1 x 5.0, 2 x 1.0"},
		{"cashSale", `[{"orderLine":2,"quantity":3}]`, "2 x 3.0"},
	} {
		t.Run(c.recordType+c.lines, func(t *testing.T) {
			t.Parallel()
			account, conn, order := approvedOrder(t)
			r := connector.Record{Type: c.recordType, ExternalID: "f-1", Fields: connector.Fields{"item": json.RawMessage(c.lines)}}
			if _, err := conn.Initialize(t.Context(), order, r); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(shipped(t, account, c.recordType), ", "); got != c.want {
				t.Errorf("the list is %s, and the record has %s", c.lines, got)
			}
		})
	}
}

// Lines that are told by the order's line number alone make a record, and can't
// be found in it again: such a change is refused before anything is sent.
func TestLinesOfATransformGoOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lines   string
		refused bool
	}{
		{`[{"orderLine":1,"quantity":1}]`, true},
		{`{"items":[{"orderline":1,"quantity":1}]}`, true},
		{`[{"orderLine":1,"quantity":1,"item":{"id":"201"}}]`, true},
		{`[{"line":1,"quantity":2},{"orderLine":2,"quantity":1}]`, true},
		{`[{"line":1,"orderLine":1,"quantity":2}]`, false},
	} {
		t.Run(c.lines, func(t *testing.T) {
			t.Parallel()
			account, conn, order := approvedOrder(t)
			r := connector.Record{Type: "itemFulfillment", ExternalID: "f-1", Fields: connector.Fields{"item": json.RawMessage(`[{"orderLine":1,"quantity":1}]`)}}
			id, err := conn.Initialize(t.Context(), order, r)
			if err != nil {
				t.Fatal(err)
			}
			r.Fields = connector.Fields{"memo": json.RawMessage(`"m"`), "item": json.RawMessage(c.lines)}
			before := account.Stats().Requests
			foreseen := conn.Foresee(connector.Change{Action: connector.Update, RemoteID: id, Record: r})
			err = conn.Update(t.Context(), id, r)
			if !c.refused {
				if foreseen != nil || err != nil || !slices.Equal(shipped(t, account, r.Type), []string{"1 x 2.0"}) {
					t.Errorf("foreseen %v, got %v, lines %v", foreseen, err, shipped(t, account, r.Type))
				}
				return
			}
			if err == nil || connector.KindOf(err) != connector.Rejected || !strings.Contains(err.Error(), "create_fields") {
				t.Errorf("got %v, want a rejection that names create_fields", err)
			}
			if foreseen == nil || foreseen.Error() != err.Error() {
				t.Errorf("foreseen %v, got %v", foreseen, err)
			}
			if n := account.Stats().Requests - before; n != 0 {
				t.Errorf("%d requests", n)
			}
			if got := shipped(t, account, r.Type); !slices.Equal(got, []string{"1 x 1.0"}) {
				t.Errorf("the record has %v", got)
			}
		})
	}
}
