package netsuitetest

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Media types of the record service.
const (
	mediaSingular   = "application/vnd.oracle.resource+json; type=singular"
	mediaCollection = "application/vnd.oracle.resource+json; type=collection"
	mediaError      = "application/vnd.oracle.resource+json; type=error"
)

// apiError is one refusal in the words of the REST API.
type apiError struct {
	status int
	title  string // empty: the words of the status
	code   string // o:errorCode
	detail string
	path   string // o:errorPath
	url    string // o:errorUrl
	header string // o:errorHeader
	param  string // o:errorQueryParam
	// topCode is the extra top-level o:errorCode that the documentation
	// shows on concurrency answers only.
	topCode  string
	location string
}

func (e *apiError) Error() string { return e.code + ": " + e.detail }

type errorDetail struct {
	Detail string `json:"detail"`
	URL    string `json:"o:errorUrl,omitempty"`
	Header string `json:"o:errorHeader,omitempty"`
	Param  string `json:"o:errorQueryParam,omitempty"`
	Path   string `json:"o:errorPath,omitempty"`
	Code   string `json:"o:errorCode"`
}

type errorBody struct {
	Type    string        `json:"type"`
	Title   string        `json:"title"`
	Status  int           `json:"status"`
	Details []errorDetail `json:"o:errorDetails"`
	Code    string        `json:"o:errorCode,omitempty"`
}

// reply writes the error as the API does. The type is the RFC 9110 form of
// newer accounts; the documentation still prints the RFC 2616 form.
func (e *apiError) reply() *reply {
	title := e.title
	if title == "" {
		title = http.StatusText(e.status)
	}
	body := errorBody{
		Type:   errorType(e.status),
		Title:  title,
		Status: e.status,
		Code:   e.topCode,
		Details: []errorDetail{{
			Detail: e.detail, Code: e.code, Path: e.path, URL: e.url, Header: e.header, Param: e.param,
		}},
	}
	r := jsonReply(e.status, mediaError, body)
	if e.location != "" {
		r.header.Set("Location", e.location)
	}
	return r
}

func errorType(status int) string {
	const base = "https://www.rfc-editor.org/rfc/rfc9110.html"
	switch {
	case status == http.StatusTooManyRequests:
		// RFC 9110 does not define 429; the documentation prints the base.
		return base
	case status >= 500 && status <= 505:
		return base + "#section-15.6." + strconv.Itoa(status-499)
	case status >= 400 && status <= 417:
		return base + "#section-15.5." + strconv.Itoa(status-399)
	}
	return base
}

func jsonReply(status int, media string, v any) *reply {
	b, err := json.Marshal(v)
	if err != nil {
		// Only values made by this package are marshalled.
		panic("netsuitetest: " + err.Error())
	}
	r := newReply(status)
	r.header.Set("Content-Type", media)
	r.body = b
	return r
}

func errLogin() *apiError {
	return &apiError{status: 401, code: "INVALID_LOGIN",
		detail: "Invalid login attempt. For more details, see the Login Audit Trail in the NetSuite UI at Setup > Users/Roles > User Management > View Login Audit Trail."}
}

func errConcurrency() *apiError {
	return &apiError{status: 429, title: "Bad Request", code: "CONCURRENCY_LIMIT_EXCEEDED",
		detail: "Concurrent request limit exceeded. Request blocked.", topCode: "USER_ERROR"}
}

func errNonexistent(c *call) *apiError {
	return &apiError{status: 404, code: "NONEXISTENT_ID", url: c.path,
		detail: "The record instance does not exist. Provide a valid record instance ID."}
}

func errInvalidID(c *call, id string) *apiError {
	return &apiError{status: 400, code: "INVALID_ID", url: c.path,
		detail: "Invalid record instance identifier '" + id + "'. Provide a valid record instance ID."}
}

// errUser is the catch-all business error.
func errUser(detail string) *apiError {
	return &apiError{status: 400, code: "USER_ERROR", detail: "Error while accessing a resource. " + detail}
}

func errDuplicate() *apiError { return errUser("This entity already exists.") }

func errMissing(labels string) *apiError { return errUser("Please enter value(s) for: " + labels) }

func errContent(path, detail string) *apiError {
	return &apiError{status: 400, code: "INVALID_CONTENT", path: path, detail: detail}
}

// errValue is the documented answer to a value that a field cannot hold.
func errValue(path, name, value string) *apiError {
	return errContent(path, "Error while accessing resource: You have entered an Invalid Field Value "+value+" for the following field: "+name)
}

func errRequest(c *call, detail string) *apiError {
	return &apiError{status: 400, code: "INVALID_REQUEST", url: c.path, detail: detail}
}

func errParam(name, detail string) *apiError {
	return &apiError{status: 400, code: "INVALID_PARAMETER", param: name, detail: detail}
}

func errHeader(name, detail string) *apiError {
	return &apiError{status: 400, code: "INVALID_HEADER", header: name, detail: detail}
}

func errMethod(c *call) *apiError {
	return &apiError{status: 405, code: "METHOD_NOT_ALLOWED", url: c.path,
		detail: "The method " + c.method + " is not allowed for this resource."}
}
