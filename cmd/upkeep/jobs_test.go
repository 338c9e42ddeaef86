package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
)

// Bulk jobs are in the status, as a table, as a line and as JSON.
func TestJobsAreShown(t *testing.T) {
	since := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	st := &upkeep.Status{Jobs: []upkeep.Job{{ID: 1, Remote: "crm", RemoteJob: "7505g00000X\x1b[2J", Sync: "customer", Action: "create", State: "running",
		Rows: 10000, Left: 10000, Processed: 2500, Failed: 3, Holder: "host:1", Since: since, Age: 90 * time.Second}}}
	var table, lines bytes.Buffer
	if err := printStatus(&table, "db", st); err != nil {
		t.Fatal(err)
	}
	if err := (&top{out: &lines}).show(st, since); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`7505g00000X.* +crm +customer +create +running +10000 +2500 +3 .*host:1`).MatchString(table.String()) || strings.Contains(table.String(), "\x1b") {
		t.Errorf("table:\n%s", table.String())
	}
	if !strings.Contains(lines.String(), " of customer: running, 2500 of 10000 creates, 3 failed, for 2m") && !strings.Contains(lines.String(), "for 1m30s") {
		t.Errorf("lines:\n%s", lines.String())
	}
	text, err := json.Marshal(statusForm("db", st))
	if err != nil || !strings.Contains(string(text), `"rows":10000,"left":10000,"processed":2500,"failed":3,"holder":"host:1","since":"2026-11-23T12:00:00Z","age_seconds":90`) {
		t.Errorf("JSON: %s, %v", text, err)
	}
	var none bytes.Buffer
	if err := printJobs(&none, nil); err != nil || none.Len() > 0 {
		t.Errorf("no jobs: %q, %v", none.String(), err)
	}
}
