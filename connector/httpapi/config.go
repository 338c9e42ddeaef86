package httpapi

import (
	"net/http"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// Config describes an API. Texts and trees that are said to be templates hold
// placeholders, see the package's documentation. The zero value of each
// optional field is what its comment says.
type Config struct {
	// BaseURL is the scheme, the host and the path that all requests share.
	BaseURL string `yaml:"base_url"`
	// Headers go with every request. Their values are templates.
	Headers map[string]string `yaml:"headers,template"`
	// Auth is how to log in. Zero: not at all.
	Auth Auth `yaml:"auth"`
	// Sign signs every request. Nil: not.
	Sign *Sign `yaml:"sign"`
	// Errors says what answers mean that are no success.
	Errors Errors `yaml:"errors"`
	// RetryAfter names the header that says how long to wait, besides
	// Retry-After. Nil: there is none.
	RetryAfter *RetryAfter `yaml:"retry_after"`
	// Records are the requests of each record type; "*" is for every type that
	// is not named.
	Records map[string]Record `yaml:"records"`
	// Check is a request that changes nothing and that only a right login may
	// make, for upkeep check. Nil: nothing is asked.
	Check *Request `yaml:"check"`
	// Class is how a create can be repeated: upsert, lookup or blind. Empty:
	// upsert if every create is an upsert or an event, lookup if every other
	// one has a find, and blind otherwise.
	Class string `yaml:"class"`
	// Linger is how long changes may gather for the next batch. Zero: not.
	Linger time.Duration `yaml:"linger"`
	// PrivateNetwork lets the host's name lead to a private address. Otherwise
	// only public addresses are dialled, unless BaseURL is itself private.
	PrivateNetwork bool `yaml:"private_network"`

	// Clock is the time, for $timestamp, signatures and tokens. Nil: time.Now.
	Clock func() time.Time `yaml:"-"`
	// Transport sends requests. Nil: one of the connection's own, with the
	// system's certificate authorities and proxy settings.
	Transport http.RoundTripper `yaml:"-"`
}

// Auth is how to log in: one of the four.
type Auth struct {
	// Bearer is a token for the header Authorization (RFC 6750).
	Bearer connector.Secret `yaml:"bearer"`
	Basic  *Basic           `yaml:"basic"`
	APIKey *APIKey          `yaml:"api_key"`
	OAuth2 *OAuth2          `yaml:"oauth2"`
}

// Basic is a user and a password (RFC 7617).
type Basic struct {
	User     string           `yaml:"user"`
	Password connector.Secret `yaml:"password"`
}

// APIKey is a secret in a header or a parameter of the query: one of the two.
type APIKey struct {
	Header string           `yaml:"header"`
	Query  string           `yaml:"query"`
	Secret connector.Secret `yaml:"secret"`
}

// OAuth2 is the client credentials grant (RFC 6749, section 4.4).
type OAuth2 struct {
	// TokenURL is the token endpoint.
	TokenURL     string           `yaml:"token_url"`
	ClientID     string           `yaml:"client_id"`
	ClientSecret connector.Secret `yaml:"client_secret"`
	// Scope is sent along when it is not empty: scopes with spaces between.
	Scope string `yaml:"scope"`
	// Parameters are sent along too, such as an audience.
	Parameters map[string]string `yaml:"parameters"`
	// InBody sends id and secret in the body, for endpoints that do not take
	// them by Basic, which all should (RFC 6749, section 2.3.1).
	InBody bool `yaml:"in_body"`
}

// Sign is a way to sign requests.
type Sign struct {
	StandardWebhooks *StandardWebhooks `yaml:"standard_webhooks"`
}

// StandardWebhooks signs by the Standard Webhooks specification, version 1,
// with HMAC-SHA256.
type StandardWebhooks struct {
	// Secret is whsec_ and 24 to 64 bytes in base64.
	Secret connector.Secret `yaml:"secret"`
	// Previous is the secret before, while receivers change to the new one:
	// requests have a signature of each. Empty: none.
	Previous connector.Secret `yaml:"previous,optional"`
}

// RetryAfter is a header that says how long to wait.
type RetryAfter struct {
	Header string `yaml:"header"`
	// Unit is seconds (the default), milliseconds, or epoch: the Unix time in
	// seconds at which to go on.
	Unit string `yaml:"unit"`
}

// Record is how records of one type are made, changed and found.
type Record struct {
	// ID is where the remote's id is in an answer: a JSON pointer, location
	// (the last part of the header Location), or external_id, when the remote
	// knows the record by our key. Empty: /id.
	ID string `yaml:"id"`
	// Keys is a regular expression that the external ids must match that the
	// remote can be asked for; others are refused before anything is sent.
	// Empty: all can.
	Keys string `yaml:"keys"`
	// New is a JSON pointer to true in the answer of an upsert that made the
	// record. Empty: there is none.
	New string `yaml:"new"`
	// Clear is the text that clears a field, for remotes where null does not.
	Clear *string `yaml:"clear"`
	// Reference is a template of what stands in a field that refers to a record
	// of this type, with $id, $external_id and $type. Nil: $id.
	Reference any `yaml:"reference,template"`

	// Create makes a record, and may make a second one when repeated.
	Create *Request `yaml:"create"`
	// Upsert makes a record or updates the one that has the key. It stands for
	// Create, and for Update when there is none.
	Upsert *Request `yaml:"upsert"`
	Update *Request `yaml:"update"`
	Delete *Request `yaml:"delete"`
	// Event tells of creates, updates and deletes alike; it stands for all
	// three. The receiver knows the record by our key.
	Event *Request `yaml:"event"`
	Find  *Find    `yaml:"find"`
	Read  *Read    `yaml:"read"`
	Batch *Batch   `yaml:"batch"`
}

// Request is one kind of request.
type Request struct {
	// Method is POST for create and event, PUT for upsert, PATCH for update,
	// DELETE for delete, GET for find and read, unless it says otherwise.
	Method string `yaml:"method"`
	// Path is a template, below BaseURL; it begins with a slash.
	Path string `yaml:"path,template"`
	// Query are templates by the parameter's name.
	Query map[string]string `yaml:"query,template"`
	// Headers are templates by name; they win over those of Config.
	Headers map[string]string `yaml:"headers,template"`
	// Body is a template, a tree. Nil: there is none.
	Body any `yaml:"body,template"`
	// Content is how the body is encoded: json (the default) or form.
	Content string `yaml:"content"`
	// ID is Record.ID for this request's answer.
	ID string `yaml:"id"`
	// Success are the statuses of an answer that is a success. Nil: all of the
	// 200s.
	Success []int `yaml:"success"`
	// Answer is json, or any when the body of a success does not matter. Empty:
	// any for events, else json, which may be empty where nothing is read of it.
	Answer string `yaml:"answer"`
	// Rules come before those of Config.Errors.
	Rules []Rule `yaml:"rules"`
}

// Find looks a record up by its external id.
type Find struct {
	Request `yaml:",inline"`
	// List is a JSON pointer to the list of what was found. Empty: the answer
	// is the record, and none is a 404.
	List string `yaml:"list"`
	// Key is a JSON pointer, in an element of the list or in the record, to our
	// key: others are passed over. Empty: all that is found is taken to have it.
	Key string `yaml:"key"`
}

// Read reads a record back.
type Read struct {
	Request `yaml:",inline"`
	// Fields is a JSON pointer to the object with the record's fields. Empty:
	// the whole answer.
	Fields string `yaml:"fields"`
}

// Batch is how many changes go out in one request. It has a request for each
// of Create (or Upsert), Update and Delete that the record has; Update may be
// missing where Upsert stands for it.
type Batch struct {
	// Most changes in one request; 2 or more.
	Most   int           `yaml:"most"`
	Create *BatchRequest `yaml:"create"`
	Upsert *BatchRequest `yaml:"upsert"`
	Update *BatchRequest `yaml:"update"`
	Delete *BatchRequest `yaml:"delete"`
}

// BatchRequest is one request for many changes. $changes in its body is the
// list of them.
type BatchRequest struct {
	Request `yaml:",inline"`
	// Change is the template of each change, with the placeholders of a single
	// request.
	Change any `yaml:"change,template"`
	// Match is the template of what the answer's keys are compared with. Empty:
	// $external_id.
	Match string `yaml:"match,template"`
	// Results is where the answer tells what succeeded. Nil: the answer tells
	// failures only, and a change without one is applied. A create needs it for
	// the ids, an update one of Results and Failures.
	Results *Results `yaml:"results"`
	// Failures is where the answer tells what failed. Nil: it does not.
	Failures *Failures `yaml:"failures"`
}

// Results are the successes in a batch's answer.
type Results struct {
	// List is a JSON pointer to the list.
	List string `yaml:"list"`
	// Key is a JSON pointer in an element to what Match makes.
	Key string `yaml:"key"`
	// ByPosition: the remote promises that results are in the order of the
	// changes, one for each. Then there is no Key.
	ByPosition bool `yaml:"by_position"`
	// ID is a JSON pointer in an element to the record's id. Empty: /id.
	ID string `yaml:"id"`
	// Failed is a JSON pointer in an element to what is there (and not null,
	// false or an empty text) only of a change that failed; such an element is
	// read as Failures say. Empty: elements are successes.
	Failed string `yaml:"failed"`
}

// Failures are the refusals of single changes in a batch's answer.
type Failures struct {
	// List is a JSON pointer to the list. It may be missing when nothing failed.
	List string `yaml:"list"`
	// Key is a JSON pointer in an element to what Match makes, or to a list of
	// such.
	Key string `yaml:"key"`
	// Code and Message are JSON pointers in an element. Empty: as in
	// Config.Errors.
	Code    string `yaml:"code"`
	Message string `yaml:"message"`
}

// Errors says where an error answer has its code and words, and what it means.
type Errors struct {
	// Code is a JSON pointer to the remote's own code. Empty: there is none.
	Code string `yaml:"code"`
	// Message is a JSON pointer to the remote's words. Empty: they are looked
	// for in the usual places.
	Message string `yaml:"message"`
	// Rules are tried in order, the first that fits counts.
	Rules []Rule `yaml:"rules"`
}

// Rule says what an answer means. All that it names must fit. A rule without
// Status is for answers that are no success.
type Rule struct {
	// Status is one of these.
	Status []int `yaml:"status"`
	// Code is one of these.
	Code []string `yaml:"code"`
	// Says: the remote's words hold this, whatever the case.
	Says string `yaml:"says"`
	// At is a JSON pointer in the body, or Header the name of a header, with
	// this Value (a text; empty: anything but nothing).
	At     string `yaml:"at"`
	Header string `yaml:"header"`
	Value  string `yaml:"value"`
	// On are the requests that it is for: create, update, delete, find, read.
	// Nil: all.
	On []string `yaml:"on"`
	// Is what it means: success, unknown, unavailable, rate_limited,
	// unauthorized, busy, rejected, not_found or exists.
	Is string `yaml:"is"`
}
