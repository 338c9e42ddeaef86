package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

// door is where a run is asked how it does. The zero one is shut: nobody asked
// for it.
type door struct {
	listener net.Listener
	server   *http.Server
}

// listenOn opens a door at an address; empty: none.
func listenOn(ctx context.Context, address string) (*door, error) {
	if address == "" {
		return &door{}, nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, usageError(fmt.Sprintf("--listen takes HOST:PORT, such as 127.0.0.1:9090, or :9090 for every address of this machine; not %q", address))
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("--listen %s: another program listens there, perhaps another upkeep run: give each its own port", address)
	case err != nil:
		return nil, fmt.Errorf("--listen %s: %w", address, err)
	}
	return &door{listener: l, server: &http.Server{ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 14}}, nil
}

// serve answers until close.
func (d *door) serve(h http.Handler, log *slog.Logger) error {
	if d.server == nil {
		return nil
	}
	log.Info("metrics and probes are served", "address", d.listener.Addr().String())
	d.server.Handler = h
	d.server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	if err := d.server.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the metrics: %w", err)
	}
	return nil
}

// close ends serve, soon: a scrape that is under way may end.
func (d *door) close() {
	if d.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if d.server.Shutdown(ctx) != nil {
		_ = d.server.Close()
	}
	_ = d.listener.Close() // if it was never served
}
