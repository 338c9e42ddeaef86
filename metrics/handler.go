package metrics

import (
	"fmt"
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/upkeep-sync/upkeep"
)

// Handler serves what upkeep run --listen does:
//
//   - /metrics: those of [Collector], of the Go runtime and of the process, in
//     Prometheus's exposition format.
//   - /livez: 200 while the process answers. It is for what restarts a process:
//     it does not look at the database, since a restart mends none.
//   - /readyz: 200 while Engine.Ready is nil, else 503 with its reason on one line.
//
// There is no authentication in it.
func Handler(e *upkeep.Engine) http.Handler {
	return newHandler(Collector(e), e.Ready)
}

func newHandler(c prometheus.Collector, ready func() error) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			say(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		say(w, http.StatusOK, "ok")
	})
	return mux
}

// say answers with one line of text.
func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, fmt.Sprintln(text)) // who asked may have gone
}
