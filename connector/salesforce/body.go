package salesforce

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

func rejected(format string, args ...any) *connector.Error {
	return &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf(format, args...)}
}

// nameable refuses what no request could name.
func nameable(recordType, externalID string) *connector.Error {
	switch {
	case !apiName.MatchString(recordType):
		return rejected("%q is not a record type", exchange.Cut(recordType, 80))
	case externalID == "":
		return rejected("the external id is empty")
	case strings.TrimSpace(externalID) != externalID:
		// It would be stored without them, and might be another record's.
		return rejected("the external id %q begins or ends with a space, which Salesforce does not keep", exchange.Cut(externalID, 80))
	}
	for _, r := range externalID {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return rejected("the external id %q has a control character", exchange.Cut(externalID, 80))
		}
	}
	return nil
}

// Foresee tells of external ids that no request could name.
func (c *Connection) Foresee(x connector.Change) error {
	if x.Action != connector.Create {
		return nil
	}
	if err := nameable(x.Record.Type, x.Record.ExternalID); err != nil {
		return err
	}
	return nil
}

// named refuses an id that is none: no record can have it.
func named(recordType, id string) *connector.Error {
	if !apiName.MatchString(recordType) {
		return rejected("%q is not a record type", exchange.Cut(recordType, 80))
	}
	if !recordID.MatchString(id) {
		return &connector.Error{Kind: connector.NotFound, Message: fmt.Sprintf("%q is not an id of Salesforce", exchange.Cut(id, 80))}
	}
	return nil
}

// unexpected is a 2xx answer without what was asked for: an empty body, an
// HTML page, JSON that breaks off. Whether the request was applied is unknown.
func unexpected(a *exchange.Answer) *connector.Error {
	what := "an empty body"
	if len(a.Body) > 0 {
		what = fmt.Sprintf("%d bytes that are no such answer of Salesforce", len(a.Body))
	}
	return &connector.Error{Kind: connector.Unknown, Status: a.Status, Message: "the answer makes no sense: " + what + " (a gateway, or maintenance?)"}
}

// encode checks a record's fields and brings them to Salesforce's form: lists
// become the value of a multi-select picklist, and a relationship that is null
// clears its id field. The external id is left out: it is named otherwise.
func (c *Connection) encode(ctx context.Context, r connector.Record) (connector.Fields, *connector.Error) {
	external := c.config.externalField(r.Type)
	out := make(connector.Fields, len(r.Fields)+2)
	for name, raw := range r.Fields {
		switch {
		case strings.EqualFold(name, external):
			continue
		case strings.EqualFold(name, "Id"), name == "attributes", !apiName.MatchString(name):
			return nil, rejected("%q can't be sent as a field", exchange.Cut(name, 80))
		}
		v, err := encodeValue(name, raw)
		if err != nil {
			return nil, err
		}
		if string(v) == "null" {
			if name, err = c.idField(ctx, r.Type, name); err != nil {
				return nil, err
			}
		}
		out[name] = v
	}
	return out, nil
}

// encodeValue passes plain values and references on as they are.
func encodeValue(name string, raw json.RawMessage) (json.RawMessage, *connector.Error) {
	if !json.Valid(raw) {
		return nil, rejected("the value of field %s is not JSON", name)
	}
	raw = bytes.TrimSpace(raw)
	switch raw[0] {
	case '[':
		return picklist(name, raw)
	case '{':
		var ref map[string]json.RawMessage
		if err := json.Unmarshal(raw, &ref); err != nil {
			return nil, rejected("the value of field %s is not JSON", name)
		}
		for member, v := range ref {
			if v := bytes.TrimSpace(v); member != "attributes" && (v[0] == '{' || v[0] == '[') || !apiName.MatchString(member) {
				return nil, rejected("field %s: an object can only refer to another record, as {\"Upkeep_Id__c\": \"...\"}", name)
			}
		}
	}
	return raw, nil
}

// picklist makes "A;B" of ["A","B"].
func picklist(name string, raw json.RawMessage) (json.RawMessage, *connector.Error) {
	var values []string
	if json.Unmarshal(raw, &values) != nil {
		return nil, rejected("field %s: Salesforce has no lists but those of texts, for multi-select picklists; rows of another kind need a record type and a sync of their own", name)
	}
	if len(values) == 0 {
		return json.RawMessage("null"), nil
	}
	for _, v := range values {
		if v == "" || strings.Contains(v, ";") || strings.TrimSpace(v) != v {
			return nil, rejected("field %s: %q can't be a value of a multi-select picklist", name, exchange.Cut(v, 80))
		}
	}
	out, err := encodeJSON(strings.Join(values, ";"))
	if err != nil {
		return nil, rejected("field %s: %v", name, err)
	}
	return out, nil
}

// idField is the field to clear for a field that is null: what becomes of a
// relationship that is null is not documented, of an id field it is.
func (c *Connection) idField(ctx context.Context, recordType, name string) (string, *connector.Error) {
	if !relationship(name) {
		return name, nil
	}
	if custom, ok := strings.CutSuffix(name, "__r"); ok {
		return custom + "__c", nil
	}
	s, err := c.shape(ctx, recordType)
	if err != nil {
		if err.Kind == connector.Unknown {
			err.Kind = connector.Unavailable // the record itself was not sent
		}
		return "", err
	}
	if f := s.relationship(name); f != nil {
		return f.Name, nil
	}
	return name, nil
}

// object makes a JSON object of fields, in the order of their names.
func object(f connector.Fields) []byte {
	b, err := encodeJSON(f)
	if err != nil {
		return nil // encodeValue let only JSON pass
	}
	return b
}

// encodeJSON encodes without touching <, > and &.
func encodeJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
