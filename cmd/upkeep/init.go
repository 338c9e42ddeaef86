package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/proposal"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type initCmd struct {
	Source string   `placeholder:"URL" help:"The database: postgres://user@host/database, or sqlite: and the path of a file. Default: $$DATABASE_URL."`
	Table  []string `sep:"none" placeholder:"NAME" help:"A root table, whose rows become records: orders or sales.orders. May be given again. Default: those that most others hang on."`
	Output string   `short:"o" placeholder:"FILE" help:"Where to write; - for standard output. Default: the configuration file."`
	Force  bool     `help:"Write over a file that is there."`
}

// Run proposes a configuration. It only reads the database's catalogue.
func (c *initCmd) Run(p *program) error {
	source, fromEnv := c.Source, false
	if source == "" {
		source, fromEnv = p.env("DATABASE_URL")
	}
	if source == "" {
		return usageError("say which database: upkeep init --source sqlite:shop.db, or set DATABASE_URL")
	}
	path := c.Output
	if path == "" {
		path = p.config
	}
	if _, err := os.Lstat(path); err == nil && path != "-" && !c.Force {
		return fmt.Errorf("%s is there already; name another file with -o, or write over it with --force", path)
	}
	db, err := setup.OpenSource(p.ctx, source)
	if err != nil {
		return err
	}
	defer db.Close()
	o := proposal.Options{Tables: c.Table}
	o.Source, o.SourceNotes = proposal.Source(source, fromEnv)
	made, err := proposal.Make(p.ctx, db, o)
	var unknown *proposal.UnknownTableError
	switch {
	case errors.As(err, &unknown):
		return usageError(err.Error())
	case errors.Is(err, proposal.ErrNothing):
		return fmt.Errorf("%w: %s has %s, none with a primary key that can name a record", err, db.Name(), count(made.Tables, "table"))
	case err != nil:
		return err
	}
	if path == "-" {
		_, err = fmt.Fprint(p.out, made.Text)
		return err
	}
	if err := writeFile(path, made.Text, c.Force); err != nil {
		return err
	}
	next := "upkeep check"
	if path != "upkeep.yaml" {
		next += " -c " + path
	}
	_, err = fmt.Fprintf(p.out, "Wrote %s: %s (%s) out of %s. Read it, then: %s\n", path, count(len(made.Syncs), "sync"), strings.Join(made.Syncs, ", "), count(made.Tables, "table"), next)
	return err
}

// writeFile writes over what is there only by force.
func writeFile(path, text string, force bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; name another file with -o, or write over it with --force", path)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
