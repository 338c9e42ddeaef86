package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type verifyCmd struct {
	Sync  string   `arg:"" optional:"" help:"The sync's name. Default: all of them."`
	Keys  []string `arg:"" optional:"" name:"key" help:"For some groups only, the root rows' primary keys: 42, or 42,eu for a key of two columns."`
	Fix   bool     `help:"Let the records that differ be sent again, in full, by the running upkeep run."`
	Limit int      `default:"100" help:"How many differences to list at most."`
	JSON  bool     `help:"Print as JSON."`
}

type differenceForm struct {
	Sync  string `json:"sync"`
	Key   string `json:"key"`
	State string `json:"state"`
	Field string `json:"field,omitempty"` // none: the whole record, and want and got are words
	Want  string `json:"want,omitempty"`  // JSON
	Got   string `json:"got,omitempty"`   // JSON
	// OnItsWay: it is sent without --fix.
	OnItsWay bool `json:"on_its_way,omitempty"`
	// Skipped: a person has left it so.
	Skipped bool `json:"skipped,omitempty"`
}

type verifyForm struct {
	Syncs       []verifiedForm   `json:"syncs"`
	Unreadable  []string         `json:"unreadable"` // whose remote can't be read back
	Differences []differenceForm `json:"differences"`
	More        bool             `json:"more"`
	Waiting     []leftOutForm    `json:"waiting"`  // left out: they refer to a record that is not there
	Changing    []leftOutForm    `json:"changing"` // left out: they changed each time they were looked at
	Fixed       int              `json:"fixed"`
}

type leftOutForm struct {
	Sync string `json:"sync"`
	Key  string `json:"key"`
}

type verifiedForm struct {
	Sync    string `json:"sync"`
	Groups  int    `json:"groups"`
	Records int    `json:"records"`
}

// Run compares the remotes' records with the database.
func (c *verifyCmd) Run(p *program) error {
	if c.Limit < 1 {
		return usageError("--limit must be 1 or more")
	}
	line := newProgress(p.err)
	defer line.done()
	s, err := p.openFor(c.Sync, setup.Options{Engine: upkeep.Config{Logger: slog.New(saying{line})}})
	if err != nil {
		return err
	}
	defer s.Close()
	syncs := s.Syncs()
	if c.Sync != "" {
		syncs = []string{c.Sync}
	}
	form := verifyForm{Syncs: []verifiedForm{}, Unreadable: []string{}, Differences: []differenceForm{}, Changing: []leftOutForm{}, Waiting: []leftOutForm{}}
	astray := 0 // what nothing sends by itself
	for _, name := range syncs {
		found, err := c.verify(p, s, name, line)
		if errors.Is(err, upkeep.ErrUnreadable) && c.Sync == "" {
			form.Unreadable = append(form.Unreadable, name)
			continue
		}
		if err != nil {
			return err
		}
		form.Syncs = append(form.Syncs, verifiedForm{name, found.Groups, found.Records})
		form.More = form.More || found.More
		for _, id := range found.Waiting {
			form.Waiting = append(form.Waiting, leftOutForm{id.Sync, id.Key})
		}
		for _, id := range found.Changing {
			form.Changing = append(form.Changing, leftOutForm{id.Sync, id.Key})
		}
		for _, d := range found.Differences {
			if !onItsWay(d.State) && d.State != upkeep.Waiting && !d.Skipped {
				astray++
			}
		}
		for _, d := range found.Differences {
			if len(form.Differences) == c.Limit {
				form.More = true
				break
			}
			form.Differences = append(form.Differences, differenceForm{d.Sync, d.Key, string(d.State), d.Field, d.Want, d.Got, onItsWay(d.State), d.Skipped})
		}
		if c.Fix {
			n, err := s.Engine.Fix(p.ctx, found.Differences)
			if err != nil {
				return err
			}
			form.Fixed += n
		}
	}
	if c.JSON {
		err = printJSON(p.out, form)
	} else {
		err = c.print(p.out, form)
	}
	if err == nil && astray > 0 && !c.Fix {
		return errReported
	}
	return err
}

func (c *verifyCmd) verify(p *program, s *setup.Setup, name string, line *progress) (*upkeep.Verification, error) {
	defer line.done()
	line.say("comparing %s", name)
	found, err := s.Engine.Verify(p.ctx, name, func(done int) { line.say("comparing %s: %d groups", name, done) }, c.Keys...)
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", name, err)
	}
	return found, nil
}

func (c *verifyCmd) print(w io.Writer, f verifyForm) error {
	var errs []error
	for _, s := range f.Syncs {
		_, err := fmt.Fprintf(w, "%s: %s, %s read\n", s.Sync, count(s.Groups, "group"), count(s.Records, "record"))
		errs = append(errs, err)
	}
	for _, name := range f.Unreadable {
		_, err := fmt.Fprintf(w, "%s: left out, its remote can't be read back\n", name)
		errs = append(errs, err)
	}
	if len(f.Changing) > 0 {
		_, err := fmt.Fprintf(w, "left out, changed each time they were looked at: %s\n", namesOf(f.Changing))
		errs = append(errs, err)
	}
	if len(f.Waiting) > 0 {
		first := upkeep.ID{Sync: f.Waiting[0].Sync, Key: f.Waiting[0].Key}
		_, err := fmt.Fprintf(w, "left out, refer to records that are not there, and are sent when these are, with --fix too: %s; which: upkeep explain %s\n", namesOf(f.Waiting), first.Args())
		errs = append(errs, err)
	}
	if len(f.Syncs) == 0 && len(f.Unreadable) > 0 {
		return errors.Join(errs...)
	}
	if len(f.Differences) == 0 {
		_, err := fmt.Fprintln(w, "nothing differs")
		return errors.Join(append(errs, err)...)
	}
	fmt.Fprintln(w)
	t := newTable(w, "SYNC", "KEY", "STATE", "FIELD", "DATABASE", "REMOTE")
	for _, d := range f.Differences {
		t.row(d.Sync, d.Key, d.State, orElse(d.Field, "(record)"), orDash(around(d.Want, d.Got)), orDash(around(d.Got, d.Want)))
	}
	errs = append(errs, t.flush())
	if f.More {
		fmt.Fprintln(w, "There are more: see them with --limit, or --json.")
	}
	if f.Fixed > 0 {
		fmt.Fprintf(w, "\n%s: upkeep run sends them again, in full\n", count(f.Fixed, "group"))
		return errors.Join(errs...)
	}
	moving, waiting, skipped, parked := 0, 0, 0, 0
	for _, d := range f.Differences {
		switch {
		case d.Skipped:
			if skipped++; skipped == 1 {
				fmt.Fprintf(w, "\nWhat upkeep skip has left as it is counts for nothing here, and stays, with --fix too, unless something else of its record differs; to send it: upkeep resync %s --force\n", upkeep.ID{Sync: d.Sync, Key: d.Key}.Args())
			}
		case d.OnItsWay:
			moving++
		case d.State == string(upkeep.Parked):
			if parked++; parked == 1 {
				fmt.Fprintf(w, "\nWhat is parked was refused, or waits for a person, and --fix only has it parked again; why: upkeep explain %s\n", upkeep.ID{Sync: d.Sync, Key: d.Key}.Args())
			}
		case d.State == string(upkeep.Waiting):
			if waiting++; waiting == 1 {
				fmt.Fprintf(w, "\nWhat is waiting is sent when the record is there that it waits for, with --fix too; which one: upkeep explain %s\n", upkeep.ID{Sync: d.Sync, Key: d.Key}.Args())
			}
		}
	}
	if moving > 0 {
		fmt.Fprintln(w, "\nWhat is dirty, claimed or in doubt is on its way: upkeep run sends it, without --fix.")
	}
	if others := moving + waiting + skipped + parked; others < len(f.Differences) {
		rest := "what differs"
		if others > 0 {
			rest = "the rest"
		}
		fmt.Fprintf(w, "\nSend %s again with: upkeep verify %s--fix\n", rest, c.args())
	}
	return errors.Join(errs...)
}

// namesOf lists groups that were left out.
func namesOf(groups []leftOutForm) string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = oneLine(g.Sync + "/" + g.Key)
	}
	return strings.Join(listed(names, len(names)), ", ")
}

// args are the sync and the keys as they are typed, with a space behind them;
// empty for all syncs.
func (c *verifyCmd) args() string {
	if c.Sync == "" {
		return ""
	}
	s := c.Sync + " "
	for _, key := range c.Keys {
		s += strings.TrimPrefix(upkeep.ID{Sync: c.Sync, Key: key}.Args(), s[:len(c.Sync)+1]) + " "
	}
	return s
}

// onItsWay: what differs in a group of this state is sent without being asked for.
func onItsWay(s upkeep.State) bool {
	return s == upkeep.Dirty || s == upkeep.Claimed || s == upkeep.InDoubt
}

// around is a value that fits a table: the part around the place where it differs
// from another one.
func around(s, other string) string {
	const most, before = 60, 20
	r, o := []rune(s), []rune(other)
	if len(r) <= most {
		return s
	}
	same := 0
	for same < len(r) && same < len(o) && r[same] == o[same] {
		same++
	}
	from := max(0, min(same-before, len(r)-most))
	to := min(len(r), from+most)
	text := string(r[from:to])
	if from > 0 {
		text = "…" + text
	}
	if to < len(r) {
		text += "…"
	}
	return text
}
