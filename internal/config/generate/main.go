// Command generate writes the reference of the configuration and its JSON
// Schema into docs. Run it in the module's root:
//
//	go run ./internal/config/generate
package main

import (
	"fmt"
	"os"

	"github.com/upkeep-sync/upkeep/internal/config"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run() error {
	page, err := config.Reference()
	if err != nil {
		return err
	}
	if err := os.WriteFile("docs/configuration.md", []byte(page), 0o644); err != nil {
		return err
	}
	return os.WriteFile("docs/upkeep.schema.json", config.Schema(), 0o644)
}
