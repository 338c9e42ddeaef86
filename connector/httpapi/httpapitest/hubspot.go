package httpapitest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// HubSpot stands in for HubSpot's CRM objects, API v3: upserts, updates and
// archives in batches, and single objects by id or by a unique property.
// Values come back as texts, an empty text clears a property, and results of a
// batch come in no order that a client may rely on.
type HubSpot struct {
	*store
	mux    *http.ServeMux
	unique string // the property that identifies objects
	// Anything is a property that holds any JSON, for the conformance suite.
	// HubSpot itself has no such. Empty: there is none.
	Anything string
}

// HubSpotMost is how many inputs a batch takes.
const HubSpotMost = 100

// NewHubSpot makes an empty account. unique is the property that identifies
// its objects: email, or one of the account's own.
func NewHubSpot(unique string) *HubSpot {
	h := &HubSpot{store: newStore(), mux: http.NewServeMux(), unique: unique}
	const objects = "/crm/v3/objects/{type}"
	h.counted(h.mux, "POST "+objects+"/batch/upsert", h.batch(h.upsertOne))
	h.counted(h.mux, "POST "+objects+"/batch/update", h.batch(h.updateOne))
	h.counted(h.mux, "POST "+objects+"/batch/archive", h.archive)
	h.counted(h.mux, "GET "+objects+"/{id}", h.one)
	h.counted(h.mux, "PATCH "+objects+"/{id}", h.one)
	h.counted(h.mux, "DELETE "+objects+"/{id}", h.one)
	h.counted(h.mux, "GET /account-info/v3/details", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, object{"portalId": 1234567, "accountType": "STANDARD"})
	})
	return h
}

// ServeHTTP answers as HubSpot.
func (h *HubSpot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+Token {
		HubSpotError(w, http.StatusUnauthorized, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
		return
	}
	h.mux.ServeHTTP(w, r)
}

// HubSpotError writes an error in HubSpot's form.
func HubSpotError(w http.ResponseWriter, status int, category, message string) {
	answer(w, status, object{"status": "error", "category": category, "message": message, "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf"})
}

// input is one element of a batch.
type input struct {
	ID         string         `json:"id"`
	IDProperty string         `json:"idProperty"`
	Trace      string         `json:"objectWriteTraceId"`
	Properties map[string]any `json:"properties"`
}

// failure is one element of a batch's errors.
type failure struct {
	category, message string
}

func (h *HubSpot) batch(apply func(recordType string, in input) (*Record, bool, *failure)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Inputs []input `json:"inputs"`
		}
		if !decode(r, &in) || len(in.Inputs) == 0 {
			HubSpotError(w, http.StatusBadRequest, "VALIDATION_ERROR", "Invalid input JSON")
			return
		}
		if len(in.Inputs) > HubSpotMost {
			HubSpotError(w, http.StatusBadRequest, "VALIDATION_ERROR", "The maximum number of inputs supported in a batch request is "+strconv.Itoa(HubSpotMost))
			return
		}
		results, errors := []object{}, []object{}
		for _, x := range in.Inputs {
			rec, made, fail := apply(r.PathValue("type"), x)
			if fail != nil {
				errors = append(errors, object{"status": "error", "category": fail.category, "message": fail.message,
					"context": object{"ids": []string{x.ID}, "objectWriteTraceId": []string{x.Trace}}})
				continue
			}
			results = append(results, object{"id": rec.ID, "new": made, "properties": texts(rec.Fields), "objectWriteTraceId": x.Trace})
		}
		slices.Reverse(results)
		if len(errors) > 0 {
			answer(w, http.StatusMultiStatus, object{"status": "COMPLETE", "results": results, "numErrors": len(errors), "errors": errors})
			return
		}
		answer(w, http.StatusOK, object{"status": "COMPLETE", "results": results})
	}
}

func (h *HubSpot) upsertOne(recordType string, in input) (*Record, bool, *failure) {
	if in.IDProperty != h.unique {
		return nil, false, &failure{"VALIDATION_ERROR", "Property " + in.IDProperty + " is not a unique identifier property"}
	}
	if fail := h.invalid(in.Properties); fail != nil {
		return nil, false, fail
	}
	rec := h.byKey(recordType, in.ID)
	made := rec == nil
	if made {
		rec = h.insert(recordType, in.ID, "")
		rec.Fields[h.unique] = in.ID
	}
	rec.put(in.Properties)
	return rec, made, nil
}

func (h *HubSpot) updateOne(recordType string, in input) (*Record, bool, *failure) {
	rec := h.records[in.ID]
	if rec == nil || rec.Type != recordType {
		return nil, false, &failure{"OBJECT_NOT_FOUND", "Could not get some " + recordType + " objects, they may be deleted or not exist. Check that ids are valid."}
	}
	if fail := h.invalid(in.Properties); fail != nil {
		return nil, false, fail
	}
	rec.put(in.Properties)
	return rec, false, nil
}

func (h *HubSpot) archive(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Inputs []input `json:"inputs"`
	}
	if !decode(r, &in) {
		HubSpotError(w, http.StatusBadRequest, "VALIDATION_ERROR", "Invalid input JSON")
		return
	}
	for _, x := range in.Inputs {
		delete(h.records, x.ID)
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *HubSpot) one(w http.ResponseWriter, r *http.Request) {
	recordType, id := r.PathValue("type"), r.PathValue("id")
	rec := h.records[id]
	if r.URL.Query().Get("idProperty") == h.unique {
		rec = h.byKey(recordType, id)
	}
	switch {
	case r.Method == http.MethodDelete:
		delete(h.records, id)
		w.WriteHeader(http.StatusNoContent)
	case rec == nil || rec.Type != recordType:
		HubSpotError(w, http.StatusNotFound, "OBJECT_NOT_FOUND", "Object not found.  objectId are usually numeric.")
	case r.Method == http.MethodPatch:
		var in input
		if !decode(r, &in) {
			HubSpotError(w, http.StatusBadRequest, "VALIDATION_ERROR", "Invalid input JSON")
			return
		}
		if fail := h.invalid(in.Properties); fail != nil {
			HubSpotError(w, http.StatusBadRequest, fail.category, fail.message)
			return
		}
		rec.put(in.Properties)
		answer(w, http.StatusOK, object{"id": rec.ID, "properties": texts(rec.Fields)})
	default:
		shown, all := object{}, texts(rec.Fields)
		for _, name := range strings.Split(r.URL.Query().Get("properties"), ",") {
			shown[name] = all[name]
		}
		answer(w, http.StatusOK, object{"id": rec.ID, "properties": shown})
	}
}

// invalid: a property of an account has a type; here all are texts, and
// "no_such_property" is none.
func (h *HubSpot) invalid(properties map[string]any) *failure {
	if _, ok := properties["no_such_property"]; ok {
		return &failure{"VALIDATION_ERROR", `Property values were not valid: [{"isValid":false,"message":"Property \"no_such_property\" does not exist"}]`}
	}
	for name, v := range properties {
		switch v.(type) {
		case string, json.Number, bool:
		default:
			if name == h.Anything {
				continue
			}
			return &failure{"VALIDATION_ERROR", "Invalid input JSON: " + name + " is not a text"}
		}
	}
	return nil
}

// put sets properties; an empty text clears.
func (r *Record) put(properties map[string]any) {
	for name, v := range properties {
		r.Fields[name] = v
		if v == "" {
			delete(r.Fields, name)
		}
	}
}

// texts are properties as HubSpot answers them.
func texts(properties map[string]any) object {
	out := object{}
	for name, v := range properties {
		switch v := v.(type) {
		case json.Number:
			out[name] = v.String()
		case bool:
			out[name] = strconv.FormatBool(v)
		default:
			out[name] = v
		}
	}
	return out
}
