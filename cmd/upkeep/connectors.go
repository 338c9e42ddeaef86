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
		"netsuite": {New: func(decode func(any) error) (connector.Connection, error) {
			var c netsuite.Config
			if err := decode(&c); err != nil {
				return nil, err
			}
			return netsuite.Open(c)
		}},
		"salesforce": {New: func(decode func(any) error) (connector.Connection, error) {
			var c salesforce.Config
			if err := decode(&c); err != nil {
				return nil, err
			}
			return salesforce.Open(c)
		}},
		// Any JSON API, described in the configuration.
		"http": {New: func(decode func(any) error) (connector.Connection, error) {
			var c httpapi.Config
			if err := decode(&c); err != nil {
				return nil, err
			}
			return httpapi.Open(c)
		}},
		"warehouse": {New: func(decode func(any) error) (connector.Connection, error) {
			var c warehouse.Config
			if err := decode(&c); err != nil {
				return nil, err
			}
			return warehouse.Open(c)
		}},
		// For trying things out: its records live and die with the process.
		"memory": {New: func(decode func(any) error) (connector.Connection, error) {
			if err := decode(&struct{}{}); err != nil {
				return nil, err
			}
			return memory.New(memory.Config{}).Connect(), nil
		}},
	}
}
