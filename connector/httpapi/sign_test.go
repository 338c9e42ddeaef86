package httpapi

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// The vector that the reference libraries of the specification are tested
// with.
func TestStandardWebhooksVector(t *testing.T) {
	t.Parallel()
	key, err := signingKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	(&signer{keys: [][]byte{key}}).sign(h, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	want := map[string]string{"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
		"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}
	for name, v := range want {
		if got := h.Get(name); got != v {
			t.Errorf("%s: %q, want %q", name, got, v)
		}
	}
}

func TestSigningKeys(t *testing.T) {
	t.Parallel()
	for _, bad := range []connector.Secret{"", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_canary!", "whsec_Y2FuYXJ5", "whsec_" + connector.Secret(fmt.Sprintf("%0100d", 0))} {
		if _, err := signingKey(bad); err == nil {
			t.Errorf("%q is taken for a secret", bad.Reveal())
		}
	}
}
