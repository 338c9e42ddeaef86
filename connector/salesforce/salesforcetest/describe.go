package salesforcetest

import (
	"maps"
	"slices"
)

func (s *Server) summary(o *object) map[string]any {
	return map[string]any{"name": o.Name, "label": o.Name, "keyPrefix": o.Prefix, "createable": true, "updateable": true, "deletable": true,
		"queryable": true, "custom": len(o.Name) > 3 && o.Name[len(o.Name)-3:] == "__c", "urls": map[string]string{"sobject": "/services/data/v68.0/sobjects/" + o.Name}}
}

func (s *Server) describeGlobal(c *call) (*reply, *apiError) {
	if c.method != "GET" {
		return nil, errMethod(c)
	}
	all := []any{}
	for _, name := range slices.Sorted(maps.Keys(s.objects)) {
		if o := s.objects[name]; s.seen(o) {
			all = append(all, s.summary(o))
		}
	}
	return jsonReply(200, map[string]any{"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": all}), nil
}

func (s *Server) describe(c *call, o *object) (*reply, *apiError) {
	if c.method != "GET" {
		return nil, errMethod(c)
	}
	out := s.summary(o)
	fields := []any{}
	for i := range o.Fields {
		f := &o.Fields[i]
		one := map[string]any{
			"name": f.Name, "label": f.Name, "type": f.Type, "length": f.Length, "createable": !f.ReadOnly, "updateable": !f.ReadOnly && !f.CreateOnly,
			"nillable": !f.Required, "defaultedOnCreate": false, "unique": f.Unique, "externalId": f.ExternalID, "idLookup": f.lookup(),
			"caseSensitive": f.CaseSensitive, "referenceTo": f.RefersTo, "relationshipName": nil, "custom": false,
		}
		if f.RefersTo == nil {
			one["referenceTo"] = []string{}
		}
		if f.Relationship != "" {
			one["relationshipName"] = f.Relationship
		}
		fields = append(fields, one)
	}
	out["fields"] = fields
	return jsonReply(200, out), nil
}
