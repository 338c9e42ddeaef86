package httpapi

import (
	"bytes"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
)

// A version that is delivered has a key of its own, which stays whatever the
// group's generation comes to be meanwhile.
func TestIdentityOfCommands(t *testing.T) {
	t.Parallel()
	of := func(command, generation int64) ident {
		return identity(updating, connector.Change{RemoteID: "7", Record: connector.Record{Type: "t", ExternalID: "x", Command: command, Generation: generation}})
	}
	if !bytes.Equal(of(3, 1), of(3, 2)) {
		t.Error("one version has two keys")
	}
	for _, other := range []ident{of(4, 1), of(0, 3), of(0, 1)} {
		if bytes.Equal(of(3, 1), other) {
			t.Error("two writes have one key")
		}
	}
	if bytes.Equal(of(0, 1), of(0, 2)) {
		t.Error("two generations have one key")
	}
}

// Generations and numbers come again in another registry.
func TestIdentityOfRegistries(t *testing.T) {
	t.Parallel()
	of := func(registry string, command int64) ident {
		return identity(creating, connector.Change{Record: connector.Record{Type: "t", ExternalID: "x", Generation: 1, Command: command, Registry: registry}})
	}
	for _, command := range []int64{0, 1} {
		if bytes.Equal(of("a", command), of("b", command)) || !bytes.Equal(of("a", command), of("a", command)) {
			t.Errorf("the keys of two registries, command %d", command)
		}
	}
}
