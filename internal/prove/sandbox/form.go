package sandbox

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/httpapi/httpapitest"
	"github.com/upkeep-sync/upkeep/internal/prove/ledger"
)

// shown are records of a sandbox as the ledger would have them: from says what the
// shop calls the fields. A reference leads to a customer.
func shown(sync string, list []map[string]any, id, externalID string, from func(sync string, r map[string]any) map[string]any) ([]ledger.Record, error) {
	var all []ledger.Record
	for _, r := range list {
		key, _ := r[externalID].(string)
		if !strings.HasPrefix(key, sync+"-") {
			continue // what the sandbox has from the beginning
		}
		record := ledger.Record{ID: sync + ":" + fmt.Sprint(r[id]), Type: sync, ExternalID: key, Fields: connector.Fields{}}
		for name, v := range from(sync, r) {
			if v == nil || v == "" {
				continue
			}
			if name == "customer" {
				v = map[string]string{"ref": "customer:" + fmt.Sprint(v)}
			}
			b, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			record.Fields[name] = b
		}
		all = append(all, record)
	}
	return all, nil
}

func plain(sync string, list []httpapitest.Record) ([]ledger.Record, error) {
	var all []map[string]any
	for _, r := range list {
		r.Fields["(id)"], r.Fields["(key)"] = r.ID, r.Key
		all = append(all, r.Fields)
	}
	return shown(sync, all, "(id)", "(key)", func(_ string, r map[string]any) map[string]any {
		delete(r, "(id)")
		delete(r, "(key)")
		return r
	})
}

func toNetSuite(sync string, f upkeep.Fields) upkeep.Fields {
	switch sync {
	case "customer":
		return upkeep.Fields{"companyName": f["name"], "custentity_segment": f["segment"], "custentity_orders": f["orders"]}
	case "order":
		// An order has to have a line.
		items := []upkeep.Fields{{"item": upkeep.Fields{"id": "202"}, "quantity": 1, "description": first}}
		for _, l := range f["lines"].([]upkeep.Fields) {
			items = append(items, upkeep.Fields{"item": upkeep.Fields{"id": "201"}, "quantity": l["qty"], "description": l["sku"]})
		}
		return upkeep.Fields{"entity": f["customer"], "otherRefNum": f["ref"], "memo": f["state"], "custbody_source": f["segment"], "item": items}
	}
	return upkeep.Fields{"entityId": f["text"]}
}

// first is the line that every order has at NetSuite.
const first = "(first)"

func fromNetSuite(sync string, r map[string]any) map[string]any {
	switch sync {
	case "customer":
		return map[string]any{"name": r["companyName"], "segment": r["custentity_segment"], "orders": r["custentity_orders"]}
	case "order":
		lines := []map[string]any{}
		item, _ := r["item"].(map[string]any)
		items, _ := item["items"].([]any)
		for _, i := range items {
			if line, _ := i.(map[string]any); line["description"] != first {
				lines = append(lines, map[string]any{"sku": line["description"], "qty": line["quantity"]})
			}
		}
		entity, _ := r["entity"].(map[string]any)
		return map[string]any{"customer": entity["id"], "ref": r["otherRefNum"], "state": r["memo"], "segment": r["custbody_source"], "lines": lines}
	}
	return map[string]any{"text": r["entityId"]}
}

// toSalesforce puts what an invoice has no field for into its description.
func toSalesforce(sync string, f upkeep.Fields) upkeep.Fields {
	switch sync {
	case "customer":
		return upkeep.Fields{"Name": f["name"], "Site": f["segment"], "NumberOfEmployees": f["orders"]}
	case "order":
		rest, err := json.Marshal(map[string]any{"state": f["state"], "segment": f["segment"], "lines": f["lines"]})
		if err != nil { // plain values
			panic(err)
		}
		return upkeep.Fields{"Account__c": f["customer"], "Name": f["ref"], "Description": string(rest)}
	}
	return upkeep.Fields{"Name": f["text"]}
}

func fromSalesforce(sync string, r map[string]any) map[string]any {
	switch sync {
	case "customer":
		return map[string]any{"name": r["Name"], "segment": r["Site"], "orders": r["NumberOfEmployees"]}
	case "order":
		out := map[string]any{}
		text, _ := r["Description"].(string)
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			out["state"] = text // the oracle tells the difference
		}
		out["customer"], out["ref"] = r["Account__c"], r["Name"]
		return out
	}
	return map[string]any{"text": r["Name"]}
}
