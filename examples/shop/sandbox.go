package main

import (
	"fmt"
	"io"
	"net/http/httptest"

	"github.com/upkeep-sync/upkeep/connector/netsuite"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
)

// sandbox is a NetSuite account in this process, and a connection to it. For a
// real account, leave out BaseURL and take the credentials from outside.
type sandbox struct {
	account    *netsuitetest.Server
	server     *httptest.Server
	connection *netsuite.Connection
}

func openSandbox() (*sandbox, error) {
	account, err := netsuitetest.New(netsuitetest.Config{})
	if err != nil {
		return nil, err
	}
	server := httptest.NewServer(account)
	connection, err := netsuite.Open(netsuite.Config{
		Account: netsuitetest.Account,
		BaseURL: server.URL,
		Auth: netsuite.Auth{OAuth2: &netsuite.OAuth2{
			ClientID: netsuitetest.ClientID, CertificateID: netsuitetest.CertificateID, PrivateKey: netsuitetest.PrivateKey,
		}},
	})
	if err != nil {
		server.Close()
		return nil, err
	}
	return &sandbox{account, server, connection}, nil
}

func (s *sandbox) close() {
	_ = s.connection.Close() // it only lets go of network connections
	s.account.Close()
	s.server.Close()
}

// calls is how many writes went through.
func (s *sandbox) calls() int { return s.account.Stats().Applied }

// show prints what the account has.
func (s *sandbox) show(out io.Writer, calls int) error {
	text := fmt.Sprintf("  %d calls.", calls)
	for _, c := range s.account.Records("customer") {
		text += fmt.Sprintf(" customer %v: %v, %v orders.", c["entityId"], c["companyName"], c["custentity_orders"])
	}
	for _, o := range s.account.Records("salesOrder") {
		text += fmt.Sprintf(" order %v: total %v.", o["otherRefNum"], o["total"])
	}
	_, err := fmt.Fprintln(out, text)
	return err
}
