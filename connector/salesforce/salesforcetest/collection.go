package salesforcetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// mostRows is how many records one collection takes.
const mostRows = 200

// serveCollection answers /composite/sobjects: up to 200 records in one call,
// each with its own result, in the order of the request.
func (s *Server) serveCollection(c *call) (*reply, *apiError) {
	if c.at(4) != "sobjects" || len(c.segments) > 7 || len(c.segments) == 6 {
		return nil, errNotFound()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.method == http.MethodDelete && len(c.segments) == 5 {
		return s.deleteMany(c)
	}
	var body struct {
		AllOrNone bool             `json:"allOrNone"`
		Records   []map[string]any `json:"records"`
	}
	d := json.NewDecoder(strings.NewReader(string(c.body)))
	d.UseNumber()
	if err := d.Decode(&body); err != nil || body.Records == nil {
		return nil, refuse("JSON_PARSER_ERROR", "The request body has no list of records.")
	}
	if len(body.Records) > mostRows {
		return nil, refuse("LIMIT_EXCEEDED", fmt.Sprintf("record limit reached. cannot submit more than %d records in this request", mostRows))
	}
	var row func(map[string]any) (map[string]any, *apiError)
	var op string
	switch {
	case c.method == http.MethodPost && len(c.segments) == 5:
		op, row = "create", func(m map[string]any) (map[string]any, *apiError) { return s.createRow(c, m) }
	case c.method == http.MethodPatch && len(c.segments) == 5:
		op, row = "update", func(m map[string]any) (map[string]any, *apiError) { return s.updateRow(c, m) }
	case c.method == http.MethodPatch:
		o, key, err := s.collectionKey(c)
		if err != nil {
			return nil, err
		}
		if err := twice(body.Records, key); err != nil {
			return nil, err
		}
		op, row = "upsert", func(m map[string]any) (map[string]any, *apiError) { return s.upsertRow(c, o, key, m) }
	default:
		return nil, errMethod(c)
	}
	overload := s.overloadOf(op, body.Records)
	return s.rows(body.AllOrNone, len(body.Records), func(i int) (map[string]any, *apiError) {
		if overload != nil {
			return nil, overload
		}
		return row(body.Records[i])
	}), nil
}

// overloadOf is the refusal of all rows together; nil when there is none. The
// first row's object is that of all.
func (s *Server) overloadOf(op string, rows []map[string]any) *apiError {
	if len(rows) == 0 {
		return nil
	}
	o, err := s.typeOf(rows[0])
	if err != nil {
		return nil // each row is told so itself
	}
	return s.overload(o.Name, op, len(rows))
}

// rows performs each row. All or none: when one fails, what the others did is
// undone, and their result says so.
func (s *Server) rows(allOrNone bool, n int, row func(int) (map[string]any, *apiError)) *reply {
	var undo []func()
	if allOrNone {
		s.undo = &undo
		defer func() { s.undo = nil }()
	}
	results, failed := make([]map[string]any, n), 0
	for i := range n {
		out, err := row(i)
		if err != nil {
			failed++
			out = failure(err)
		}
		results[i] = out
	}
	if allOrNone && failed > 0 {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
		for i, out := range results {
			if out["success"] == true {
				results[i] = failure(refuse("ALL_OR_NONE_OPERATION_ROLLED_BACK",
					"Record rolled back because not all records were valid and the request was using AllOrNone header"))
			}
		}
	}
	return jsonReply(200, results)
}

// failure is a row's result; the code has another name than elsewhere.
func failure(err *apiError) map[string]any {
	fields := err.fields
	if fields == nil {
		fields = []string{}
	}
	return map[string]any{"success": false, "errors": []any{map[string]any{"statusCode": err.code, "message": err.message, "fields": fields}}}
}

// typeOf reads attributes.type of a row.
func (s *Server) typeOf(m map[string]any) (*object, *apiError) {
	a, _ := m["attributes"].(map[string]any)
	name, _ := a["type"].(string)
	o := s.object(name)
	if o == nil {
		return nil, errType(name)
	}
	return o, nil
}

func errType(name string) *apiError {
	return refuse("INVALID_TYPE", "sObject type '"+cut(name)+"' is not supported.")
}

func (s *Server) createRow(c *call, m map[string]any) (map[string]any, *apiError) {
	o, err := s.typeOf(m)
	if err == nil && !s.seen(o) {
		err = errType(o.Name)
	}
	if err == nil {
		err = s.rowFault(o.Name, "create", "")
	}
	if err != nil {
		return nil, err
	}
	r, err := s.writeRecord(c, o, nil, m)
	if err != nil {
		return nil, err
	}
	return saved(r.id), nil
}

// identify takes the id out of a row.
func (s *Server) identify(o *object, m map[string]any) (*record, map[string]any, *apiError) {
	body, id := map[string]any{}, ""
	for name, v := range m {
		if strings.EqualFold(name, "Id") {
			id, _ = v.(string)
			continue
		}
		body[name] = v
	}
	r, err := s.named(o, id)
	return r, body, err
}

// named is the record with the id that a row has. What is said of one whose
// object the user may not see is not documented: here it is what is said of one
// that is not there.
func (s *Server) named(o *object, id string) (*record, *apiError) {
	if id == "" {
		return nil, refuse("MISSING_ARGUMENT", "Id not specified in an update call")
	}
	if !recordID.MatchString(id) {
		return nil, refuse("MALFORMED_ID", "Id: id value of incorrect type: "+cut(id), "Id")
	}
	r := s.find(id)
	switch {
	case r == nil || !s.seen(r.object) || o != nil && r.object != o:
		return nil, refuse("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
	case r.deleted:
		return nil, refuse("ENTITY_IS_DELETED", "entity is deleted")
	}
	return r, nil
}

func (s *Server) updateRow(c *call, m map[string]any) (map[string]any, *apiError) {
	o, err := s.typeOf(m)
	if err != nil {
		return nil, err
	}
	r, body, err := s.identify(o, m)
	if err == nil {
		err = s.rowFault(o.Name, "update", externalOf(r))
	}
	if err == nil {
		_, err = s.writeRecord(c, o, r, body)
	}
	if err != nil {
		return nil, err
	}
	return saved(r.id), nil
}

// externalOf is the value of a record's first external id field.
func externalOf(r *record) string {
	for _, f := range r.object.Fields {
		if v, ok := r.values[f.Name].(string); ok && f.ExternalID {
			return v
		}
	}
	return ""
}

func (s *Server) collectionKey(c *call) (*object, *Field, *apiError) {
	o := s.visible(c.at(5))
	if o == nil {
		return nil, nil, errNotFound()
	}
	key := o.field(c.at(6))
	if key == nil || !key.lookup() {
		return nil, nil, refuse("INVALID_FIELD", "Field name provided, "+c.at(6)+" does not match an External ID, Salesforce Id, or indexed field for "+o.Name)
	}
	return o, key, nil
}

// twice refuses a collection with one external id in two rows. Whether all of
// it or the two rows are refused is not documented.
func twice(records []map[string]any, key *Field) *apiError {
	seen := map[string]bool{}
	for _, m := range records {
		if v := valueOf(m, key.Name); v != nil {
			if seen[key.norm(v)] {
				return refuse("DUPLICATE_VALUE", fmt.Sprintf("Duplicate external id specified: %v", v))
			}
			seen[key.norm(v)] = true
		}
	}
	return nil
}

func valueOf(m map[string]any, name string) any {
	for k, v := range m {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return nil
}

func (s *Server) upsertRow(c *call, o *object, key *Field, m map[string]any) (map[string]any, *apiError) {
	t, err := s.typeOf(m)
	if err != nil {
		return nil, err
	}
	if t != o {
		return nil, refuse("INVALID_TYPE", "all records of an upsert must be of the type "+o.Name)
	}
	value := valueOf(m, key.Name)
	text, _ := value.(string)
	if err := s.rowFault(o.Name, "upsert", text); err != nil {
		return nil, err
	}
	body := map[string]any{}
	for name, v := range m {
		if strings.EqualFold(name, "Id") {
			return nil, refuse("INVALID_FIELD", "cannot specify Id in an upsert by an external id")
		}
		if !strings.EqualFold(name, key.Name) {
			body[name] = v
		}
	}
	r, created, several, err := s.upsert(o, key, value, body, false, c.allowDuplicates())
	if several != nil {
		return nil, refuse("DUPLICATE_EXTERNAL_ID", fmt.Sprintf("%s: more than one record found for external id field: [%s, %s]", key.Name, several[0].id, several[1].id))
	}
	if err != nil {
		return nil, err
	}
	action := "update"
	if created {
		action = "create"
	}
	s.wrote(c, o, action)
	out := saved(r.id)
	out["created"] = created
	return out, nil
}

// deleteMany is DELETE ?ids=a,b.
func (s *Server) deleteMany(c *call) (*reply, *apiError) {
	ids := strings.Split(c.query.Get("ids"), ",")
	if len(ids) > mostRows || c.query.Get("ids") == "" {
		return nil, refuse("LIMIT_EXCEEDED", fmt.Sprintf("record limit reached. cannot submit more than %d records in this request", mostRows))
	}
	var overload *apiError
	if first := s.find(strings.TrimSpace(ids[0])); first != nil {
		overload = s.overload(first.object.Name, "delete", len(ids))
	}
	return s.rows(c.query.Get("allOrNone") == "true", len(ids), func(i int) (map[string]any, *apiError) {
		if overload != nil {
			return nil, overload
		}
		r, err := s.named(nil, strings.TrimSpace(ids[i]))
		if err == nil {
			err = s.rowFault(r.object.Name, "delete", externalOf(r))
		}
		if err == nil {
			err = s.remove(r)
		}
		if err != nil {
			return nil, err
		}
		s.wrote(c, r.object, "delete")
		return saved(r.id), nil
	}), nil
}
