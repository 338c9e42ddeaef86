package netsuite_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/netsuite"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
)

// A reference that is sent by external id is read back by it, although
// NetSuite answers with the internal id.
func TestReferencesByExternalIDAreReadBack(t *testing.T) {
	t.Parallel()
	sandbox, err := netsuitetest.New(netsuitetest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sandbox)
	t.Cleanup(func() { sandbox.Close(); server.Close() })
	conn, err := netsuite.Open(netsuite.Config{Account: netsuitetest.Account, BaseURL: server.URL, Auth: netsuite.Auth{OAuth1: &netsuite.OAuth1{
		ConsumerKey: netsuitetest.ConsumerKey, ConsumerSecret: netsuitetest.ConsumerSecret, TokenID: netsuitetest.TokenID, TokenSecret: netsuitetest.TokenSecret,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Create(t.Context(), connector.Record{Type: "customer", ExternalID: "C-1", Fields: connector.Fields{"entityId": json.RawMessage(`"C1"`), "companyName": json.RawMessage(`"C"`)}}); err != nil {
		t.Fatal(err)
	}
	fields := connector.Fields{
		"entity": json.RawMessage(`{"externalId":"C-1"}`),
		"item":   json.RawMessage(`[{"item":{"externalId":"WIDGET"},"quantity":2,"rate":9.9},{"item":{"externalId":"GADGET"},"quantity":1,"rate":1},{"item":{"externalId":"WIDGET"},"quantity":3,"rate":9.9}]`),
	}
	id, err := conn.Create(t.Context(), connector.Record{Type: "salesOrder", ExternalID: "O-1", Fields: fields})
	if err != nil {
		t.Fatal(err)
	}
	before := sandbox.Stats().Requests
	got, err := conn.Read(t.Context(), "salesOrder", id, fields)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range fields {
		if string(got[name]) != string(want) {
			t.Errorf("%s: got %s, want %s", name, got[name], want)
		}
	}
	if n := sandbox.Stats().Requests - before; n != 4 { // the order, its customer, two items
		t.Errorf("%d requests", n)
	}
	other := connector.Fields{"item": json.RawMessage(`[{"item":{"externalId":"GADGET"},"quantity":2,"rate":9.9},{"item":{"externalId":"GADGET"},"quantity":1,"rate":1},{"item":{"externalId":"WIDGET"},"quantity":3,"rate":9.9}]`)}
	if got, err = conn.Read(t.Context(), "salesOrder", id, other); err != nil || string(got["item"]) == string(other["item"]) {
		t.Errorf("another item is not seen: %s, %v", got["item"], err)
	}
}
