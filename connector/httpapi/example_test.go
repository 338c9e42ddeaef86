package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/httpapi"
)

// An API that makes or updates a contact by a key of ours.
func Example() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Println(r.Method, r.URL.EscapedPath(), string(body))
		_, _ = io.WriteString(w, `{"contact": {"id": 901}}`)
	}))
	defer api.Close()
	conn, err := httpapi.Open(httpapi.Config{
		BaseURL: api.URL,
		Auth:    httpapi.Auth{Bearer: "secret"},
		Records: map[string]httpapi.Record{"contact": {
			ID: "/contact/id",
			Upsert: &httpapi.Request{
				Path: "/contacts/$external_id",
				Body: map[string]any{"properties": "$fields", "label": "$fields.name ($type)"},
			},
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	id, err := conn.Create(context.Background(), connector.Record{Type: "contact", ExternalID: "user/7",
		Fields: connector.Fields{"name": json.RawMessage(`"Ada"`), "score": json.RawMessage(`12.50`)}})
	fmt.Println(id, err)
	// Output:
	// PUT /contacts/user%2F7 {"label":"Ada (contact)","properties":{"name":"Ada","score":12.50}}
	// 901 <nil>
}
