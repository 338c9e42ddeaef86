package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/screen"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type explainCmd struct {
	Sync string `arg:"" help:"The sync's name."`
	Key  string `arg:"" help:"The root row's primary key: 42, or 42,eu for a key of two columns."`
	JSON bool   `help:"Print as JSON."`
}

// Run shows all that is known of one group. A key that nothing is known of is
// a failure.
func (c *explainCmd) Run(p *program) error {
	s, err := p.openFor(c.Sync, setup.Options{})
	if err != nil {
		if !c.JSON {
			p.stored(upkeep.ID{Sync: c.Sync, Key: c.Key})
		}
		return err
	}
	defer s.Close()
	x, err := s.Engine.Explain(p.ctx, c.Sync, c.Key)
	if err != nil {
		return err
	}
	if c.JSON {
		f, err := explainForm(x)
		if err != nil {
			return err
		}
		if x.WhenFalse {
			f.When, _ = s.When(c.Sync)
		}
		if err := printJSON(p.out, f); err != nil {
			return err
		}
	} else if err := c.print(p.out, s, x); err != nil {
		return err
	}
	if x.Group == nil && x.Composite == nil {
		return errReported
	}
	return nil
}

// stored shows what the registry has of a group when the configuration does not
// fit the database, which is when somebody wants to know. What kept it from
// being told in full is for the caller to say.
func (p *program) stored(id upkeep.ID) {
	db, err := setup.OpenDatabase(p.ctx, p.options(setup.Options{}))
	if err != nil {
		return // the caller's error says it
	}
	defer db.Close()
	g, err := db.Group(p.ctx, id)
	if err != nil {
		return
	}
	fmt.Fprintf(p.out, "%s, without the configuration, which does not fit the database: what would be sent can't be told\n", oneLine(id.String()))
	attempts, err := db.Attempts(p.ctx, id, 20)
	if err := errors.Join(err, printGroup(p.out, g), printAttempts(p.out, attempts)); err != nil {
		fmt.Fprintln(p.err, "upkeep:", err)
	}
}

func printAttempts(w io.Writer, attempts []upkeep.Attempt) error {
	if len(attempts) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\nAttempts\n")
	t := newTable(w, "  WHEN", "ACTION", "OUTCOME", "STATUS", ">TOOK", "FIELDS", "MESSAGE")
	for _, a := range attempts {
		status := "-"
		if a.Status != 0 {
			status = strconv.Itoa(a.Status)
		}
		t.row("  "+moment.Of(a.At), a.Action, a.Outcome, status, moment.Span(a.Took), orDash(strings.Join(a.Fields, ", ")), a.Message)
	}
	return t.flush()
}

func (c *explainCmd) print(w io.Writer, s *setup.Setup, x *upkeep.Explanation) error {
	fmt.Fprintf(w, "%s: %s\n", oneLine(x.ID.String()), oneLine(x.Why))
	if x.Composite != nil {
		what := "what the database says now"
		if len(x.Commands) > 0 {
			what = fmt.Sprintf("what the database said in the version that is delivered next, command %d", x.Commands[0].Number)
		}
		fmt.Fprintf(w, "\nComposite: %s\n", what)
		tree{w}.row(x.Composite, 1)
	} else if len(x.Commands) > 0 {
		fmt.Fprintf(w, "\nComposite: none, since the version that is delivered next, command %d, is the deletion of the row; a row that came back since comes with a later one\n", x.Commands[0].Number)
	}
	c.printWhen(w, s, x)
	printRecord(w, x)
	if x.Group != nil {
		if err := printGroup(w, x.Group); err != nil {
			return err
		}
	}
	if err := printLane(w, x); err != nil {
		return err
	}
	if err := printAttempts(w, x.Attempts); err != nil {
		return err
	}
	if len(x.Interventions) > 0 {
		fmt.Fprintf(w, "\nBy hand\n")
		if err := printInterventions(w, "  ", x.Interventions); err != nil {
			return err
		}
	}
	if x.Group != nil && len(x.Group.WaitsFor) > 0 {
		fmt.Fprintf(w, "\nWaits for\n")
		for _, l := range x.Chain {
			fmt.Fprintf(w, "  %s\n", oneLine(l.String()))
		}
	}
	if len(x.Blocks) > 0 {
		fmt.Fprintf(w, "\nBlocks %s\n  %s\n", blocks(x.BlocksDirect, x.BlocksAll), strings.Join(listed(x.Blocks, x.BlocksDirect), ", "))
	}
	return nil
}

// blocks says how many groups wait for one: "3 groups directly, 57 in all".
func blocks(direct, all int) string {
	s := fmt.Sprintf("%d groups", direct)
	if direct == 1 {
		s = "1 group"
	}
	if all > direct {
		s += fmt.Sprintf(" directly, %d in all", all)
	}
	if all >= upkeep.BlockedMost {
		s += " or more"
	}
	return s
}

// listed are the first of the names, with a word on how many more there are.
func listed(names []string, of int) []string {
	const most = 20
	if len(names) <= most {
		return names
	}
	return append(slices.Clone(names[:most]), fmt.Sprintf("and %d more", max(of, len(names))-most))
}

// printWhen shows the condition that leaves the row out, and what it reads of it.
func (c *explainCmd) printWhen(w io.Writer, s *setup.Setup, x *upkeep.Explanation) {
	source, reads := s.When(c.Sync)
	if !x.WhenFalse || source == "" {
		return
	}
	fmt.Fprintf(w, "\nWhen, which is false: %s\n", oneLine(source))
	for _, way := range reads {
		if v, there := at(x.Composite, way); there {
			fmt.Fprintf(w, "  %s: %s\n", oneLine(strings.Join(way, ".")), value(v))
		}
	}
}

// at is what is found of a row by a way over relations: a value, null where a row
// is not there, or the number of a relation's rows.
func at(row upkeep.Row, way []string) (v any, there bool) {
	v = row
	for _, name := range way {
		r, isRow := v.(upkeep.Row)
		if isRow && r == nil {
			return nil, true
		}
		if v, there = r[name]; !there {
			return nil, false
		}
	}
	switch rows := v.(type) {
	case []upkeep.Row:
		return len(rows), true
	case upkeep.Row:
		return nil, rows == nil
	}
	return v, true
}

// printRecord shows the representation, with a mark at what would be sent, and one
// at what is left as the remote has it.
func printRecord(w io.Writer, x *upkeep.Explanation) {
	if x.Record == nil {
		return
	}
	marks := marksOf(x)
	note := map[string]string{
		"create":  "would be created with the fields marked *",
		"update":  "would be updated with the fields marked *",
		"delete":  "would be deleted",
		"nothing": "the remote has it: nothing would be sent",
		"wait":    "can't be sent yet",
		"refuse":  "would not be sent",
	}[x.Send]
	switch {
	case x.LookFirst && x.Send == "create":
		note = "would be looked for by this id first: one that is there would be updated, otherwise it would be created, with the fields marked *"
	case x.LookFirst:
		note = "would be looked for by this id first, and deleted if it is there"
	}
	if x.Send == "nothing" && (x.Group == nil || x.Group.RemoteID == "") {
		note = "which is not to be there: nothing would be sent"
	}
	left := slices.Contains(slices.Collect(maps.Values(marks)), "-")
	if left && x.Send == "nothing" {
		note = "the remote has it, but for the fields marked -, which upkeep skip leaves as they are there: nothing would be sent"
	}
	if x.Send == "update" && x.Group != nil && x.Group.State == upkeep.InDoubt {
		note = "would be updated with the fields marked * when the time in doubt is over, or when its rows change before that"
	}
	if len(x.Missing) > 0 {
		note += ", for the record of " + joined(x.Missing) + " is missing"
	}
	if x.Send == "update" && len(x.Attempts) > 0 && x.Attempts[0].Outcome != "ok" && (x.Attempts[0].Action == "create" || x.Attempts[0].Action == "initialize") {
		note += "; or, if it is still gone from the remote, as it was at the last try, made again with all of them"
	}
	if left && x.Send != "nothing" {
		note += "; those marked - stay as they are there (upkeep skip)"
	}
	fmt.Fprintf(w, "\nRepresentation: %s %s, %s\n", x.Record.Type, x.Record.ExternalID, orElse(note, x.Send))
	width := 0
	for name := range x.Record.Fields {
		width = max(width, screen.Columns(oneLine(name)))
	}
	for _, name := range slices.Sorted(maps.Keys(x.Record.Fields)) {
		gap := strings.Repeat(" ", width-screen.Columns(oneLine(name)))
		fmt.Fprintf(w, "  %s %s%s  %s\n", orElse(marks[name], " "), oneLine(name), gap, oneLine(string(x.Record.Fields[name])))
	}
}

// marksOf are "*" at the fields that would be sent, and "-" at those that are left as
// the remote has them.
func marksOf(x *upkeep.Explanation) map[string]string {
	marks := map[string]string{}
	mark := func(fields []string, with string) {
		for _, name := range fields {
			if _, there := x.Record.Fields[name]; there {
				marks[name] = with
			}
		}
	}
	mark(x.Left, "-")
	switch x.Send {
	case "create":
		mark(slices.Collect(maps.Keys(x.Record.Fields)), "*")
	case "update":
		mark(x.Changed, "*")
	}
	return marks
}

func printGroup(w io.Writer, g *upkeep.Group) error {
	fmt.Fprintf(w, "\nState\n")
	t := &table{w: w}
	line := func(name, value string) {
		if value != "" {
			t.row("  "+name, value)
		}
	}
	generations := fmt.Sprintf("%d, synced %d", g.Generation, g.SyncedGeneration)
	if g.ForcedGeneration > g.SyncedGeneration {
		generations += fmt.Sprintf(", forced at %d", g.ForcedGeneration)
	}
	line("state", string(g.State))
	line("reason", g.Reason)
	line("generation", generations)
	line("touched", moment.Of(g.TouchedAt))
	line("synced", moment.Of(g.SyncedAt))
	line("last touch", cause(g))
	line("remote id", orElse(g.RemoteID, "none"))
	line("external id", g.ExternalID)
	if !g.InDoubtUntil.IsZero() {
		line("in doubt until", moment.Of(g.InDoubtUntil))
	}
	if g.Holder != "" && g.LeaseUntil.IsZero() {
		line("claimed by", g.Holder) // a bulk job, for as long as it takes
	} else if g.Holder != "" {
		line("claimed by", g.Holder+" until "+moment.Of(g.LeaseUntil))
	}
	switch {
	case g.Attempts > 0 && g.DueAt.IsZero(): // the reason says what it waits for
		line("tries", strconv.FormatInt(int64(g.Attempts), 10))
	case g.Attempts > 0:
		line("tries", fmt.Sprintf("%d, next %s", g.Attempts, moment.Of(g.DueAt)))
	}
	if len(g.Refs) > 0 {
		line("refers to", joined(g.Refs))
	}
	return t.flush()
}

// cause is which change touched the group last.
func cause(g *upkeep.Group) string {
	c := g.Cause
	s := c.Op
	if means := c.Means(); means != "" {
		s += " (" + means + ")"
	}
	if c.Table != "" {
		s += " of " + c.Table
	}
	if c.Table != "" && c.Key != "" { // a truncation is of no one row
		s += " " + c.Key
	}
	if len(c.Columns) > 0 {
		s += " (" + strings.Join(c.Columns, ", ") + ")"
	}
	if c.Tx != "" {
		s += ", transaction " + c.Tx
	}
	if !c.At.IsZero() {
		s += ", at " + moment.Of(c.At)
	}
	return s
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func orDash(s string) string { return orElse(s, "-") }
