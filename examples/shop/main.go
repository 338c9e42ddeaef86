// Command shop is a small application with Upkeep inside: it keeps the
// customers and sales orders of a NetSuite account up to date with a SQLite
// database. The account is a sandbox in this process.
package main

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/sqlite"
)

//go:embed schema.sql
var schema string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := run(ctx, os.Stdout, log); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// run makes everything, and follows the application until it has ended.
func run(ctx context.Context, out io.Writer, log *slog.Logger) (err error) {
	folder, err := os.MkdirTemp("", "shop")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	path := filepath.Join(folder, "shop.db")

	// The application's own connection. It waits for other writers.
	app, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		return err
	}
	defer app.Close()
	if _, err := app.ExecContext(ctx, schema); err != nil {
		return err
	}

	database, err := sqlite.Open(path, sqlite.Config{})
	if err != nil {
		return err
	}
	defer database.Close()
	account, err := openSandbox()
	if err != nil {
		return err
	}
	defer account.close()

	netsuite := &upkeep.Remote{Name: "netsuite", Connection: account.connection}
	engine, err := upkeep.New(upkeep.Config{Database: database, Syncs: syncs(netsuite), Logger: log})
	if err != nil {
		return err
	}
	findings, err := engine.Check(ctx)
	if err != nil {
		return err
	}
	for _, f := range findings {
		if f.Severity == upkeep.Problem {
			return fmt.Errorf("%s: %s", f.Subject, f.Message)
		}
	}

	// Beside the rest of a program, Run is one more thing that runs until the
	// context ends.
	ctx, stop := context.WithCancel(ctx)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return engine.Run(ctx) })
	g.Go(func() error {
		defer stop()
		return day(ctx, out, app, engine, account)
	})
	return g.Wait()
}
