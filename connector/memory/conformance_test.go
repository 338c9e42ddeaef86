package memory_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/connectortest"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

func TestConformance(t *testing.T) {
	for name, class := range map[string]connector.Class{"upsert": connector.Upsert, "lookup": connector.Lookup, "blind": connector.Blind} {
		t.Run(name, func(t *testing.T) {
			connectortest.Run(t, func(t *testing.T) connectortest.Target { return target(t, class) })
		})
	}
	t.Run("no optional ability", func(t *testing.T) {
		connectortest.Run(t, func(t *testing.T) connectortest.Target {
			target := target(t, connector.Upsert)
			target.Connection = plain{target.Connection}
			return target
		})
	})
}

// plain hides the optional abilities of a connection.
type plain struct{ connector.Connection }

func target(t *testing.T, class connector.Class) connectortest.Target {
	r := memory.New(memory.Config{Class: class, Batch: 50, Bulk: connector.Bulk{From: 10, Most: 1000}, Pace: 100, Types: map[string][]string{
		"order":       {"memo", "title", "total", "day", "at", "lines", "customer"},
		"customer":    {"memo"},
		"fulfillment": {"memo"},
	}})
	c := r.Connect()
	customer := func(t *testing.T) string {
		return r.Add(connector.Record{Type: "customer", ExternalID: t.Name()})
	}
	return connectortest.Target{
		Connection: c,
		Type:       "order",
		Text:       "memo", Other: "title", LongText: 100_000,
		Number: "total", Numbers: []string{"12.50", "0", "-1", "9007199254740993", "123456789012345678901234567890.123456789", "0.1", "1e3"},
		Date: "day", Time: "at",
		List: "lines",
		Line: func(i, q int) json.RawMessage {
			return json.RawMessage(fmt.Sprintf(`{"sku":"sku-%d","quantity":%d}`, i, q))
		},
		RefField: "customer",
		Ref: func(t *testing.T) connector.Ref {
			return connector.Ref{Type: "customer", RemoteID: customer(t), ExternalID: t.Name()}
		},
		Origin: func(t *testing.T) connector.Origin {
			return connector.Origin{Type: "customer", RemoteID: customer(t)}
		},
		InitType: "fulfillment", InitText: "memo",
		Count: func(recordType, externalID string) (n int) {
			for _, rec := range r.Records(recordType) {
				if rec.ExternalID == externalID {
					n++
				}
			}
			return n
		},
		Stored: func(recordType, remoteID, field string) json.RawMessage {
			for _, rec := range r.Records(recordType) {
				if v, ok := rec.Fields[field]; ok && rec.ID == remoteID {
					return v
				}
			}
			return json.RawMessage("null")
		},
		Fail: func(f connectortest.Fault) { r.FailWhen(func(memory.Request) *memory.Fault { return fault(f) }) },
		Heal: r.Heal,
	}
}

// fault is what a connector would make of the suite's fault: here there is
// no network between.
func fault(f connectortest.Fault) *memory.Fault {
	kinds := map[int]connector.Kind{400: connector.Rejected, 401: connector.Unauthorized, 429: connector.RateLimited}
	m := &memory.Fault{Applied: f.Applied, Hang: f.Kind == connectortest.Hang}
	if !m.Hang {
		m.Err = &connector.Error{Kind: kinds[f.Status], Status: f.Status, RetryAfter: f.RetryAfter, Message: f.String() + ": " + f.Message}
	}
	if f.Met != nil {
		until := make(chan struct{}) // the request has met the fault when somebody waits
		go func() { f.Met(); close(until) }()
		if !m.Hang {
			m.Until = until
		}
	}
	return m
}
