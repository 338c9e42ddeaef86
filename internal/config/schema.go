package config

import (
	_ "embed" // for the schema
	"slices"
)

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (draft 7) of a configuration file, for editors.
// A connector's own keys are open in it: they are checked by [File.Open].
func Schema() []byte { return slices.Clone(schema) }
