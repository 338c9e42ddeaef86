package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/postgres"
)

// following is what a follower, a process that runs the engine, is told.
type following struct {
	URL         string
	Kind        string // byFlag or byJobs: what is written by hand; byList: articles; empty: orders
	Memory      bool   // connector/memory as the remote, instead of the sink
	Latency     time.Duration
	Concurrency int
	Remember    bool // count repeats
	Log         bool // keep the arrivals
	Profile     string
	Stages      bool // a pool for each stage, so that their cost can be told apart
}

// figures are what a follower knows of itself.
type figures struct {
	Calls    int
	Repeats  int
	CPU      time.Duration
	Resident int64 // bytes now
	Peak     int64 // bytes at most
	Arrivals []arrival
}

// order is the composite of all rows: an order with its billing info and its
// lines.
type order struct {
	ID      int64    `db:"id,key"`
	UserID  int64    `db:"user_id"`
	State   string   `db:"state"`
	RefNo   string   `db:"ref_no"`
	Billing *billing `has_one:"billing_infos.order_id"`
	Lines   []line   `has_many:"line_items.order_id" order:"id"`
}

type billing struct {
	VAT string `db:"vat"`
}

type line struct {
	SKU    string          `db:"sku"`
	Qty    int64           `db:"qty"`
	Price  decimal.Decimal `db:"price"`
	Change int64           `db:"change"`
}

func salesOrder(to *upkeep.Remote) upkeep.Sync[order] {
	return upkeep.Sync[order]{
		Name: "sales_order", Table: "orders", To: to, Record: "salesOrder",
		When: func(o order) bool { return o.State != "draft" },
		Translate: func(o order) (upkeep.Fields, error) {
			lines := make([]upkeep.Fields, len(o.Lines))
			for i, l := range o.Lines {
				lines[i] = upkeep.Fields{"item": l.SKU, "quantity": l.Qty, "rate": l.Price, "change": l.Change}
			}
			f := upkeep.Fields{"entity": o.UserID, "otherRefNum": o.RefNo, "item": lines}
			if o.Billing != nil {
				f["memo"] = o.Billing.VAT
			}
			return f, nil
		},
	}
}

// follow runs the engine until standard input ends, and answers each line that
// comes there with its figures.
func follow(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	var f following
	if !lines.Scan() {
		return io.ErrUnexpectedEOF
	}
	if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
		return err
	}
	if f.Profile != "" {
		file, err := os.Create(f.Profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	run, read := f.followByHand, func(*figures) {}
	if f.Kind == "" || f.Kind == byList {
		db, err := postgres.Open(ctx, f.URL)
		if err != nil {
			return err
		}
		defer db.Close()
		var remote connector.Connection
		remote, read = f.remote()
		var on upkeep.Database = db
		if f.Stages {
			if on, err = apart(ctx, f.URL, db); err != nil {
				return err
			}
		}
		engine, err := engineOn(on, remote, f.Kind)
		if err != nil {
			return err
		}
		if err := engine.Install(ctx); err != nil {
			return err
		}
		run = engine.Run
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	answers := json.NewEncoder(out)
	if err := answers.Encode(figures{}); err != nil { // it is ready
		return err
	}
	for lines.Scan() {
		now, err := own()
		if err != nil {
			return err
		}
		read(&now)
		if err := answers.Encode(now); err != nil {
			return err
		}
	}
	cancel()
	return <-ended
}

func engineOn(db upkeep.Database, remote connector.Connection, kind string) (*upkeep.Engine, error) {
	to := &upkeep.Remote{Name: "remote", Connection: remote}
	orders := salesOrder(to)
	if kind == byEvery {
		orders.Deliver = upkeep.Every
	}
	var sync upkeep.AnySync = orders
	if kind == byList {
		sync = article(to)
	}
	return upkeep.New(upkeep.Config{
		Database: db,
		Syncs:    []upkeep.AnySync{sync},
		Logger:   slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}

// remote makes the remote and what reads its counters.
func (f *following) remote() (connector.Connection, func(*figures)) {
	if f.Memory {
		m := memory.New(memory.Config{Concurrency: f.Concurrency})
		return m.Connect(), func(n *figures) {
			n.Calls = m.Calls(memory.Any)
			m.Forget()
		}
	}
	s := newSink(f.Latency, f.Concurrency, f.Remember, f.Log)
	return s, func(n *figures) {
		s.mu.Lock()
		defer s.mu.Unlock()
		n.Calls, n.Repeats, n.Arrivals = s.calls, s.repeats, s.arrivals
		s.calls, s.repeats, s.arrivals = 0, 0, nil
	}
}

// own reads this process's own use of the machine.
func own() (figures, error) {
	f := figures{CPU: ownCPU()}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return f, nil // only Linux tells; the row then has nothing to show
	}
	for l := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(l, ":")
		kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			f.Resident = kb << 10
		case "VmHWM":
			f.Peak = kb << 10
		}
	}
	return f, nil
}

// errFollower names the process in which an error arose.
func errFollower(err error) error { return fmt.Errorf("the follower: %w", err) }
