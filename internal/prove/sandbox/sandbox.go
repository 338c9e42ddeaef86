// Package sandbox has the remotes of the real connectors in the proofs: each
// connector's own sandbox behind one front, which fails as it is told to, and the
// shop's records in the form that the remote has for them.
package sandbox

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/faulttest"
	"github.com/upkeep-sync/upkeep/connector/httpapi/httpapitest"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
	"github.com/upkeep-sync/upkeep/internal/prove/ledger"
	"github.com/upkeep-sync/upkeep/internal/prove/shop"
)

// The kinds of remote. HTTP is one that has an upsert, and batches; Lookup one
// that has neither; Warehouse a PostgreSQL, and File one that is a file.
const (
	NetSuite   = "netsuite"
	Salesforce = "salesforce"
	HTTP       = "http"
	Lookup     = "http, lookup"
	Warehouse  = "warehouse"
	File       = "warehouse, a file"
)

// Server is a running remote.
type Server struct {
	URL string

	kind    string
	faults  *faulttest.Faults
	struck  atomic.Int64
	changes atomic.Int64
	records func(sync, recordType string) ([]ledger.Record, error)
	close   func()
}

// Open starts the sandbox of a kind over HTTP.
func Open(kind string, seed uint64) (*Server, error) {
	s := &Server{kind: kind, faults: faulttest.New(seed, faulttest.Latency, faulttest.Status, faulttest.Reset, faulttest.Hang, faulttest.Late, faulttest.HTML)}
	var handler http.Handler
	end := func() {}
	switch kind {
	case NetSuite:
		account, err := netsuitetest.New(netsuitetest.Config{})
		if err != nil {
			return nil, err
		}
		handler, end = account, account.Close
		s.records = func(sync, recordType string) ([]ledger.Record, error) {
			return shown(sync, account.Records(recordType), "id", "externalId", fromNetSuite)
		}
	case Salesforce:
		org, err := salesforcetest.New(salesforcetest.Config{DailyRequests: 10_000_000})
		if err != nil {
			return nil, err
		}
		handler, end = org, org.Close
		s.records = func(sync, recordType string) ([]ledger.Record, error) {
			return shown(sync, org.Records(recordType), "Id", salesforcetest.ExternalField, fromSalesforce)
		}
	case HTTP, Lookup:
		api := httpapitest.NewPlain()
		handler = api
		s.records = func(sync, recordType string) ([]ledger.Record, error) { return plain(sync, api.Records(recordType)) }
	default:
		return nil, fmt.Errorf("there is no sandbox %q", kind)
	}
	server := httptest.NewServer(&front{s, handler})
	s.URL = server.URL
	s.close = func() { s.faults.Close(); end(); server.CloseClientConnections(); server.Close() }
	return s, nil
}

// Close ends it.
func (s *Server) Close() { s.close() }

// Fail adds a fault.
func (s *Server) Fail(f faulttest.Fault) error { return s.faults.Fail(f) }

// Heal forgets all faults. Requests that are to be applied late stay.
func (s *Server) Heal() { s.faults.Heal() }

// Land applies them.
func (s *Server) Land() { s.faults.Release() }

// Struck is how many requests met a fault, and Changes how many came that could
// change something and met none.
func (s *Server) Struck() int  { return int(s.struck.Load()) }
func (s *Server) Changes() int { return int(s.changes.Load()) }

// Records are all of the shop's, as the ledger would have them.
func (s *Server) Records() []ledger.Record {
	var all []ledger.Record
	for _, sync := range []string{"customer", "label", "order"} {
		list, err := s.records(sync, Form(s.kind).Records[sync])
		if err != nil { // the sandboxes have what the proof's own forms put there
			panic(err)
		}
		all = append(all, list...)
	}
	return all
}

// Duplicates lists the keys that more than one record has.
func (s *Server) Duplicates() []string {
	n := map[string]int{}
	var found []string
	for _, r := range s.Records() {
		key := r.Type + "/" + r.ExternalID
		if n[key]++; n[key] == 2 {
			found = append(found, key+": twice")
		}
	}
	slices.Sort(found)
	return found
}

// Applied, Overtaken and Crowded are nothing: it keeps no ledger.
func (s *Server) Applied(int) []ledger.Entry { return nil }
func (s *Server) Overtaken() []string        { return nil }
func (s *Server) Crowded() []string          { return nil }

// Secrets are those that the connections log in with.
func Secrets() []string {
	return []string{netsuitetest.ConsumerSecret, netsuitetest.TokenSecret, salesforcetest.ClientSecret, httpapitest.Token}
}

var forms = map[string]shop.Form{
	NetSuite:   {Records: map[string]string{"customer": "customer", "order": "salesOrder", "label": "contact"}, Fields: toNetSuite},
	Salesforce: {Records: map[string]string{"customer": "Account", "order": "Invoice__c", "label": "Product2"}, Fields: toSalesforce},
	HTTP:       {Records: asTheyAre}, Lookup: {Records: asTheyAre},
	Warehouse: tables, File: tables,
}

// tables is the form of a warehouse.
var tables = shop.Form{
	Records: asTheyAre, Columns: map[string][]connector.Column{
		"customer": {{Name: "name", Type: connector.Text}, {Name: "segment", Type: connector.Text}, {Name: "orders", Type: connector.Integer}},
		"order": {{Name: "customer", Type: connector.Reference}, {Name: "ref", Type: connector.Text}, {Name: "state", Type: connector.Text},
			{Name: "segment", Type: connector.Text}, {Name: "lines", Type: connector.List, List: []connector.Column{{Name: "sku", Type: connector.Text}, {Name: "qty", Type: connector.Integer}}}},
		"label": {{Name: "text", Type: connector.Text}},
	},
}

var asTheyAre = map[string]string{"customer": "customer", "order": "order", "label": "label"}

// Form is how a kind of remote has the shop's records.
func Form(kind string) shop.Form { return forms[kind] }
