package main

import (
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/httpapi"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/connector/netsuite"
	"github.com/upkeep-sync/upkeep/connector/salesforce"
	"github.com/upkeep-sync/upkeep/connector/warehouse"
	"github.com/upkeep-sync/upkeep/internal/config"
)

// connectors are those that a configuration may name. A new one is one line
// here.
func connectors() config.Connectors {
	return config.Connectors{
		"netsuite":   config.Opens(netsuite.Open),
		"salesforce": config.Opens(salesforce.Open),
		"warehouse":  config.Opens(warehouse.Open),
		"http":       config.Opens(httpapi.Open), // any JSON API, described in the configuration
		// For trying things out: its records live and die with the process.
		"memory": config.Opens(func(struct{}) (connector.Connection, error) { return memory.New(memory.Config{}).Connect(), nil }),
	}
}
