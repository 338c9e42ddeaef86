package netsuitetest_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
)

// A test starts an account, points its client at the server's URL, makes
// trouble, and asks afterwards what the account has and what it saw.
func Example() {
	account, err := netsuitetest.New(netsuitetest.Config{Concurrency: 5, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(account)
	defer server.Close()
	defer account.Close() // first: lets go of requests that hang

	// Every third order or so is stored, but the client never hears of it.
	err = account.Fail(netsuitetest.Fault{Kind: netsuitetest.Reset, Applied: true, Type: "salesOrder", Probability: 0.3})
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := server.Client().Get(server.URL + "/services/rest/record/v1/customer")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()

	fmt.Println(res.StatusCode, account.Audit()[0].Reason)
	fmt.Println(len(account.Records("salesOrder")), len(account.Duplicates("otherRefNum")), account.Stats().Unauthorized)
	// Output:
	// 401 no credentials
	// 0 0 1
}
