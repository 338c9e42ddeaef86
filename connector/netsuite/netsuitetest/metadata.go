package netsuitetest

import (
	"net/http"
	"strings"
)

const (
	mediaSchema  = "application/schema+json"
	mediaSwagger = "application/swagger+json"
)

// serveLimits answers GET /system/v1/governanceLimits. The role that the
// sandbox's credentials stand for is an administrator's.
func (s *Server) serveLimits(c *call) (*reply, *apiError) {
	if c.method != http.MethodGet {
		return nil, errMethod(c)
	}
	n := max(s.config.Concurrency, 0)
	return jsonReply(http.StatusOK, mediaSingular, map[string]any{
		"links":                   self(c.root + "/system/v1/governanceLimits"),
		"accountConcurrencyLimit": n, "accountUnallocatedConcurrencyLimit": n, "integrationLimitType": "accountLimit",
	}), nil
}

// serveMetadata answers GET /metadata-catalog and /metadata-catalog/{type}.
func (s *Server) serveMetadata(c *call, path []string) (*reply, *apiError) {
	if c.method != http.MethodGet {
		return nil, errMethod(c)
	}
	names := s.types()
	if len(path) == 1 {
		names = path
	} else if v := c.param("select"); v != "" {
		names = strings.Split(v, ",")
	}
	var types []*recordType
	for _, name := range names {
		t := s.schema[lower(strings.TrimSpace(name))]
		if t == nil || len(path) > 1 {
			return nil, &apiError{status: 404, code: "NONEXISTENT_RECORD_TYPE", url: c.path,
				detail: "Record type '" + cut(name) + "' does not exist."}
		}
		types = append(types, t)
	}
	accept := c.request.Header.Get("Accept")
	switch {
	case strings.Contains(accept, mediaSwagger):
		return jsonReply(http.StatusOK, mediaSwagger, openAPI(c, types)), nil
	case len(path) == 1 && strings.Contains(accept, mediaSchema):
		return jsonReply(http.StatusOK, mediaSchema, types[0].jsonSchema()), nil
	}
	root := c.root + recordRoot + "/metadata-catalog"
	items := []any{}
	for _, t := range types {
		items = append(items, map[string]any{"name": t.name, "links": []map[string]string{
			{"rel": "canonical", "href": root + "/" + t.name, "mediaType": "application/json"},
			{"rel": "describes", "href": c.root + recordRoot + "/" + t.name},
			{"rel": "describedby", "href": root + "/" + t.name, "mediaType": mediaSwagger},
			{"rel": "describedby", "href": root + "/" + t.name, "mediaType": mediaSchema},
		}})
	}
	if len(path) == 1 {
		return jsonReply(http.StatusOK, mediaSingular, items[0]), nil
	}
	return jsonReply(http.StatusOK, mediaCollection, map[string]any{"links": self(root), "items": items}), nil
}

func openAPI(c *call, types []*recordType) map[string]any {
	paths, schemas := map[string]any{}, map[string]any{}
	operation := func(id, status string) map[string]any {
		return map[string]any{"operationId": id, "responses": map[string]any{status: map[string]any{"description": http.StatusText(map[string]int{"200": 200, "204": 204}[status])}}}
	}
	for _, t := range types {
		paths["/"+t.name] = map[string]any{"get": operation("get-"+t.name+"-list", "200"), "post": operation("insert-"+t.name, "204")}
		paths["/"+t.name+"/{id}"] = map[string]any{"get": operation("get-"+t.name, "200"), "patch": operation("update-"+t.name, "204"),
			"put": operation("upsert-"+t.name, "204"), "delete": operation("delete-"+t.name, "204")}
		schemas[t.name] = t.jsonSchema()
	}
	return map[string]any{"openapi": "3.0.1", "info": map[string]string{"title": "NetSuite REST API", "version": "v1"},
		"servers": []map[string]string{{"url": c.root + recordRoot}}, "paths": paths, "components": map[string]any{"schemas": schemas}}
}

func (t *recordType) jsonSchema() map[string]any {
	properties := schemaOf(t.fields)
	properties["id"] = map[string]any{"type": "string", "title": "Internal ID"}
	properties["links"] = map[string]any{"type": "array", "readOnly": true}
	for _, l := range t.lists {
		properties[l.name] = map[string]any{"type": "object", "properties": map[string]any{
			"items": map[string]any{"type": "array", "items": map[string]any{"type": "object", "properties": schemaOf(l.fields)}}}}
	}
	return map[string]any{"type": "object", "title": t.label, "x-ns-filterable": []string{}, "properties": properties}
}

func schemaOf(fields []*field) map[string]any {
	out := map[string]any{}
	for _, f := range fields {
		m := map[string]any{"title": f.label, "nullable": true}
		switch f.kind {
		case integer:
			m["type"], m["format"] = "integer", "int64"
		case decimal, money:
			m["type"], m["format"] = "number", "double"
		case flag:
			m["type"] = "boolean"
		case date:
			m["type"], m["format"] = "string", "date"
		case moment:
			m["type"], m["format"] = "string", "date-time"
		case group:
			m["type"], m["properties"] = "object", schemaOf(f.fields)
		case link, choice:
			m["type"] = "object"
			m["properties"] = schemaOf([]*field{{name: "id", label: "Internal identifier"}, {name: "externalId", label: "External identifier"}, {name: "refName", label: "Reference Name"}})
			if len(f.options) > 0 {
				var ids []string
				for _, o := range f.options {
					ids = append(ids, o.id)
				}
				m["properties"].(map[string]any)["id"].(map[string]any)["enum"] = ids
			}
		default:
			m["type"] = "string"
		}
		if f.readOnly {
			m["readOnly"] = true
		}
		if strings.HasPrefix(f.name, "cust") && strings.Contains(f.name, "_") {
			m["x-ns-custom-field"] = true
		}
		out[f.name] = m
	}
	return out
}
