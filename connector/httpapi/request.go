package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// message is a request as it goes out.
type message struct {
	method  string
	path    string // below the base, escaped
	query   url.Values
	headers http.Header
	body    []byte // nil: none
	content string
	id      string // of a signed one
}

// rejected is a request that can't be made of this record.
func rejected(err error) *connector.Error {
	return &connector.Error{Kind: connector.Rejected, Message: "the request can't be made", Err: err}
}

// do makes one attempt. Any answer that is no success is an error.
func (c *Connection) do(ctx context.Context, q *request, s scope, of ident) (*answer, *connector.Error) {
	m, err := c.message(q, s, of)
	if err != nil {
		return nil, rejected(err)
	}
	var got *exchange.Answer
	var fail *connector.Error
	used := ""
	if c.tokens != nil {
		got, fail = c.tokens.Authorized(ctx, func(ctx context.Context, token string) (*http.Request, error) {
			used = token
			return c.newRequest(ctx, m, token)
		})
	} else {
		got, fail = c.client.Do(ctx, func(ctx context.Context) (*http.Request, error) { return c.newRequest(ctx, m, "") })
	}
	if fail != nil {
		return nil, fail
	}
	a := c.read(got)
	if fail := c.judge(q, a); fail != nil {
		if used != "" { // a remote may say which token it refuses
			fail.Message, fail.Code = strings.ReplaceAll(fail.Message, used, "***"), strings.ReplaceAll(fail.Code, used, "***")
		}
		return nil, fail
	}
	return a, nil
}

// message renders a request.
func (c *Connection) message(q *request, s scope, of ident) (*message, error) {
	m := &message{method: q.method, headers: http.Header{}, query: url.Values{}, id: of.message(s)}
	var err error
	if m.path, err = renderPath(q.path, s); err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	if q.body != nil {
		tree, err := q.body.tree(s)
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		if q.form {
			m.content = "application/x-www-form-urlencoded"
			m.body, err = encodeForm(tree)
		} else {
			m.content = "application/json"
			m.body, err = encodeJSON(tree)
		}
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	s = maps.Clone(s)
	s[idempotencyKey] = of.key(m)
	for _, p := range q.query {
		v, err := p.value.render(s, nil)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("query %s: %w", p.name, err)
		}
		m.query.Set(p.name, v)
	}
	for _, p := range q.headers {
		v, err := p.value.render(s, nil)
		if err == nil && strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			err = errors.New("a header can't hold a line break or another control character")
		}
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", p.name, err)
		}
		m.headers.Set(p.name, v)
	}
	return m, nil
}

// renderPath escapes values, so that none can leave its segment or make it
// another one.
func renderPath(t text, s scope) (string, error) {
	path, err := t.render(s, func(v string) (string, error) {
		if v == "" {
			return "", errors.New("is empty, and can't be in a path")
		}
		return url.PathEscape(v), nil
	})
	if err != nil {
		return "", err
	}
	for _, segment := range strings.Split(path, "/") {
		if segment == "." || segment == ".." {
			return "", errors.New("a part of it would be . or .., which leads elsewhere")
		}
	}
	return path, nil
}

func (c *Connection) newRequest(ctx context.Context, m *message, token string) (*http.Request, error) {
	query := m.query
	if k := c.auth.APIKey; k != nil && k.Query != "" {
		query = maps.Clone(m.query)
		query.Set(k.Query, k.Secret.Reveal())
	}
	address := c.base + m.path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, m.method, address, bytes.NewReader(m.body))
	if err != nil {
		return nil, err
	}
	if m.body == nil {
		r.Body, r.GetBody, r.ContentLength = nil, nil, 0
	} else {
		r.Header.Set("Content-Type", m.content)
	}
	r.Header.Set("Accept", "application/json")
	for name, v := range m.headers {
		r.Header[name] = v
	}
	switch a := c.auth; {
	case token != "":
		r.Header.Set("Authorization", "Bearer "+token)
	case a.Bearer != "":
		r.Header.Set("Authorization", "Bearer "+a.Bearer.Reveal())
	case a.Basic != nil:
		r.SetBasicAuth(a.Basic.User, a.Basic.Password.Reveal())
	case a.APIKey != nil && a.APIKey.Header != "":
		r.Header.Set(a.APIKey.Header, a.APIKey.Secret.Reveal())
	}
	if c.signer != nil {
		c.signer.sign(r.Header, m.id, c.clock(), m.body)
	}
	return r, nil
}

// scopeOf is what the placeholders of a call stand for.
func (c *Connection) scopeOf(r *recordAPI, v verb, rec connector.Record, id string) scope {
	s := scope{recordType: rec.Type, action: v.String(), event: v.past(), version: rec.Version, generation: rec.Generation, command: rec.Command, registry: rec.Registry,
		timestamp: c.clock().UTC().Format(time.RFC3339)}
	if rec.ExternalID != "" {
		s[externalID] = rec.ExternalID
	} else if r.external && id != "" {
		s[externalID] = id
	}
	if id != "" {
		s[remoteID] = id
	}
	all := make(map[string]any, len(rec.Fields))
	for name, v := range rec.Fields {
		if r.clear != nil && string(v) == "null" {
			all[name] = *r.clear
			continue
		}
		all[name] = v
	}
	s[fields] = all
	return s
}

// ident says which write a request is of, for keys that are the same when it
// is repeated and differ for any other.
type ident []byte

// identity is that of changes, by the records' types, keys and generations, or
// the numbers of their commands, and the registry that counts these.
func identity(v verb, all ...connector.Change) ident {
	id := sized(nil, v.String())
	for _, x := range all {
		id = sized(id, x.Record.Type)
		id = sized(id, x.Record.ExternalID)
		id = sized(id, x.RemoteID)
		id = sized(id, x.Record.Registry)
		id = binary.BigEndian.AppendUint64(id, uint64(x.Record.Command))
		if x.Record.Command == 0 {
			id = binary.BigEndian.AppendUint64(id, uint64(x.Record.Generation))
		}
	}
	return id
}

// sized appends a text with its length, so that no two lists run together.
func sized(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(len(s))), s...)
}

// key is $idempotency_key, of what is sent, byte for byte.
func (id ident) key(m *message) string {
	b := sized(sized(sized(bytes.Clone(id), m.method), m.path), string(m.body))
	sum := sha256.Sum256(b)
	return "upkeep-" + hex.EncodeToString(sum[:20])
}

// message is the id of a signed request: of the fields that it tells, not of
// its bytes, which may have the time in them. It contains no dot.
func (id ident) message(s scope) string {
	told, err := encodeJSON(s[fields])
	if err != nil {
		told = nil // the body can't be made either
	}
	sum := sha256.Sum256(sized(bytes.Clone(id), string(told)))
	return "msg_" + hex.EncodeToString(sum[:16])
}
