package salesforcetest_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
)

// A test starts an org, points its client at the server's URL, makes trouble,
// and asks afterwards what the org has and what it saw.
func Example() {
	org, err := salesforcetest.New(salesforcetest.Config{Seed: 1, DailyRequests: 1000})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(org)
	defer server.Close()
	defer org.Close() // first: lets go of requests that hang

	// Every third collection or so is stored, but the client never hears of it.
	err = org.Fail(salesforcetest.Fault{Kind: salesforcetest.Reset, Applied: true, Op: "collection", Probability: 0.3})
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := server.Client().Get(server.URL + "/services/data/v68.0/limits")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()

	used, limit := org.Usage()
	fmt.Println(res.StatusCode, used, limit, len(org.Records("Account")))
	// Output:
	// 401 0 1000 0
}
