package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type planCmd struct {
	Records bool          `help:"Also show which records would be created, updated and deleted, field by field, and how long that takes."`
	Sync    string        `placeholder:"SYNC" help:"With --records: this sync only."`
	Limit   int           `default:"20" help:"With --records: how many records to list at most, those that would be refused first; all are counted."`
	Latency time.Duration `default:"500ms" help:"With --records: how long a call takes, where none was observed yet."`
	JSON    bool          `help:"Print as JSON."`
}

// Run shows what apply and run would do.
func (c *planCmd) Run(p *program) error {
	switch {
	case c.Limit < 0:
		return usageError("--limit must not be negative")
	case c.Latency <= 0:
		return usageError("--latency must be more than nothing")
	case c.Sync != "" && !c.Records:
		return usageError("--sync goes with --records")
	}
	s, err := p.openFor(c.Sync, setup.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	plan, err := s.Engine.Plan(p.ctx)
	if err != nil {
		return err
	}
	pending := plan.Pending()
	form := formOfPlan(s.Database.Name(), plan)
	if !c.JSON {
		if err := printPlan(p.out, form, pending); err != nil {
			return err
		}
	}
	if c.Records {
		forecast, listed, err := c.forecast(p, s)
		if err != nil {
			return err
		}
		pending = pending || forecast.Calls() > 0
		form.Records = formOfForecast(forecast, listed)
		if !c.JSON {
			if err := printForecast(p.out, form.Records); err != nil {
				return err
			}
		}
	}
	form.Pending = pending
	if c.JSON {
		err = printJSON(p.out, form)
	} else if !pending {
		err = nothing(p.out, plan, c.Records)
	}
	if err == nil && pending {
		return errPending
	}
	return err
}

// forecast counts what would be sent, and keeps the first changes to list: before
// all others those that would be refused, which are for a person.
func (c *planCmd) forecast(p *program, s *setup.Setup) (*upkeep.Forecast, []upkeep.RecordChange, error) {
	line := newProgress(p.err)
	defer line.done()
	refused, others := []upkeep.RecordChange{}, []upkeep.RecordChange{}
	f, err := s.Engine.Forecast(p.ctx, upkeep.ForecastOptions{
		Sync: c.Sync, Latency: c.Latency,
		Each: func(r upkeep.RecordChange) error {
			of := &others
			if r.Action == "refuse" {
				of = &refused
			}
			if len(*of) < c.Limit {
				*of = append(*of, r)
			}
			return nil
		},
		Progress: func(sync string, done int64) { line.say("looking at %s: %d groups", sync, done) },
	})
	listed := append(refused, others...)
	return f, listed[:min(len(listed), c.Limit)], err
}

// nothing says that nothing is to be installed, and nothing to be sent if the
// records were looked at.
func nothing(w io.Writer, plan *upkeep.Plan, looked bool) error {
	text := "nothing to install; upkeep plan --records looks for what is to be sent"
	switch {
	case plan.Passing():
		text = "nothing to install; upkeep run goes on with what was asked for"
	case looked:
		text = "nothing to do"
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

type planForm struct {
	Database string              `json:"database"`
	Pending  bool                `json:"pending"`
	Create   bool                `json:"create_registry"`
	Syncs    []plannedSyncForm   `json:"syncs"`
	Tables   []plannedTableForm  `json:"tables"`
	Drop     []string            `json:"drop"`
	Remotes  []plannedRemoteForm `json:"remotes"`
	Refusal  string              `json:"refusal,omitempty"`
	Records  *forecastForm       `json:"records,omitempty"`
}

type plannedSyncForm struct {
	Sync   string `json:"sync"`
	Change string `json:"change"`
	Groups int64  `json:"groups"`
	Rows   *int64 `json:"rows"` // null: not known
	// Passing: a backfill or a sweep of before is not over.
	Passing bool `json:"passing"`
}

type plannedTableForm struct {
	Table    string               `json:"table"`
	Columns  map[string][]string  `json:"columns"`
	Triggers []plannedTriggerForm `json:"triggers"`
}

type plannedRemoteForm struct {
	Remote  string   `json:"remote"`
	Make    []string `json:"make"`
	Problem string   `json:"problem,omitempty"`
}

type plannedTriggerForm struct {
	Trigger string `json:"trigger"`
	Action  string `json:"action"`
}

func formOfPlan(database string, p *upkeep.Plan) *planForm {
	f := &planForm{Database: database, Create: p.Create, Syncs: []plannedSyncForm{}, Tables: []plannedTableForm{}, Drop: append([]string{}, p.Drop...), Remotes: []plannedRemoteForm{}}
	if p.Refusal != nil {
		f.Refusal = p.Refusal.Error()
	}
	for _, r := range p.Remotes {
		f.Remotes = append(f.Remotes, plannedRemoteForm{r.Remote, append([]string{}, r.Make...), r.Problem})
	}
	for _, s := range p.Syncs {
		form := plannedSyncForm{Sync: s.Sync, Change: s.Change, Groups: s.Groups, Passing: s.Passing}
		if s.Rows > 0 {
			form.Rows = &s.Rows
		}
		f.Syncs = append(f.Syncs, form)
	}
	for _, t := range p.Tables {
		form := plannedTableForm{Table: t.Table, Columns: map[string][]string{}, Triggers: []plannedTriggerForm{}}
		for _, c := range t.Columns {
			form.Columns[c.Column] = c.Why
		}
		for _, g := range t.Triggers {
			form.Triggers = append(form.Triggers, plannedTriggerForm(g))
		}
		f.Tables = append(f.Tables, form)
	}
	return f
}

// printPlan leaves the tables that stay as they are out when nothing is pending.
func printPlan(w io.Writer, f *planForm, pending bool) error {
	fmt.Fprintf(w, "%s\n\n", f.Database)
	if f.Create {
		fmt.Fprintf(w, "+ Upkeep's own tables: the touch log and the registry\n\n")
	}
	if f.Refusal != "" {
		fmt.Fprintf(w, "! apply refuses this: %s\n\n", oneLine(f.Refusal))
	}
	t := newTable(w, "SYNC", "CHANGE", ">GROUPS", "WHAT HAPPENS")
	for _, s := range f.Syncs {
		what := map[string]string{
			"new":     backfillText(s.Rows),
			"changed": "a sweep: every record is looked at, those that differ are sent",
			"removed": "it is no longer kept; its records stay as they are, and are known, should it come back",
		}[s.Change]
		if s.Passing {
			what = "nothing new; the pass over its rows that was asked for before is not over, upkeep run goes on with it"
		}
		groups := fmt.Sprint(s.Groups)
		if s.Change == "new" && s.Groups == 0 {
			groups = "-" // they are not made yet
		}
		t.row(s.Sync, orDash(s.Change), groups, orDash(what))
	}
	if err := t.flush(); err != nil {
		return err
	}
	var same []string
	for _, g := range f.Tables {
		if len(g.Triggers) == 0 {
			same = append(same, oneLine(g.Table))
			continue
		}
		fmt.Fprintf(w, "\n%s\n", oneLine(g.Table))
		t := &table{w: w}
		for _, c := range slices.Sorted(maps.Keys(g.Columns)) {
			t.row("    "+c, strings.Join(g.Columns[c], "; "))
		}
		if err := t.flush(); err != nil {
			return err
		}
		for _, c := range g.Triggers {
			mark := map[string]string{"create": "+", "drop": "-"}[c.Action]
			fmt.Fprintf(w, "  %s %s trigger %s\n", orElse(mark, "~"), c.Action, oneLine(c.Trigger))
		}
	}
	if pending && len(same) > 0 {
		fmt.Fprintf(w, "\nwatched as before: %s\n", strings.Join(same, ", "))
	}
	for i, d := range f.Drop {
		if i == 0 {
			fmt.Fprintf(w, "\nno longer watched\n")
		}
		fmt.Fprintf(w, "  - drop trigger, %s\n", oneLine(d))
	}
	for _, r := range f.Remotes {
		fmt.Fprintf(w, "\nremote %s\n", oneLine(r.Remote))
		for _, made := range r.Make {
			fmt.Fprintf(w, "  + %s\n", oneLine(made))
		}
		if r.Problem != "" {
			fmt.Fprintf(w, "  ! %s\n", oneLine(r.Problem))
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

func backfillText(rows *int64) string {
	if rows == nil {
		return "a backfill; how many rows there are is not known"
	}
	return "a backfill of about " + number(*rows, "row")
}

type forecastForm struct {
	Syncs   []forecastSyncForm    `json:"syncs"`
	Remotes []forecastRemoteForm  `json:"remotes"`
	Changes []upkeep.RecordChange `json:"changes"`
	More    bool                  `json:"more"`
}

type forecastSyncForm struct {
	Sync      string `json:"sync"`
	Create    int64  `json:"create"`
	Update    int64  `json:"update"`
	Delete    int64  `json:"delete"`
	Unchanged int64  `json:"unchanged"`
	Waits     int64  `json:"waits"`
	Refused   int64  `json:"refused"`
	Held      string `json:"held,omitempty"` // why nothing of it goes now
}

type forecastRemoteForm struct {
	Remote      string  `json:"remote"`
	Calls       int64   `json:"calls"`
	Rate        float64 `json:"rate,omitempty"`
	Concurrency int     `json:"concurrency"`
	Latency     float64 `json:"latency_seconds"`
	Observed    bool    `json:"latency_observed"`
	Takes       float64 `json:"takes_seconds"`
	Held        string  `json:"held,omitempty"` // why no call goes there now
}

func formOfForecast(f *upkeep.Forecast, listed []upkeep.RecordChange) *forecastForm {
	form := &forecastForm{Syncs: []forecastSyncForm{}, Remotes: []forecastRemoteForm{}, Changes: listed}
	var changes int64
	for _, s := range f.Syncs {
		changes += s.Changes() + s.Waits + s.Refused
		form.Syncs = append(form.Syncs, forecastSyncForm(s))
	}
	form.More = changes > int64(len(listed))
	for _, r := range f.Remotes {
		form.Remotes = append(form.Remotes, forecastRemoteForm{r.Remote, r.Calls, r.Rate, r.Concurrency, r.Latency.Seconds(), r.Observed, r.Takes.Seconds(), r.Held})
	}
	return form
}

func printForecast(w io.Writer, f *forecastForm) error {
	t := newTable(w, "SYNC", ">CREATE", ">UPDATE", ">DELETE", ">UNCHANGED", ">WAIT", ">REFUSED")
	for _, s := range f.Syncs {
		t.row(s.Sync, fmt.Sprint(s.Create), fmt.Sprint(s.Update), fmt.Sprint(s.Delete), fmt.Sprint(s.Unchanged), fmt.Sprint(s.Waits), fmt.Sprint(s.Refused))
	}
	errs := []error{t.flush()}
	for _, c := range f.Changes {
		head := fmt.Sprintf("%s %s/%s %s", c.Action, c.Sync, c.Key, c.ExternalID)
		if c.Reason != "" {
			head += ": " + c.Reason
		}
		fmt.Fprintf(w, "\n%s\n", oneLine(head))
		t := &table{w: w}
		for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
			t.row("    "+name, around(string(c.Fields[name]), ""))
		}
		errs = append(errs, t.flush())
	}
	if f.More {
		fmt.Fprintf(w, "\nThere are more: see them with --limit, --sync, or --json.\n")
	}
	fmt.Fprintln(w)
	for _, s := range f.Syncs {
		if s.Held != "" {
			_, err := fmt.Fprintf(w, "! now: %s\n", oneLine(s.Held))
			errs = append(errs, err)
		}
	}
	for _, r := range f.Remotes {
		by := "assumed"
		if r.Observed {
			by = "observed"
		}
		limit := fmt.Sprintf("%d at once", r.Concurrency)
		if r.Rate > 0 {
			limit += fmt.Sprintf(", %g a second", r.Rate)
		}
		_, err := fmt.Fprintf(w, "%s: %s, about %s (%s; a call takes %s, %s)\n", r.Remote, count(int(r.Calls), "call"), moment.Span(seconds(r.Takes)),
			limit, moment.Span(seconds(r.Latency)), by)
		errs = append(errs, err)
		if r.Held != "" {
			_, err := fmt.Fprintf(w, "  ! now: %s\n", oneLine(r.Held))
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
