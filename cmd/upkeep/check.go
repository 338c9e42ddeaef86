package main

import (
	"fmt"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type checkCmd struct {
	JSON bool `help:"Print as JSON."`
}

type findingForm struct {
	Severity string `json:"severity"`
	Subject  string `json:"subject"`
	Message  string `json:"message"`
	Fix      string `json:"fix,omitempty"`
	Sync     string `json:"sync,omitempty"`
	Field    string `json:"field,omitempty"`
}

// Run lists all findings; problems make it fail, warnings don't.
func (c *checkCmd) Run(p *program) error {
	line := newProgress(p.err)
	findings, err := setup.Check(p.ctx, p.options(setup.Options{}), func(what string) { line.say("examining %s", what) })
	line.done()
	return reportExamined(p, findings, err, c.JSON)
}

// reportExamined reports findings; of an examination that failed, or was interrupted,
// those that there were by then, but not as JSON, which would look whole.
func reportExamined(p *program, findings []upkeep.Finding, failed error, asJSON bool) error {
	if failed == nil {
		return reportFindings(p, findings, asJSON)
	}
	if len(findings) > 0 && !asJSON {
		listFindings(p, findings)
		fmt.Fprintln(p.out, "that is what was found before the examination ended")
	}
	return failed
}

func findingForms(findings []upkeep.Finding) []findingForm {
	forms := []findingForm{}
	for _, f := range findings {
		forms = append(forms, findingForm{string(f.Severity), f.Subject, f.Message, f.Fix, f.Sync, f.Field})
	}
	return forms
}

// reportFindings prints findings; problems make the command fail.
func reportFindings(p *program, findings []upkeep.Finding, asJSON bool) (err error) {
	problems, warnings := 0, 0
	for _, f := range findings {
		switch f.Severity {
		case upkeep.Problem:
			problems++
		case upkeep.Warning:
			warnings++
		}
	}
	if asJSON {
		err = printJSON(p.out, findingForms(findings))
	} else {
		err = printFindings(p, findings, problems, warnings)
	}
	if err == nil && problems > 0 {
		return errReported
	}
	return err
}

func printFindings(p *program, findings []upkeep.Finding, problems, warnings int) error {
	listFindings(p, findings)
	var err error
	switch {
	case problems+warnings == 0 && len(findings) > 0:
		_, err = fmt.Fprintln(p.out, "all is well, as far as was tried")
	case problems+warnings == 0:
		_, err = fmt.Fprintln(p.out, "all is well")
	default:
		_, err = fmt.Fprintf(p.out, "%s, %s\n", count(problems, "problem"), count(warnings, "warning"))
	}
	return err
}

func listFindings(p *program, findings []upkeep.Finding) {
	for _, f := range findings {
		fmt.Fprintf(p.out, "%s: %s: %s\n", f.Severity, f.Subject, indented(f.Message))
		if f.Fix != "" {
			fmt.Fprintf(p.out, "    %s\n", indented(f.Fix))
		}
	}
}
