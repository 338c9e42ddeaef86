package metrics_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/metrics"
	"github.com/upkeep-sync/upkeep/sqlite"
)

// A program that has a registry of its own adds the engine to it.
func ExampleCollector() {
	engine, end := shopEngine()
	defer end()

	registry := prometheus.NewRegistry() // or prometheus.DefaultRegisterer
	registry.MustRegister(metrics.Collector(engine))

	families, err := registry.Gather()
	must(err)
	for _, f := range families {
		if f.GetName() != "upkeep_groups" {
			continue
		}
		for _, m := range f.GetMetric() {
			if n := m.GetGauge().GetValue(); n > 0 {
				fmt.Println(m.GetLabel()[0].GetValue(), m.GetLabel()[1].GetValue(), n)
			}
		}
	}
	// Output:
	// clean user 2
}

// A program that has no server of its own for it serves what upkeep run --listen
// does. This one has ended its Run, and says so.
func ExampleHandler() {
	engine, end := shopEngine()
	defer end()

	server := httptest.NewServer(metrics.Handler(engine)) // http.ListenAndServe("127.0.0.1:9090", ...)
	defer server.Close()

	for _, path := range []string{"/livez", "/readyz"} {
		answer, err := http.Get(server.URL + path)
		must(err)
		must(answer.Body.Close())
		fmt.Println(path, answer.StatusCode)
	}
	http.DefaultClient.CloseIdleConnections()
	// Output:
	// /livez 200
	// /readyz 503
}

// shopEngine is an engine that has brought the records of two users up to date.
func shopEngine() (engine *upkeep.Engine, end func()) {
	dir, err := os.MkdirTemp("", "metrics")
	must(err)
	app, err := sql.Open("sqlite", filepath.Join(dir, "shop.db"))
	must(err)
	_, err = app.Exec(`CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL); INSERT INTO users VALUES (1, 'Ada'), (2, 'Bob')`)
	must(err)
	must(app.Close())
	database, err := sqlite.Open(filepath.Join(dir, "shop.db"), sqlite.Config{})
	must(err)
	engine, err = upkeep.New(upkeep.Config{Database: database, Syncs: []upkeep.AnySync{user(&upkeep.Remote{Name: "crm", Connection: memory.New(memory.Config{}).Connect()})}})
	must(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	must(engine.Quiet(ctx, nil))
	stop()
	must(<-ended)
	return engine, func() {
		must(database.Close())
		must(os.RemoveAll(dir))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
