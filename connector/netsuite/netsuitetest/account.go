package netsuitetest

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
)

// The well-known credentials of the default sandbox account. They open
// nothing but a sandbox on one's own machine; the OAuth 1.0a values are the
// sample keys that Oracle prints in its documentation.
const (
	// Account is the account id of the default sandbox, in its realm form.
	Account = "123456_SB1"

	ConsumerKey    = "ef40afdd8abaac111b13825dd5e5e2ddddb44f86d5a0dd6dcf38c20aae6b67e4"
	ConsumerSecret = "d26ad321a4b2f23b0741c8d38392ce01c3e23e109df6c96eac6d099e9ab9e8b5"
	TokenID        = "2b0ce516420110bcbd36b69e99196d1b7f6de3c6234c5afb799b73d87569f5cc"
	TokenSecret    = "c29a677df7d5439a458c063654187e3d678d73aca8e3c9d8bea1478a3eb0d295"

	// ClientID, CertificateID and PrivateKey (PKCS #8, for ES256) log in with
	// OAuth 2.0 client credentials.
	ClientID      = "sandbox-client"
	CertificateID = "sandbox-certificate"
	PrivateKey    = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgI4toJxW3XYYKJr/D
kZ71y357EzVV5f15G3wkdWjjsJ+hRANCAATDbHHJ6U8kg6g/m6NoYpfePjGdLMXn
+78d7vO36F2AAlVf8u4XU0VVQerqiJ5uUcUR5F1CDoqZQDvKf16J9+pU
-----END PRIVATE KEY-----
`
)

// Credentials are the default account's OAuth 1.0a credentials.
func Credentials() TokenCredentials {
	return TokenCredentials{ConsumerKey, ConsumerSecret, TokenID, TokenSecret}
}

// Client is the default account's OAuth 2.0 set-up: the public half of
// [PrivateKey] under [CertificateID].
func Client() ClientCredentials {
	block, _ := pem.Decode([]byte(PrivateKey))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		panic("netsuitetest: the sandbox key does not parse: " + err.Error())
	}
	public := key.(crypto.Signer).Public()
	return ClientCredentials{ClientID: ClientID, Certificates: map[string]crypto.PublicKey{CertificateID: public}}
}

// DefaultCustomFields are the custom fields that every account here has.
func DefaultCustomFields() []CustomField {
	return []CustomField{
		{Name: "custentity_segment"}, {Name: "custentity_orders", Kind: "integer"}, {Name: "custentity_since", Kind: "date"},
		{Name: "custbody_source"}, {Name: "custbody_vat"}, {Name: "custbody_priority", Kind: "checkbox"},
		{Name: "custcol_note"}, {Name: "custcol_weight", Kind: "decimal"}, {Name: "custitem_color"},
	}
}

// seed makes the account's lists and items. Internal ids of entities and
// transactions begin apart, so that mixing them up shows.
func (s *Server) seed() error {
	lists := []struct {
		typ   string
		names []string
	}{
		{"subsidiary", []string{"Parent Company", "Europe"}},
		{"location", []string{"Main Warehouse", "Second Warehouse"}},
		{"department", []string{"Sales", "Support"}},
		{"classification", []string{"Retail", "Wholesale"}},
		{"currency", []string{"USD", "GBP", "CAD", "EUR"}},
		{"term", []string{"Net 15", "Net 30", "Net 60", "Due on receipt"}},
		{"priceLevel", []string{"Base Price", "Alternate Price 1", "Alternate Price 2"}},
		{"customerStatus", []string{"Lead", "Prospect", "Customer-Closed Won"}},
		{"customerCategory", []string{"Corporate", "Individual"}},
	}
	for _, l := range lists {
		for _, name := range l.names {
			body, err := json.Marshal(map[string]string{"name": name})
			if err == nil {
				_, err = s.Add(l.typ, body)
			}
			if err != nil {
				return err
			}
		}
	}
	s.lastID["customForm"] = 67
	s.lastID["item"], s.lastID["entity"], s.lastID["transaction"] = 200, 1000, 5000
	if _, err := s.Add("customForm", []byte(`{"name":"Standard Sales Order"}`)); err != nil {
		return err
	}
	for i, name := range []string{"WIDGET", "GADGET", "GIZMO", "DOODAD", "SPROCKET"} {
		body := fmt.Sprintf(`{"externalId":%q,"itemId":%q,"displayName":%q,"price":{"items":[{"priceLevel":"1","currencyPage":"1","price":%d.50}]}}`,
			name, name, name, 10*(i+1))
		if _, err := s.Add("inventoryItem", []byte(body)); err != nil {
			return err
		}
	}
	_, err := s.Add("serviceSaleItem", []byte(`{"externalId":"SHIPPING","itemId":"SHIPPING","price":{"items":[{"priceLevel":"1","price":5}]}}`))
	return err
}

// Add stores a record as a user of the account would and returns its internal
// id. It is not counted. body is what a POST would send; unknown fields are
// an error.
func (s *Server) Add(recordType string, body []byte) (id string, err error) {
	t := s.schema[lower(recordType)]
	if t == nil {
		return "", fmt.Errorf("record type %q does not exist", recordType)
	}
	m, bad := object(&call{body: body})
	if bad != nil {
		return "", bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &edit{server: s, record: newRecord(t), names: refuse, values: refuse, seeding: true}
	if bad := e.apply(m); bad != nil {
		return "", bad
	}
	if bad := e.finish(); bad != nil {
		return "", bad
	}
	if _, bad := s.save(e.record); bad != nil {
		return "", bad
	}
	return e.record.id, nil
}

// Edit changes a record as a user of the account would. id is the internal id, or
// the external one after "eid:". It is not counted. body is what a PATCH would
// send; unknown and read-only fields are an error.
func (s *Server) Edit(recordType, id string, body []byte) error {
	m, bad := object(&call{body: body})
	if bad != nil {
		return bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.byAnyID(recordType, id)
	if err != nil {
		return err
	}
	e := &edit{server: s, record: r.clone(), names: refuse, values: refuse, replace: map[string]bool{}}
	if bad := e.apply(m); bad != nil {
		return bad
	}
	if bad := e.finish(); bad != nil {
		return bad
	}
	if _, bad := s.save(e.record); bad != nil {
		return bad
	}
	return nil
}

// Remove deletes a record as a user of the account would. id is as in Edit.
func (s *Server) Remove(recordType, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.byAnyID(recordType, id)
	if err != nil {
		return err
	}
	if bad := s.remove(r); bad != nil {
		return bad
	}
	return nil
}

// byAnyID finds a record for a user. The lock is held by the caller.
func (s *Server) byAnyID(recordType, id string) (*record, error) {
	t := s.schema[lower(recordType)]
	if t == nil {
		return nil, fmt.Errorf("record type %q does not exist", recordType)
	}
	r := s.find(t.name, id)
	if ext, external := strings.CutPrefix(id, "eid:"); external {
		r = s.findExternal(t.name, ext)
	}
	if r == nil {
		return nil, fmt.Errorf("there is no %s %s", t.name, id)
	}
	return r, nil
}
