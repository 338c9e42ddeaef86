package upkeep

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"

	"github.com/upkeep-sync/upkeep/connector"
)

// digests are keyed hashes of what the remote acknowledged, a field at a
// time: enough to skip what is equal, to send only what changed and to name a
// field that drifted. The values themselves are not kept anywhere.
type digests struct {
	Fields map[string][]byte `json:"f"`
	// Ended is set when the record was brought to its end (fields set,
	// because the row was deleted or no longer passes when).
	Ended bool `json:"e,omitempty"`
	// Doubt is the epoch of the last claim that was recorded in a doubt of which
	// all is known that its calls sent: Fields lacks those fields. Zero: there is
	// none such. See [job.traced].
	Doubt int64 `json:"d,omitempty"`
	// Left are fields whose digests are of what a person has left out, and not of
	// what the remote has; sorted. Stays is the same of a delete. See [Engine.Skip].
	Left  []string `json:"l,omitempty"`
	Stays bool     `json:"s,omitempty"`
}

// digestSize is in bytes. Two values of one field collide with odds of 2^-64.
const digestSize = 8

func digestOf(secret []byte, f connector.Fields, ended bool) digests {
	d := digests{Fields: make(map[string][]byte, len(f)), Ended: ended}
	for name, value := range f {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(name))
		mac.Write([]byte{0})
		mac.Write(value)
		d.Fields[name] = mac.Sum(nil)[:digestSize]
	}
	return d
}

func parseDigests(b []byte) (digests, bool) {
	var d digests
	if len(b) == 0 || json.Unmarshal(b, &d) != nil {
		return digests{}, false
	}
	return d, true
}

func (d digests) bytes() []byte {
	b, err := json.Marshal(d)
	if err != nil { // maps of bytes always encode
		panic(err)
	}
	return b
}

// changed lists, sorted, the fields whose digest differs from the acknowledged
// one. A field that is no longer sent is left alone at the remote, and so is
// no change.
func (d digests) changed(acknowledged digests) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(d.Fields)) {
		if !hmac.Equal(d.Fields[name], acknowledged.Fields[name]) {
			names = append(names, name)
		}
	}
	return names
}

// only picks the named fields.
func only(f connector.Fields, names []string) connector.Fields {
	out := make(connector.Fields, len(names))
	for _, n := range names {
		out[n] = f[n]
	}
	return out
}
