package httpapitest

import (
	"net/http"
)

// Plain is a JSON API of the usual form, for records of any type:
//
//	PUT    /v1/{type}/keys/{key}   makes or changes the record with the key
//	GET    /v1/{type}/keys/{key}
//	POST   /v1/{type}              makes a record, whose key is the member "key"
//	GET    /v1/{type}?key=KEY      lists those with the key
//	GET, PATCH, DELETE /v1/{type}/{id}
//	POST   /v1/{type}/batch        {"items": [{"key", "fields"}]}: results in the same order
//	POST   /oauth/token            client credentials
//
// It wants the header Authorization: Bearer with [Token].
type Plain struct {
	*store
	mux *http.ServeMux
}

// Credentials of the stand-ins.
const (
	Token        = "canary-token-4f1c"
	ClientID     = "client-1"
	ClientSecret = "canary-secret-77ab"
)

// NewPlain makes an empty one.
func NewPlain() *Plain {
	p := &Plain{store: newStore(), mux: http.NewServeMux()}
	p.counted(p.mux, "PUT /v1/{type}/keys/{key}", p.upsert)
	p.counted(p.mux, "GET /v1/{type}/keys/{key}", p.byKeyPath)
	p.counted(p.mux, "POST /v1/{type}", p.create)
	p.counted(p.mux, "GET /v1/{type}", p.list)
	p.counted(p.mux, "GET /v1/{type}/{id}", p.one)
	p.counted(p.mux, "PATCH /v1/{type}/{id}", p.one)
	p.counted(p.mux, "DELETE /v1/{type}/{id}", p.one)
	p.counted(p.mux, "POST /v1/{type}/batch", p.batch)
	p.counted(p.mux, "POST /oauth/token", p.token)
	return p
}

// ServeHTTP answers as the API.
func (p *Plain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/oauth/token" && r.Header.Get("Authorization") != "Bearer "+Token {
		PlainError(w, http.StatusUnauthorized, "unauthorized", "not with "+r.Header.Get("Authorization"))
		return
	}
	p.mux.ServeHTTP(w, r)
}

// PlainError writes an error in the API's form.
func PlainError(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, object{"error": object{"code": code, "message": message}})
}

func (p *Plain) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if id != ClientID || secret != ClientSecret || r.FormValue("grant_type") != "client_credentials" {
		answer(w, http.StatusUnauthorized, object{"error": "invalid_client"})
		return
	}
	answer(w, http.StatusOK, object{"access_token": Token, "token_type": "Bearer", "expires_in": 3600})
}

func (p *Plain) shown(r *Record) object {
	return object{"id": r.ID, "key": r.Key, "fields": r.Fields}
}

// set lays fields over the record's; null clears.
func (r *Record) set(fields map[string]any) {
	for name, v := range fields {
		r.Fields[name] = v
		if v == nil {
			delete(r.Fields, name)
		}
	}
}

func (p *Plain) upsert(w http.ResponseWriter, r *http.Request) {
	var in map[string]any
	if !decode(r, &in) {
		PlainError(w, http.StatusBadRequest, "bad_json", "the body is not JSON")
		return
	}
	rec, status := p.byKey(r.PathValue("type"), r.PathValue("key")), http.StatusOK
	if rec == nil {
		rec, status = p.insert(r.PathValue("type"), r.PathValue("key"), ""), http.StatusCreated
	}
	rec.set(in)
	answer(w, status, p.shown(rec))
}

func (p *Plain) byKeyPath(w http.ResponseWriter, r *http.Request) {
	if rec := p.byKey(r.PathValue("type"), r.PathValue("key")); rec != nil {
		answer(w, http.StatusOK, p.shown(rec))
		return
	}
	PlainError(w, http.StatusNotFound, "not_found", "there is no such record")
}

func (p *Plain) create(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Key    string         `json:"key"`
		Fields map[string]any `json:"fields"`
	}
	if !decode(r, &in) {
		PlainError(w, http.StatusBadRequest, "bad_json", "the body is not JSON")
		return
	}
	rec := p.insert(r.PathValue("type"), in.Key, "")
	rec.set(in.Fields)
	w.Header().Set("Location", "/v1/"+rec.Type+"/"+rec.ID)
	answer(w, http.StatusCreated, p.shown(rec))
}

func (p *Plain) list(w http.ResponseWriter, r *http.Request) {
	found := []object{}
	for _, rec := range p.sorted() {
		if rec.Type == r.PathValue("type") && rec.Key == r.URL.Query().Get("key") {
			found = append(found, p.shown(rec))
		}
	}
	answer(w, http.StatusOK, object{"data": found})
}

func (p *Plain) one(w http.ResponseWriter, r *http.Request) {
	rec := p.records[r.PathValue("id")]
	if rec == nil || rec.Type != r.PathValue("type") {
		PlainError(w, http.StatusNotFound, "not_found", "there is no such record")
		return
	}
	switch r.Method {
	case http.MethodPatch:
		var in map[string]any
		if !decode(r, &in) {
			PlainError(w, http.StatusBadRequest, "bad_json", "the body is not JSON")
			return
		}
		rec.set(in)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodDelete:
		delete(p.records, rec.ID)
		w.WriteHeader(http.StatusNoContent)
	default:
		answer(w, http.StatusOK, p.shown(rec))
	}
}

// batch answers in the order of the items; one with the field "poison" fails.
func (p *Plain) batch(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Items []struct {
			ID     string         `json:"id"`
			Key    string         `json:"key"`
			Delete bool           `json:"delete"`
			Fields map[string]any `json:"fields"`
		} `json:"items"`
	}
	if !decode(r, &in) {
		PlainError(w, http.StatusBadRequest, "bad_json", "the body is not JSON")
		return
	}
	results := []object{}
	for _, item := range in.Items {
		rec := p.byKey(r.PathValue("type"), item.Key)
		if item.ID != "" {
			rec = p.records[item.ID]
		}
		switch {
		case item.Fields["poison"] != nil:
			results = append(results, object{"error": object{"code": "invalid", "message": "poison is not a field"}})
			continue
		case rec == nil && item.ID != "":
			results = append(results, object{"error": object{"code": "not_found", "message": "there is no such record"}})
			continue
		case item.Delete:
			delete(p.records, rec.ID)
		case rec == nil:
			rec = p.insert(r.PathValue("type"), item.Key, "")
			fallthrough
		default:
			rec.set(item.Fields)
		}
		results = append(results, p.shown(rec))
	}
	answer(w, http.StatusOK, object{"results": results})
}
