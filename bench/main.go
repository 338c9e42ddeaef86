// Command bench measures what Upkeep costs the application and how much it
// carries, on a PostgreSQL server of its own, and prints one table.
//
//	go run ./bench -quick             all rows, in about two minutes
//	go run ./bench -run 'bulk|drain'  some rows
//
// What is compared is measured side by side in one run, in turns, and what is
// printed are medians. The engine runs in processes of their own. See
// docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if len(os.Args) == 2 && os.Args[1] == followArg {
		err = follow(context.Background(), os.Stdin, os.Stdout) // its parent says when it ends
	} else {
		err = bench(ctx, os.Args[1:])
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// row is a line of the table, or some that are measured together.
type row struct {
	name    string
	measure func(*place) ([]result, error)
}

// result is a line of the table.
type result struct {
	what, aim, measured, detail string
}

// rows are all that is measured.
func rows() []row {
	return []row{
		{"app", (*place).application},
		{"hot", (*place).hot},
		{"paced", (*place).paced},
		{"fold", (*place).fold},
		{"calls", (*place).calls},
		{"bulk", (*place).bulk},
		{"drain", (*place).drain},
		{"latency", (*place).latency},
		{"burst", (*place).burst},
		{"connectors", (*place).connectors},
		{"idle", (*place).idle},
		{"memory", (*place).memory},
		{"processes", (*place).processes},
		{"fanout", (*place).fanout},
	}
}

func bench(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	run := flags.String("run", "", "measure only the rows whose name this `regexp` matches")
	ways := flags.String("ways", "", "of the rows app and hot, measure only the ways whose name this `regexp` matches")
	short := flags.Bool("quick", false, "smaller sizes, about two minutes in all")
	turns := flags.Int("turns", 0, "measure what is compared so many times in turns (3)")
	each := flags.Duration("each", 0, "in the rows app and hot, let the clients run for so long each time (6s; with -quick 1s)")
	list := flags.Bool("list", false, "list the rows' names")
	profiles := flags.String("profile", "", "write a CPU profile of each follower to this `folder`")
	statements := flags.Bool("statements", false, "after each row, and each way that is compared, print what took most of the database's time (needs pg_stat_statements)")
	stages := flags.Bool("stages", false, "give followers connections of their own for each stage, and tell what each costs")
	var extra []string
	flags.Func("setting", "a `line` for the server's postgresql.conf; may be repeated", func(l string) error {
		extra = append(extra, l)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	pick, err := regexp.Compile(*run)
	if err != nil {
		return err
	}
	if *list {
		for _, r := range rows() {
			fmt.Println(r.name)
		}
		return nil
	}
	p := &place{ctx: ctx, size: full, progress: os.Stderr, profiles: *profiles, shops: map[string]*shop{}}
	if *short {
		p.size = quick
	}
	if *turns > 0 {
		p.size.repeats = *turns
	}
	if *each > 0 {
		p.size.load = *each
	}
	p.apart = *stages
	if p.ways, err = regexp.Compile(*ways); err != nil {
		return err
	}
	if p.self, err = os.Executable(); err != nil {
		return err
	}
	// As a server is set up that is to keep its data.
	settings := []string{"fsync = on", "full_page_writes = on", "wal_level = replica", "shared_buffers = 512MB",
		"max_wal_size = 4GB", "checkpoint_timeout = 15min"}
	if *profiles != "" {
		if err := os.MkdirAll(*profiles, 0o755); err != nil {
			return err
		}
	}
	if p.statements = *statements; p.statements {
		settings = append(settings, "shared_preload_libraries = pg_stat_statements", "pg_stat_statements.track = all")
	}
	p.server, err = pgtest.Open(append(settings, extra...)...)
	if err != nil {
		return err
	}
	defer p.close()
	if p.statements {
		if err := p.countStatements(); err != nil {
			return err
		}
	}
	return p.table(os.Stdout, pick)
}

// table measures the rows and prints each as it comes.
func (p *place) table(out io.Writer, pick *regexp.Regexp) error {
	began := time.Now()
	fmt.Fprintf(out, "%s/%s, %d cores, %s\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	var all []result
	var failed error
	for _, r := range rows() {
		if !pick.MatchString(r.name) || p.ctx.Err() != nil {
			continue
		}
		p.row, p.followers = r.name, 0
		started := time.Now()
		lines, err := r.measure(p)
		fmt.Fprintf(p.progress, "\r\033[K")
		for _, l := range lines {
			fmt.Fprintf(p.progress, "%s: %s: %s (%s)\n", r.name, l.what, l.measured, l.detail)
		}
		fmt.Fprintf(p.progress, "%s took %.1f s\n", r.name, time.Since(started).Seconds())
		all = append(all, lines...)
		err = errors.Join(err, p.printStatements())
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", r.name, err))
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintf(w, "| what\t| aim\t| measured\t| details\t|\n|---\t|---\t|---\t|---\t|\n")
	for _, l := range all {
		fmt.Fprintf(w, "| %s\t| %s\t| %s\t| %s\t|\n", l.what, l.aim, l.measured, l.detail)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nmeasured in %s\n", time.Since(began).Round(time.Second))
	return failed
}
