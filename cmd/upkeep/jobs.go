package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/moment"
)

// printJobs shows the bulk jobs at the remotes, if there are any.
func printJobs(w io.Writer, jobs []upkeep.Job) error {
	if len(jobs) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := newTable(w, "JOB", "REMOTE", "SYNC", "ACTION", "STATE", ">ROWS", ">DONE", ">FAILED", ">SINCE", "FOLLOWED BY")
	for _, j := range jobs {
		t.row(j.RemoteJob, j.Remote, j.Sync, j.Action, j.State+colon(j.Message), strconv.Itoa(j.Rows), strconv.Itoa(j.Processed),
			strconv.Itoa(j.Failed), moment.Of(j.Since), orDash(j.Holder))
	}
	return t.flush()
}

// colon puts words that may be none behind others.
func colon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

type jobForm struct {
	Job       string    `json:"job"`
	Remote    string    `json:"remote"`
	Sync      string    `json:"sync"`
	Action    string    `json:"action"`
	State     string    `json:"state"`
	Rows      int       `json:"rows"`
	Left      int       `json:"left"`
	Processed int       `json:"processed"`
	Failed    int       `json:"failed"`
	Message   string    `json:"message,omitempty"`
	Holder    string    `json:"holder,omitempty"`
	Since     time.Time `json:"since"`
	Age       float64   `json:"age_seconds"`
}

func formOfJob(j upkeep.Job) jobForm {
	return jobForm{Job: j.RemoteJob, Remote: j.Remote, Sync: j.Sync, Action: j.Action, State: j.State, Rows: j.Rows, Left: j.Left,
		Processed: j.Processed, Failed: j.Failed, Message: j.Message, Holder: j.Holder, Since: j.Since, Age: j.Age.Seconds()}
}

func jobForms(jobs []upkeep.Job) []jobForm {
	forms := []jobForm{}
	for _, j := range jobs {
		forms = append(forms, formOfJob(j))
	}
	return forms
}
