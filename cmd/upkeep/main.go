// Command upkeep keeps third-party systems up to date with a database, as a
// configuration file says. See upkeep --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/upkeep-sync/upkeep/internal/setup"
	"github.com/upkeep-sync/upkeep/internal/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the next one ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.LookupEnv, os.Stdin, os.Stdout, os.Stderr))
}

// Exit statuses.
const (
	statusOK     = 0
	statusFailed = 1 // problems were found, or the command failed
	statusUsage  = 2 // wrong usage or configuration
	statusToDo   = 3 // plan: there is something to do; run --once: for a person
)

const description = `Keeps third-party systems up to date with a database: some local rows together become one remote record.

To begin: upkeep demo shows it at work; upkeep init proposes a configuration, upkeep check examines it, upkeep run does the work. Then: upkeep status, and upkeep explain SYNC KEY says why a record is, or is not, at the remote.

Exit statuses: 0 all is well; 1 problems were found, or the command failed; 2 wrong usage or configuration; 3 there is something to do: of plan, or, of run --once and backfill, for a person, as groups are parked or held back by a pause, or, of run --once, wait for a record that is not there.`

// cli is the command line.
type cli struct {
	Config string `short:"c" placeholder:"FILE" help:"Configuration file. Default: $$UPKEEP_CONFIG, or else upkeep.yaml."`

	Init          initCmd          `cmd:"" help:"Look at a database and propose a configuration for it."`
	Check         checkCmd         `cmd:"" help:"Examine the configuration, the database and the remotes, and list all problems."`
	Plan          planCmd          `cmd:"" help:"Show what would be installed and sent for the configuration, and change nothing."`
	Apply         applyCmd         `cmd:"" help:"Install what the configuration needs; changed mappings are then sent by upkeep run."`
	Run           runCmd           `cmd:"" help:"Install what is missing and keep the remotes up to date."`
	Top           topCmd           `cmd:"" help:"Show how things go, live, until q is pressed; in a pipe, line by line."`
	Status        statusCmd        `cmd:"" help:"Show how things stand."`
	Explain       explainCmd       `cmd:"" help:"Show all that is known of one group, and why it is as it is."`
	Doctor        doctorCmd        `cmd:"" help:"Examine a system that is at work: capture, touch log, database, clocks, groups and remotes."`
	Verify        verifyCmd        `cmd:"" help:"Read the records back from the remotes and compare them with the database."`
	Audit         auditCmd         `cmd:"" help:"Check the change detection itself: render what is up to date again and find changes that were missed."`
	Pause         pauseCmd         `cmd:"" help:"Pause a remote or a sync until it is resumed; what changes meanwhile is not lost."`
	Resume        resumeCmd        `cmd:"" help:"End a pause; a remote whose breaker is open is probed at once."`
	Backfill      backfillCmd      `cmd:"" help:"Pass over all rows of a sync now, and send what differs; works beside upkeep run."`
	Resync        resyncCmd        `cmd:"" help:"Look at groups again and send the records that differ."`
	Retry         retryCmd         `cmd:"" help:"Let parked and waiting groups go again at once, and probe remotes whose breaker is open."`
	Skip          skipCmd          `cmd:"" help:"Leave out what the remote refuses of a parked group."`
	Deletes       deletesCmd       `cmd:"" help:"Show the deletes that are over a sync's limit and held back, and let them go."`
	Interventions interventionsCmd `cmd:"" help:"List what was done by hand, when and by whom."`
	Forget        forgetCmd        `cmd:"" help:"Erase what the registry has of one key whose row and record are gone."`
	Uninstall     uninstallCmd     `cmd:"" help:"Remove every trace of Upkeep from the database."`
	Sandbox       sandboxCmd       `cmd:"" help:"Start a stand-in for a remote on this machine."`
	Demo          demoCmd          `cmd:"" help:"Show Upkeep at work: a small shop in a database, and a NetSuite sandbox that follows it."`
	Completion    completionCmd    `cmd:"" help:"Print a script that lets bash, zsh or fish complete commands, flags and the names of syncs and remotes."`
	Complete      completeCmd      `cmd:"" hidden:""`
	Version       versionCmd       `cmd:"" help:"Show which build this is."`
}

// program is what a command has of the world.
type program struct {
	ctx    context.Context
	env    func(string) (string, bool)
	in     io.Reader
	out    io.Writer // results
	err    io.Writer // logs and progress
	config string    // path of the configuration file
}

// keysLast puts a key such as -5, which would be taken for a flag, behind all
// flags and a "--". A number after a flag that takes a value is that value.
func keysLast(top *kong.Node, args []string) []string {
	l := commandLine{node: top}
	for i, a := range args {
		switch {
		case a == "--":
			return args
		case len(a) < 2 || a[0] != '-' || a[1] < '0' || a[1] > '9':
		case l.waiting == nil:
			return append(slices.Concat(args[:i], args[i+1:]), "--", a)
		case strings.HasPrefix(args[i-1], "--"): // kong takes it for a flag, unless it is in the same word
			return keysLast(top, slices.Concat(args[:i-1], []string{args[i-1] + "=" + a}, args[i+1:]))
		}
		l.pass(a)
	}
	return args
}

// run is the whole program; it returns the exit status.
func run(ctx context.Context, args []string, env func(string) (string, bool), in io.Reader, out, errOut io.Writer) int {
	var c cli
	helped := false
	parser, err := kong.New(&c, kong.Name("upkeep"), kong.Description(description), kong.Writers(out, errOut),
		kong.Exit(func(int) { helped = true }), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		fmt.Fprintln(errOut, "upkeep:", err)
		return statusFailed
	}
	if len(args) == 1 && args[0] == "--version" { // as most programs have it
		args = []string{"version"}
	}
	asked := len(args) > 0
	if !asked {
		args = []string{"--help"}
	}
	k, err := guided(parser).Parse(keysLast(parser.Model.Node, args))
	if helped && asked {
		return statusOK
	}
	if helped {
		return statusUsage
	}
	if err != nil {
		about := "upkeep"
		var parsing *kong.ParseError
		if errors.As(err, &parsing) && parsing.Context.Selected() != nil {
			about = parsing.Context.Selected().FullPath()
		}
		if about == "upkeep explain" && strings.HasPrefix(err.Error(), "unexpected argument ") {
			err = fmt.Errorf("%w; a key of several columns is one word, with commas: 42,eu", err)
		}
		text := strings.ReplaceAll(err.Error(), `one of "",`, "one of ") // of a flag that may be left out
		fmt.Fprintf(errOut, "upkeep: %s\nSee: %s --help\n", text, about)
		return statusUsage
	}
	p := &program{ctx: ctx, env: env, in: in, out: out, err: errOut, config: c.Config}
	if p.config == "" {
		p.config = "upkeep.yaml"
		if v, ok := env("UPKEEP_CONFIG"); ok && v != "" {
			p.config = v
		}
	}
	return p.report(k.Run(p))
}

// errReported ends a command that has already said what is wrong.
var errReported = errors.New("problems were found")

// errPending ends a plan that has something in it, and a run --once that leaves
// something to a person.
var errPending = errors.New("there is something to do")

// usageError is an error of the command line that kong can't see.
type usageError string

func (e usageError) Error() string { return string(e) }

// report prints an error for a person and returns the exit status.
func (p *program) report(err error) int {
	var usage usageError
	var bad *setup.ConfigError
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, errReported):
		return statusFailed
	case errors.Is(err, errPending):
		return statusToDo
	case errors.Is(err, context.Canceled) && p.ctx.Err() != nil:
		fmt.Fprintln(p.err, "upkeep: interrupted")
	case errors.As(err, &usage):
		fmt.Fprintf(p.err, "upkeep: %s\n", usage)
		return statusUsage
	case errors.As(err, &bad):
		fmt.Fprintf(p.err, "upkeep: %s\n", strings.TrimSpace(bad.Error()))
		return statusUsage
	case errors.Is(err, store.ErrNotInstalled):
		fmt.Fprintf(p.err, "upkeep: Upkeep is not installed in this database, or is an older version; install it and begin with: upkeep run\n")
	case errors.Is(err, store.ErrRights):
		fmt.Fprintf(p.err, "upkeep: %s; let source name the role that installed Upkeep, which owns the schema upkeep and is a member of the tables' owner; upkeep check lists the rights that are missing\n", err)
	default:
		fmt.Fprintf(p.err, "upkeep: %s\n", err)
	}
	return statusFailed
}

// open opens all that the configuration file says.
func (p *program) open(o setup.Options) (*setup.Setup, error) {
	return setup.Open(p.ctx, p.options(o))
}

// openFor is open for a command about one sync, which must be there; empty: all
// of them.
func (p *program) openFor(sync string, o setup.Options) (*setup.Setup, error) {
	s, err := p.open(o)
	if err != nil {
		return nil, err
	}
	if err := s.Known(sync); err != nil {
		return nil, errors.Join(usageError(err.Error()), s.Close())
	}
	return s, nil
}

func (p *program) options(o setup.Options) setup.Options {
	o.Path, o.Env, o.Connectors = p.config, p.env, connectors()
	o.Engine.By = p.by()
	return o
}
