package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// signer signs by the Standard Webhooks specification
// (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
type signer struct{ keys [][]byte }

func (c *compiler) signer() *signer {
	if c.config.Sign == nil {
		return nil
	}
	path := at{"sign", "standard_webhooks"}
	w := c.config.Sign.StandardWebhooks
	if w == nil {
		c.fail(at{"sign"}, "sign needs standard_webhooks, with its secret")
		return nil
	}
	out := &signer{}
	add := func(name string, s connector.Secret) {
		key, err := signingKey(s)
		if err != nil {
			c.fail(path.of(name), "sign.standard_webhooks.%s: %v", name, err)
		}
		out.keys = append(out.keys, key)
	}
	add("secret", w.Secret)
	if w.Previous != "" {
		add("previous", w.Previous)
	}
	return out
}

func signingKey(s connector.Secret) ([]byte, error) {
	text, ok := strings.CutPrefix(s.Reveal(), "whsec_")
	if !ok {
		return nil, errors.New("must be whsec_ and 24 to 64 random bytes in base64; to make one: echo whsec_$(openssl rand -base64 32)")
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("what follows whsec_ is not base64")
	}
	if len(key) < 24 || len(key) > 64 {
		return nil, errors.New("must have 24 to 64 bytes, has " + strconv.Itoa(len(key)))
	}
	return key, nil
}

// sign sets the headers for an attempt at a time. The id must not contain a
// dot, and body is what is sent, byte for byte.
func (s *signer) sign(h http.Header, id string, now time.Time, body []byte) {
	at := strconv.FormatInt(now.Unix(), 10)
	var signatures []string
	for _, key := range s.keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + at + "."))
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", at)
	h.Set("webhook-signature", strings.Join(signatures, " "))
}
